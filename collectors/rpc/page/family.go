package page

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// family is one generation of names, in the form that plain gives them.
type family struct {
	name string
	// started counts calls that began, handled those that ended, by status; "" where the family has no such counter.
	started, handled string
	// durations are histograms of the ended calls' time, of which a page has one, without the suffix that names the unit;
	// per is how many units make a second where there is no such suffix.
	durations []string
	per       float64
	// byStatus tells that the histogram has the status, so that its count stands for the counter.
	byStatus bool
	method   func(l labels.Labels) Method
	status   []string // labels that may hold the status
}

// families are what is known, the one that is asked first at the top. A page may have several where a server is counted
// twice: never mixed, the first that is there counts.
var families = []family{
	{
		// go-grpc-prometheus, go-grpc-middleware, tonic; the java and py libraries of that name.
		name: "grpc-prometheus", started: "grpc_server_started", handled: "grpc_server_handled", per: 1,
		durations: []string{"grpc_server_handling", "grpc_server_handled_latency"},
		method:    byLabels("grpc_type", "grpc_service", "grpc_method"), status: []string{"grpc_code", "code"},
	}, {
		// gRPC's own OpenTelemetry plugin: proposal A66.
		name: "grpc-opentelemetry", started: "grpc_server_call_started", durations: []string{"grpc_server_call_duration"},
		per: 1, byStatus: true, method: byPath("grpc_method"), status: []string{"grpc_status"},
	}, {
		// OpenTelemetry's semantic conventions for RPC, stable ...
		name: "semconv", durations: []string{"rpc_server_call_duration"},
		per: 1, byStatus: true, method: byPath("rpc_method"), status: []string{"rpc_response_status_code", "rpc_grpc_status_code"},
	}, {
		// ... and old, in milliseconds.
		name: "semconv-old", durations: []string{"rpc_server_duration"},
		per: 1000, byStatus: true, method: byPath("rpc_method"), status: []string{"rpc_grpc_status_code", "rpc_response_status_code"},
	}, {
		// Micrometer counts messages received, which for unary calls are the calls.
		name: "micrometer", started: "grpc_server_requests_received_messages", durations: []string{"grpc_server_processing_duration"},
		per: 1, byStatus: true, method: byLabels("methodType", "service", "method"), status: []string{"statusCode"},
	},
}

// messages is the family whose counter of what began is one of messages.
const messages = "micrometer"

func byLabels(kind, service, method string) func(labels.Labels) Method {
	return func(l labels.Labels) Method {
		return Method{Kind: kindOf(l.Get(kind)), Service: l.Get(service), Name: l.Get(method)}
	}
}

// byPath finds the method in one label, as service/method; or the method alone, with the service beside it.
func byPath(label string) func(labels.Labels) Method {
	return func(l labels.Labels) Method {
		m := l.Get(label)
		if m == "" {
			m = l.Get(strings.ReplaceAll(label, "_", "."))
		}
		if service, name, full := strings.Cut(strings.TrimPrefix(m, "/"), "/"); full {
			return Method{Service: service, Name: name}
		}
		service := l.Get("rpc_service")
		if service == "" {
			service = l.Get("rpc.service")
		}
		return Method{Service: service, Name: m}
	}
}

func kindOf(text string) string {
	switch strings.ToLower(text) {
	case "":
		return ""
	case "unary":
		return Unary
	default:
		return Stream
	}
}

// infrastructure are the services whose calls are no load: probes, and tools that look at the server.
var infrastructure = []string{"grpc.health.", "grpc.reflection.", "grpc.channelz.", "xds.service.orca."}

func (m Method) isInfrastructure() bool {
	for _, prefix := range infrastructure {
		if strings.HasPrefix(m.Service, prefix) {
			return true
		}
	}
	return false
}

// part is what a series of a family holds.
type part int

const (
	none part = iota
	started
	handled
	bucket
	count
	sum
	native
)

// role is the place of a series: the index of its family, its part, and how many of its units make a second.
type role struct {
	family int
	part   part
	per    float64
}

// roleOf returns the place of a series by its name; its part is none for one that nobody asks for.
func roleOf(name string) role {
	name = strings.ReplaceAll(name, ".", "_")
	counter := strings.TrimSuffix(name, "_total")
	base, p := name, native
	for suffix, its := range map[string]part{"_bucket": bucket, "_count": count, "_sum": sum} {
		if cut, ok := strings.CutSuffix(name, suffix); ok {
			base, p = cut, its
		}
	}
	per := 0.
	for suffix, its := range map[string]float64{"_seconds": 1, "_milliseconds": 1000} {
		if cut, ok := strings.CutSuffix(base, suffix); ok {
			base, per = cut, its
		}
	}
	for i := range families {
		f := &families[i]
		switch {
		case counter == f.started:
			return role{family: i, part: started}
		case counter == f.handled:
			return role{family: i, part: handled}
		case slices.Contains(f.durations, base):
			return role{family: i, part: p, per: cmp.Or(per, f.per)}
		}
	}
	return role{}
}

// The outcome of a call, as its status tells.
type outcome int

const (
	fine outcome = iota
	fault
	overload
)

// outcomes holds every status that is not fine: as it is written with small letters only, and as a number.
var outcomes = map[string]outcome{
	"unknown": fault, "2": fault,
	"deadlineexceeded": fault, "4": fault,
	"resourceexhausted": overload, "8": overload,
	"unimplemented": fault, "12": fault,
	"internal": fault, "13": fault,
	"unavailable": fault, "14": fault,
	"dataloss": fault, "15": fault,
}

// outcomeOf reads the status from the labels; known is whether one is there.
func (f *family) outcomeOf(l labels.Labels) (o outcome, known bool) {
	for _, name := range f.status {
		status := l.Get(name)
		if status == "" {
			status = l.Get(strings.ReplaceAll(name, "_", "."))
		}
		if status != "" {
			return outcomes[strings.ToLower(strings.ReplaceAll(status, "_", ""))], true
		}
	}
	return fine, false
}
