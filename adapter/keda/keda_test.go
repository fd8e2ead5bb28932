package keda

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/test/authority"
)

// messages has what KEDA's externalscaler.proto says, so that protobuf's own library writes and reads what the server does.
// test/keda has KEDA's own client ask the whole program.
var messages = sync.OnceValue(func() protoreflect.MessageDescriptors {
	const text = `name: "externalscaler.proto" package: "externalscaler" syntax: "proto3"
		message_type { name: "ScaledObjectRef"
			field { name: "name" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "namespace" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "scalerMetadata" number: 3 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".externalscaler.ScaledObjectRef.ScalerMetadataEntry" }
			nested_type { name: "ScalerMetadataEntry" options { map_entry: true }
				field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
				field { name: "value" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } } }
		message_type { name: "GetMetricsRequest"
			field { name: "scaledObjectRef" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".externalscaler.ScaledObjectRef" }
			field { name: "metricName" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL } }
		message_type { name: "IsActiveResponse" field { name: "result" number: 1 type: TYPE_BOOL label: LABEL_OPTIONAL } }
		message_type { name: "MetricSpec"
			field { name: "metricName" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "targetSize" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
			field { name: "targetSizeFloat" number: 3 type: TYPE_DOUBLE label: LABEL_OPTIONAL } }
		message_type { name: "GetMetricSpecResponse"
			field { name: "metricSpecs" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".externalscaler.MetricSpec" } }
		message_type { name: "MetricValue"
			field { name: "metricName" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
			field { name: "metricValue" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
			field { name: "metricValueFloat" number: 3 type: TYPE_DOUBLE label: LABEL_OPTIONAL } }
		message_type { name: "GetMetricsResponse"
			field { name: "metricValues" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED type_name: ".externalscaler.MetricValue" } }`
	file := new(descriptorpb.FileDescriptorProto)
	if err := prototext.Unmarshal([]byte(text), file); err != nil {
		panic(err)
	}
	built, err := protodesc.NewFile(file, nil)
	if err != nil {
		panic(err)
	}
	return built.Messages()
})

// message is a message of KEDA's by its JSON.
func message(t testing.TB, name protoreflect.Name, text string) *dynamicpb.Message {
	t.Helper()
	m := dynamicpb.NewMessage(messages().ByName(name))
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func same(t *testing.T, got *dynamicpb.Message, want string) {
	t.Helper()
	if w := message(t, got.Descriptor().Name(), want); !proto.Equal(got, w) {
		t.Errorf("answered %v, want %v", got, w)
	}
}

// values are metrics by "namespace/name selector"; what is not there is not found.
type values struct {
	mu  sync.Mutex
	all map[string]any // []string of quantities, or an error
}

func (v *values) set(key string, to any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all[key] = to
}

func (v *values) GetExternalMetric(
	_ context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo,
) (*external_metrics.ExternalMetricValueList, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := new(external_metrics.ExternalMetricValueList)
	switch of := v.all[strings.TrimSpace(namespace+"/"+info.Metric+" "+selector.String())].(type) {
	case []string:
		for _, q := range of {
			list.Items = append(list.Items, external_metrics.ExternalMetricValue{Value: resource.MustParse(q)})
		}
		return list, nil
	case error:
		return nil, of
	default:
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "external"}, info.Metric)
	}
}

func start(t *testing.T, c Config, m Metrics) (address string) {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	c.Validate(func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	s, err := New(Options{Config: c, Metrics: m})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Address()
}

func connect(t *testing.T, address string, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ref(metadata map[string]string) string {
	text, _ := json.Marshal(map[string]any{"name": "gpu", "namespace": "ml", "scalerMetadata": metadata})
	return string(text)
}

func call(t *testing.T, conn *grpc.ClientConn, method string, request, answer protoreflect.Name, text string) (*dynamicpb.Message, error) {
	t.Helper()
	m := dynamicpb.NewMessage(messages().ByName(answer))
	return m, conn.Invoke(t.Context(), "/externalscaler.ExternalScaler/"+method, message(t, request, text), m)
}

func TestAnswers(t *testing.T) {
	metrics := &values{all: map[string]any{
		"ml/Queue":                          []string{"2500m", "4"},
		"ml/queue_forecast engine in (a,b)": []string{"0"},
		"ml/late":                           apierrors.NewServiceUnavailable("cannot tell late: its last value is 10m old"),
	}}
	conn := connect(t, start(t, Config{Insecure: true}, metrics), insecure.NewCredentials())
	trigger := ref(map[string]string{"scalerAddress": "foresail:6000", "metricName": "Queue", "targetValue": "2.5", "activationTargetValue": "6.4"})

	got, err := call(t, conn, "GetMetricSpec", "ScaledObjectRef", "GetMetricSpecResponse", trigger)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, `{"metricSpecs": [{"metricName": "Queue", "targetSize": "3", "targetSizeFloat": 2.5}]}`)

	got, err = call(t, conn, "IsActive", "ScaledObjectRef", "IsActiveResponse", trigger)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, `{"result": true}`) // 2.5 + 4 > 6.4

	// The HPA asks in lower case and gets its own word back.
	got, err = call(t, conn, "GetMetrics", "GetMetricsRequest", "GetMetricsResponse", `{"scaledObjectRef": `+trigger+`, "metricName": "queue"}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, `{"metricValues": [{"metricName": "queue", "metricValue": "7", "metricValueFloat": 6.5}]}`)

	idle := ref(map[string]string{"metricName": "queue_forecast", "selector": "engine in (a, b)", "targetValue": "1"})
	got, err = call(t, conn, "IsActive", "ScaledObjectRef", "IsActiveResponse", idle)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, `{}`) // 0 is not above 0
	got, err = call(t, conn, "GetMetrics", "GetMetricsRequest", "GetMetricsResponse", `{"scaledObjectRef": `+idle+`, "metricName": "queue_forecast"}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, `{"metricValues": [{"metricName": "queue_forecast"}]}`)
}

// What is not known is an error of every method that would need it, and so is a trigger that cannot be meant.
func TestRefuses(t *testing.T) {
	metrics := &values{all: map[string]any{
		"ml/late":   apierrors.NewServiceUnavailable("cannot tell late: its last value is 10m old"),
		"ml/theirs": apierrors.NewForbidden(schema.GroupResource{}, "theirs", errors.New("not for ml")),
		"ml/odd":    apierrors.NewBadRequest("foresail.io/lead is what?"),
		"ml/queue":  []string{"1"},
	}}
	conn := connect(t, start(t, Config{Insecure: true}, metrics), insecure.NewCredentials())
	for name, tt := range map[string]struct {
		metadata map[string]string
		code     codes.Code
		says     string
	}{
		"stale":            {map[string]string{"metricName": "late", "targetValue": "1"}, codes.Unavailable, "its last value is 10m old"},
		"forbidden":        {map[string]string{"metricName": "theirs", "targetValue": "1"}, codes.PermissionDenied, "not for ml"},
		"refused":          {map[string]string{"metricName": "odd", "targetValue": "1"}, codes.InvalidArgument, "foresail.io/lead is what?"},
		"no such metric":   {map[string]string{"metricName": "other", "targetValue": "1"}, codes.NotFound, `"other" not found`},
		"no metric":        {map[string]string{"targetValue": "1"}, codes.InvalidArgument, "ScaledObject ml/gpu: metricName is missing"},
		"no target":        {map[string]string{"metricName": "queue"}, codes.InvalidArgument, `targetValue is ""`},
		"a target of 0":    {map[string]string{"metricName": "queue", "targetValue": "0"}, codes.InvalidArgument, `targetValue is "0"`},
		"a target of NaN":  {map[string]string{"metricName": "queue", "targetValue": "NaN"}, codes.InvalidArgument, `targetValue is "NaN"`},
		"infinite":         {map[string]string{"metricName": "queue", "targetValue": "Inf"}, codes.InvalidArgument, `targetValue is "Inf"`},
		"a bad activation": {map[string]string{"metricName": "queue", "targetValue": "1", "activationTargetValue": "-1"}, codes.InvalidArgument, `activationTargetValue is "-1"`},
		"a bad selector":   {map[string]string{"metricName": "queue", "targetValue": "1", "selector": "a=b=c"}, codes.InvalidArgument, "selector: "},
		"a slip":           {map[string]string{"metricName": "queue", "targetValue": "1", "selecter": "a=b"}, codes.InvalidArgument, `unknown key "selecter"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := call(t, conn, "IsActive", "ScaledObjectRef", "IsActiveResponse", ref(tt.metadata))
			if status.Code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("IsActive: %v, want %v with %q", err, tt.code, tt.says)
			}
			_, err = call(t, conn, "GetMetrics", "GetMetricsRequest", "GetMetricsResponse",
				`{"scaledObjectRef": `+ref(tt.metadata)+`, "metricName": "`+tt.metadata["metricName"]+`"}`)
			if status.Code(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("GetMetrics: %v, want %v with %q", err, tt.code, tt.says)
			}
		})
	}
	_, err := call(t, conn, "GetMetrics", "GetMetricsRequest", "GetMetricsResponse",
		`{"scaledObjectRef": `+ref(map[string]string{"metricName": "queue", "targetValue": "1"})+`, "metricName": "late"}`)
	if status.Code(err) != codes.NotFound {
		t.Errorf("another metric than the trigger's: %v", err)
	}
	big := ref(map[string]string{"metricName": strings.Repeat("x", maxMessage), "targetValue": "1"})
	if _, err := call(t, conn, "IsActive", "ScaledObjectRef", "IsActiveResponse", big); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message of more than %d bytes: %v", maxMessage, err)
	}
}

// stream is the server's end of one that never fails.
type stream struct {
	grpc.ServerStream
	ctx context.Context
	o   scaledObject
	got chan bool
}

func (s *stream) Context() context.Context { return s.ctx }
func (s *stream) RecvMsg(m any) error      { *m.(*scaledObject) = s.o; return nil }
func (s *stream) SendMsg(m any) error      { s.got <- bool(m.(activity)); return nil }

// A stream says what changes: not active, then active within a poll, nothing while it is not known, and not active again.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		metrics := &values{all: map[string]any{"ml/queue": []string{"0"}}}
		ctx, cancel := context.WithCancel(t.Context())
		st := &stream{
			ctx: ctx, got: make(chan bool, 10),
			o: scaledObject{name: "gpu", namespace: "ml", metadata: map[string]string{"metricName": "queue", "targetValue": "1"}},
		}
		ended := make(chan error, 1)
		go func() { ended <- (&Server{metrics: metrics}).stream(st) }()
		for _, step := range []struct {
			value any
			says  []bool
		}{
			{[]string{"0"}, []bool{false}},
			{[]string{"0"}, nil},
			{[]string{"3"}, []bool{true}},
			{apierrors.NewServiceUnavailable("stale"), nil},
			{[]string{"2"}, nil},
			{[]string{"0"}, []bool{false}},
		} {
			metrics.set("ml/queue", step.value)
			time.Sleep(3 * poll)
			synctest.Wait()
			if len(st.got) != len(step.says) || len(step.says) > 0 && <-st.got != step.says[0] {
				t.Fatalf("with %v it says %d things, want %v", step.value, len(st.got), step.says)
			}
		}
		cancel()
		if err := <-ended; status.Code(err) != codes.Canceled {
			t.Errorf("a stream whose client is gone ends with %v", err)
		}
		// A metric that is not there is told at once.
		st.o.metadata["metricName"], st.ctx = "other", t.Context()
		if err := (&Server{metrics: metrics}).stream(st); status.Code(err) != codes.NotFound {
			t.Errorf("no such metric: %v", err)
		}
	})
}

// Only who shows a certificate of the authority is answered, and files that are replaced count from the next connection on.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	first, second := authority.New(t), authority.New(t)
	first.Write(t, "foresail", file("ca"), file("cert"), file("key"))
	metrics := &values{all: map[string]any{"ml/queue": []string{"1"}}}
	address := start(t, Config{CertFile: file("cert"), KeyFile: file("key"), ClientCAFile: file("ca")}, metrics)
	trigger := ref(map[string]string{"metricName": "queue", "targetValue": "1"})
	asks := func(pool *x509.CertPool, pairs ...tls.Certificate) error {
		conn := connect(t, address, credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: "foresail", Certificates: pairs, MinVersion: tls.VersionTLS12}))
		_, err := call(t, conn, "IsActive", "ScaledObjectRef", "IsActiveResponse", trigger)
		return err
	}
	if err := asks(first.Pool(), first.Pair(t, "keda")); err != nil {
		t.Error(err)
	}
	if err := asks(first.Pool()); status.Code(err) != codes.Unavailable {
		t.Errorf("without a certificate: %v", err)
	}
	if err := asks(first.Pool(), second.Pair(t, "keda")); status.Code(err) != codes.Unavailable {
		t.Errorf("with a certificate of somebody else: %v", err)
	}
	plain := connect(t, address, insecure.NewCredentials())
	if _, err := call(t, plain, "IsActive", "ScaledObjectRef", "IsActiveResponse", trigger); status.Code(err) != codes.Unavailable {
		t.Errorf("without TLS: %v", err)
	}
	second.Write(t, "foresail", file("ca"), file("cert"), file("key"))
	if err := asks(second.Pool(), second.Pair(t, "keda")); err != nil {
		t.Errorf("after the files were replaced: %v", err)
	}
	if err := asks(second.Pool(), first.Pair(t, "keda")); err == nil {
		t.Error("the authority of before is still trusted")
	}
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		c    Config
		want string
	}{
		"good":         {Config{Listen: ":6000", CertFile: "cert", KeyFile: "key", ClientCAFile: "ca"}, ""},
		"good, open":   {Config{Listen: "127.0.0.1:0", Insecure: true}, ""},
		"no port":      {Config{Listen: "foresail", Insecure: true}, `listen: "foresail" is not host:port`},
		"nothing":      {Config{}, `listen: "" is not host:port`},
		"no files":     {Config{Listen: ":1", CertFile: "cert"}, "keyFile: missing"},
		"open and not": {Config{Listen: ":1", Insecure: true, KeyFile: "key"}, "keyFile: not used with insecure"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			tt.c.Validate(func(field, problem string) { got = append(got, field+": "+problem) })
			if joined := strings.Join(got, "\n"); (tt.want == "") != (joined == "") || !strings.Contains(joined, tt.want) {
				t.Errorf("it says %q, want %q", joined, tt.want)
			}
		})
	}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	authority.New(t).Write(t, "foresail", file("ca"), file("cert"), file("key"))
	if err := os.WriteFile(file("empty"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]string{"empty": "holds no PEM certificate", "nowhere": "no such file"} {
		c := Config{Listen: "127.0.0.1:0", CertFile: file("cert"), KeyFile: file("key"), ClientCAFile: file(ca)}
		if _, err := New(Options{Config: c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an authority that is %s: %v", ca, err)
		}
	}
	c := Config{Listen: "127.0.0.1:0", CertFile: file("cert"), KeyFile: file("ca"), ClientCAFile: file("ca")}
	if _, err := New(Options{Config: c}); err == nil || !strings.Contains(err.Error(), "cannot use kedaScaler's certFile with its keyFile") {
		t.Errorf("a key that is none: %v", err)
	}
	if _, err := New(Options{Config: Config{Listen: taken(t), Insecure: true}}); err == nil || !strings.Contains(err.Error(), "change kedaScaler.listen") {
		t.Errorf("an address that is taken: %v", err)
	}
}

func taken(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// FuzzDecode holds that what protobuf's own library can read comes to the same here, and the rest is an error, or skipped.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{`{}`, `{"scaledObjectRef": ` + ref(map[string]string{"metricName": "queue", "": "x"}) + `, "metricName": "queue"}`} {
		data, err := proto.Marshal(message(f, "GetMetricsRequest", text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{0x0a, 0x7f})
	f.Fuzz(func(t *testing.T, data []byte) {
		var r metricsRequest
		err := r.decode(data)
		m := dynamicpb.NewMessage(messages().ByName("GetMetricsRequest"))
		if proto.Unmarshal(data, m) != nil {
			return
		}
		if err != nil {
			t.Fatalf("%v, and protobuf reads %v", err, m)
		}
		fields := m.Descriptor().Fields()
		o := m.Get(fields.ByName("scaledObjectRef")).Message()
		of := o.Descriptor().Fields()
		text := func(name protoreflect.Name) string { return o.Get(of.ByName(name)).String() }
		if r.metric != m.Get(fields.ByName("metricName")).String() || r.object.name != text("name") || r.object.namespace != text("namespace") {
			t.Errorf("%+v, and protobuf reads %v", r, m)
		}
		all := o.Get(of.ByName("scalerMetadata")).Map()
		if all.Len() != len(r.object.metadata) {
			t.Errorf("%d pairs, and protobuf reads %d", len(r.object.metadata), all.Len())
		}
		all.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			if r.object.metadata[k.String()] != v.String() {
				t.Errorf("%q is %q, and protobuf reads %q", k.String(), r.object.metadata[k.String()], v.String())
			}
			return true
		})
	})
}

// Values are read back as they were by protobuf's own library, those beyond what an integer holds too.
func TestEncode(t *testing.T) {
	for _, v := range []float64{0, 0.001, 1, 1e9, 1e300, math.MaxInt64} {
		m := dynamicpb.NewMessage(messages().ByName("GetMetricsResponse"))
		if err := proto.Unmarshal(metric{"m", v}.encode(), m); err != nil {
			t.Fatal(err)
		}
		one := m.Get(m.Descriptor().Fields().ByNumber(1)).List().Get(0).Message()
		if got := one.Get(one.Descriptor().Fields().ByNumber(3)).Float(); got != v {
			t.Errorf("%g is read as %g", v, got)
		}
		if got := one.Get(one.Descriptor().Fields().ByNumber(2)).Int(); got < 0 || v < 1e15 && float64(got) != math.Ceil(v) {
			t.Errorf("%g is read as %d", v, got)
		}
	}
}
