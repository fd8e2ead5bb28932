package cloudwatch

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast/series"
)

var moto = flag.String("moto", "", "the address of moto's server, to test against its CloudWatch")

// answers is a backend with one vector for each query.
type answers map[string][]series.Point

func (a answers) Query(_ context.Context, query string, at time.Time) ([]series.Point, error) {
	points, known := a[query]
	if !known {
		return nil, errors.New("the backend is away")
	}
	for i := range points {
		points[i].Time = at
	}
	return points, nil
}

func point(value float64, labels ...string) series.Point {
	var ls []series.Label
	for i := 0; i < len(labels); i += 2 {
		ls = append(ls, series.Label{Name: labels[i], Value: labels[i+1]})
	}
	return series.Point{Key: series.NewKey("", ls...), Sample: series.Sample{Value: value}}
}

// newExporter returns an exporter to an address with credentials from the environment, as a task of ECS has them.
func newExporter(t *testing.T, endpoint string, backend Querier, interval time.Duration, metrics ...Metric) (*Exporter, *prometheus.Registry) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	config := Config{Region: "eu-central-1", Endpoint: endpoint, Namespace: "Pipestream/Kafka", Interval: interval, Metrics: metrics}
	config.Default()
	config.Validate(func(field, problem string) { t.Errorf("%s: %s", field, problem) })
	registry := prometheus.NewRegistry()
	e, err := New(t.Context(), Options{
		Config: config, Backends: map[string]Querier{"": backend}, Logger: slog.New(slog.DiscardHandler), Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	patient := e.client.Options().RetryMaxAttempts
	e.client = cloudwatch.New(e.client.Options(), func(o *cloudwatch.Options) { // As often, with shorter pauses.
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) { r.MaxAttempts, r.MaxBackoff = patient, 10*time.Millisecond })
	})
	return e, registry
}

// server speaks CloudWatch's protocol, RPC v2 in CBOR, and keeps what it was sent.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []cbor.Map
	sizes    []int
	// fail answers in place of success, if it returns a status.
	fail func(attempt int) (status int, code string)
	asks int
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{fail: func(int) (int, string) { return 0, "" }}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("smithy-protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		s.asks++
		if status, code := s.fail(s.asks); status != 0 {
			w.WriteHeader(status)
			_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + code), "message": cbor.String("no")}))
			return
		}
		if !strings.HasSuffix(r.URL.Path, "/operation/PutMetricData") || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") {
			t.Errorf("%s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		body, size, err := decompressed(r)
		if err != nil {
			t.Error(err)
		}
		value, err := cbor.Decode(body)
		if err != nil {
			t.Errorf("cannot decode the request: %v", err)
		}
		request, _ := value.(cbor.Map)
		s.requests, s.sizes = append(s.requests, request), append(s.sizes, size)
		_, _ = w.Write(cbor.Encode(cbor.Map{}))
	}))
	t.Cleanup(s.Close)
	return s
}

// decompressed returns a body and its size as CloudWatch counts it: unpacked.
func decompressed(r *http.Request) ([]byte, int, error) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, e := gzip.NewReader(bytes.NewReader(body))
		if e != nil {
			return nil, 0, e
		}
		body, err = io.ReadAll(unpacked)
	}
	return body, len(body), err
}

// data is what was sent, one text for each value.
func (s *server) data(t *testing.T) []string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.requests {
		list, _ := r["MetricData"].(cbor.List)
		for _, item := range list {
			d, _ := item.(cbor.Map)
			var dimensions []string
			for _, dim := range d["Dimensions"].(cbor.List) {
				m := dim.(cbor.Map)
				dimensions = append(dimensions, fmt.Sprintf("%v=%v", m["Name"], m["Value"]))
			}
			stamp, _ := d["Timestamp"].(*cbor.Tag)
			all = append(all, fmt.Sprintf("%v/%v %v %v %v res %v at %v", r["Namespace"], d["MetricName"], dimensions, d["Value"], d["Unit"],
				d["StorageResolution"], stamp.Value))
		}
	}
	slices.Sort(all)
	return all
}

var at = time.Unix(1_800_000_000, 0)

func TestValuesAreWritten(t *testing.T) {
	s := newServer(t)
	e, registry := newExporter(t, s.URL, answers{
		"lag":    {point(1200, "consumergroup", "invoicing", "cluster", "a"), point(0, "consumergroup", "mail", "cluster", "a")},
		"growth": {point(-2.5)},
	}, 0,
		Metric{Name: "ConsumerLag", Query: "lag", Unit: "Count", Dimensions: map[string]string{"Stage": "prod"}, Labels: map[string]string{"consumergroup": "ConsumerGroup"}},
		Metric{Name: "LagGrowth", Query: "growth", Unit: "Count/Second", Dimensions: map[string]string{"ConsumerGroup": "invoicing"}})
	if err := e.write(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Pipestream/Kafka/ConsumerLag [ConsumerGroup=invoicing Stage=prod] 1200 Count res 60 at 1.8e+09",
		"Pipestream/Kafka/ConsumerLag [ConsumerGroup=mail Stage=prod] 0 Count res 60 at 1.8e+09",
		"Pipestream/Kafka/LagGrowth [ConsumerGroup=invoicing] -2.5 Count/Second res 60 at 1.8e+09",
	}
	if got := s.data(t); !slices.Equal(got, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := testutil.ToFloat64(e.metrics.sent); n != 3 {
		t.Errorf("%v sent", n)
	}
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// What is not known is not written, least of all as 0, and the rest is.
func TestUnknownIsNotWritten(t *testing.T) {
	s := newServer(t)
	e, _ := newExporter(t, s.URL, answers{
		"values": {point(math.NaN(), "g", "a"), point(math.Inf(1), "g", "b"), point(math.Ldexp(1, 361), "g", "c"), point(7, "g", "d")},
		"labels": {point(1), point(2, "g", "Köln"), point(3, "g", "e")},
		"twins":  {point(1, "g", "a", "topic", "x"), point(2, "g", "a", "topic", "y")},
		"empty":  {},
	}, 10*time.Second,
		Metric{Name: "Values", Query: "values", Labels: map[string]string{"g": "Group"}},
		Metric{Name: "Labels", Query: "labels", Labels: map[string]string{"g": "Group"}},
		Metric{Name: "Twins", Query: "twins", Labels: map[string]string{"g": "Group"}},
		Metric{Name: "Empty", Query: "empty"},
		Metric{Name: "Away", Query: "away"})
	err := e.write(t.Context(), at)
	for _, part := range []string{"NaN as Values", "+Inf as Values", "its label g is missing", "Köln", "two series", "Empty: its query gives no series", "Away: the backend is away"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in the error: %v", part, err)
		}
	}
	want := []string{
		"Pipestream/Kafka/Labels [Group=e] 3 None res 1 at 1.8e+09",
		"Pipestream/Kafka/Values [Group=d] 7 None res 1 at 1.8e+09",
	}
	if got := s.data(t); !slices.Equal(got, want) {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for reason, n := range map[string]float64{"value": 3, "dimension": 2, "duplicate": 1, "no_data": 1, "query": 1} {
		if got := testutil.ToFloat64(e.metrics.failed.WithLabelValues(reason)); got != n {
			t.Errorf("%v failed for %s, want %v", got, reason, n)
		}
	}
}

// answered has requests answered by a handler, without a network.
type answered struct{ http.Handler }

func (a answered) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result(), nil
}

// changing is a backend whose answers change.
type changing struct {
	answers
	mu *sync.Mutex
}

func (c changing) Query(ctx context.Context, query string, at time.Time) ([]series.Point, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers.Query(ctx, query, at)
}

// Values are written at every full interval of the clock, and the log tells each new reason why they are not, once.
func TestRun(t *testing.T) {
	s, backend := newServer(t), answers{"lag": {point(5)}}
	e, _ := newExporter(t, s.URL, changing{backend, &s.mu}, 10*time.Second, Metric{Name: "Lag", Query: "lag"})
	var log bytes.Buffer
	e.opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.String("at", a.Value.Time().UTC().Format(time.TimeOnly))
		}
		return a
	}}))
	synctest.Test(t, func(t *testing.T) { // It begins at midnight UTC.
		e.client = cloudwatch.New(e.client.Options(), func(o *cloudwatch.Options) { o.HTTPClient, o.Retryer = answered{s.Config.Handler}, aws.NopRetryer{} })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		after := func(d time.Duration, next func()) {
			time.Sleep(d)
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			next()
		}
		midnight := time.Now().Unix()
		after(7*time.Second, func() { go e.Run(ctx) })
		after(25*time.Second, func() { delete(backend, "lag") }) // 00:00:32
		for i, want := range []int64{10, 20, 30} {
			if got := s.data(t); len(got) != 3 || !strings.HasSuffix(got[i], fmt.Sprintf(" at %v", float64(midnight+want))) {
				t.Errorf("written: %q", got)
			}
		}
		after(20*time.Second, func() { backend["lag"] = nil }) // 00:00:52
		after(20*time.Second, func() {                         // 00:01:12
			backend["lag"] = []series.Point{point(5)}
			s.fail = func(int) (int, string) { return 403, "AccessDeniedException" }
		})
		after(20*time.Second, func() { s.fail = func(int) (int, string) { return 0, "" } }) // 00:01:32
		after(20*time.Second, cancel)                                                       // 00:01:52
	})
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	want := []string{
		"at=00:00:40 level=ERROR|the backend is away", "at=00:01:00 level=ERROR|its query gives no series", "at=00:01:20 level=ERROR|AccessDenied",
		`at=00:01:40 level=INFO msg="Writing to CloudWatch works again."|`,
	}
	if len(lines) != len(want) {
		t.Fatalf("logged\n%s", &log)
	}
	for i, line := range lines {
		if begin, part, _ := strings.Cut(want[i], "|"); !strings.HasPrefix(line, begin) || !strings.Contains(line, part) {
			t.Errorf("logged %q, want %q", line, want[i])
		}
	}
}

// No request is beyond the service's 1,000 values and 1 MB, and none is empty.
func TestBatches(t *testing.T) {
	for _, c := range []struct {
		name                    string
		series, label, requests int
	}{
		{"none", 0, 1, 0}, {"one", 1, 1, 1}, {"a full one", 1000, 5, 1}, {"one more", 1001, 5, 2},
		{"large ones", 1000, 1000, 2}, // 1,000 times some 1,240 bytes.
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			points := make([]series.Point, c.series)
			for i := range points {
				points[i] = point(float64(i), "g", fmt.Sprintf("%0*d", max(c.label, 4), i))
			}
			e, _ := newExporter(t, s.URL, answers{"q": points}, 0, Metric{Name: "M", Query: "q", Labels: map[string]string{"g": "G"}})
			if err := e.write(t.Context(), at); (err != nil) != (c.series == 0) {
				t.Fatal(err)
			}
			if len(s.requests) != c.requests || len(s.data(t)) != c.series {
				t.Errorf("%d values in %d requests, want %d in %d", len(s.data(t)), len(s.requests), c.series, c.requests)
			}
			for _, size := range s.sizes {
				if size > 1_000_000 {
					t.Errorf("a request of %d bytes", size)
				}
			}
		})
	}
}

// A request that can be sent again is; one that cannot is counted by why.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		fail   func(attempt int) (int, string)
		asks   int
		reason string // "" for success
	}{
		{"fails twice", func(n int) (int, string) {
			if n > 2 {
				return 0, ""
			}
			return 500, "InternalServiceFault"
		}, 3, ""},
		{"throttled", func(int) (int, string) { return 400, "ThrottlingException" }, attempts, "throttled"},
		{"down", func(int) (int, string) { return 503, "ServiceUnavailable" }, attempts, "unreachable"},
		{"not allowed", func(int) (int, string) { return 403, "AccessDeniedException" }, 1, "rejected"},
	} {
		s := newServer(t)
		s.fail = c.fail
		e, _ := newExporter(t, s.URL, answers{"q": {point(1)}}, 0, Metric{Name: "M", Query: "q"})
		err := e.write(t.Context(), at)
		if s.asks != c.asks || (err != nil) != (c.reason != "") {
			t.Errorf("%s: asked %d times, want %d; %v", c.name, s.asks, c.asks, err)
		}
		if c.reason != "" && testutil.ToFloat64(e.metrics.failed.WithLabelValues(c.reason)) != 1 {
			t.Errorf("%s: not counted as %s: %v", c.name, c.reason, err)
		}
		if got := testutil.ToFloat64(e.metrics.sent); (got == 1) != (c.reason == "") {
			t.Errorf("%s: %v sent", c.name, got)
		}
	}
}

func TestMistakesInTheConfig(t *testing.T) {
	config := Config{Namespace: "AWS/Kafka", Interval: time.Millisecond, Endpoint: "localhost", Metrics: []Metric{
		{Name: "Lag", Query: "lag", Unit: "Messages", Dimensions: map[string]string{"A": "", ":b": "x", "Group": "y"}, Labels: map[string]string{"g": "Group"}},
		{},
	}}
	var got []string
	config.Validate(func(field, _ string) { got = append(got, field) })
	want := []string{"namespace", "interval", "endpoint", "metrics[0].unit", "metrics[0].dimensions", "metrics[0].dimensions", "metrics[0].dimensions.A", "metrics[1].name", "metrics[1].query"}
	if !slices.Equal(got, want) {
		t.Errorf("mistakes in %q, want %q", got, want)
	}
}

// TestMoto has the CloudWatch of moto take what is written, and reads it back by the same SDK. Moto knows only the older of the
// service's protocols, so the requests are decoded on the way, and passed on in that one.
func TestMoto(t *testing.T) {
	if *moto == "" {
		t.Skip("no server: run make test-cloudwatch, which starts moto's")
	}
	points := make([]series.Point, 1500)
	for i := range points {
		points[i] = point(float64(i)+.5, "g", fmt.Sprint(i))
	}
	s := newServer(t)
	e, _ := newExporter(t, s.URL, answers{"lag": points}, 0,
		Metric{Name: "ConsumerLag", Query: "lag", Unit: "Count", Dimensions: map[string]string{"Stage": "prod"}, Labels: map[string]string{"g": "ConsumerGroup"}})
	now := time.Now().Truncate(time.Millisecond)
	if err := e.write(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	older := cloudwatch.New(e.client.Options(), func(o *cloudwatch.Options) {
		o.Protocol, o.BaseEndpoint = awsquery.New(schemas.GraniteServiceVersion20100801), moto
	})
	for _, r := range s.requests {
		if _, err := older.PutMetricData(t.Context(), decoded(r)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := older.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("Pipestream/Kafka"), MetricName: aws.String("ConsumerLag"), Period: aws.Int32(60), Statistics: []types.Statistic{types.StatisticMaximum},
		Dimensions: []types.Dimension{{Name: aws.String("ConsumerGroup"), Value: aws.String("1234")}, {Name: aws.String("Stage"), Value: aws.String("prod")}},
		StartTime:  aws.Time(now.Add(-time.Minute)), EndTime: aws.Time(now.Add(time.Minute)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Datapoints) != 1 || *got.Datapoints[0].Maximum != 1234.5 || got.Datapoints[0].Unit != types.StandardUnitCount {
		t.Errorf("CloudWatch has %+v", got.Datapoints)
	}
}

// decoded is a request as the SDK has it.
func decoded(request cbor.Map) *cloudwatch.PutMetricDataInput {
	text := func(m cbor.Map, name string) *string { return aws.String(string(m[name].(cbor.String))) }
	in := &cloudwatch.PutMetricDataInput{Namespace: text(request, "Namespace")}
	for _, item := range request["MetricData"].(cbor.List) {
		m := item.(cbor.Map)
		seconds := float64(m["Timestamp"].(*cbor.Tag).Value.(cbor.Float64))
		d := types.MetricDatum{
			MetricName: text(m, "MetricName"), Unit: types.StandardUnit(*text(m, "Unit")), Value: aws.Float64(float64(m["Value"].(cbor.Float64))),
			StorageResolution: aws.Int32(int32(m["StorageResolution"].(cbor.Uint))), Timestamp: aws.Time(time.UnixMilli(int64(seconds * 1000))),
		}
		for _, dimension := range m["Dimensions"].(cbor.List) {
			d.Dimensions = append(d.Dimensions, types.Dimension{Name: text(dimension.(cbor.Map), "Name"), Value: text(dimension.(cbor.Map), "Value")})
		}
		in.MetricData = append(in.MetricData, d)
	}
	return in
}
