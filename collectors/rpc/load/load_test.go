package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/foresail/foresail/collectors/rpc/page"
)

const text = "text/plain; version=0.0.4"

// at is a time some seconds after the first reading.
func at(seconds int) time.Time { return time.Unix(1_000_000+int64(seconds), 0) }

func parse(t *testing.T, body string, seconds int) page.Page {
	t.Helper()
	p, err := page.Parse([]byte(body), text, at(seconds))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStarted(t *testing.T) {
	line := func(method string, n string) string {
		return `grpc_server_started_total{grpc_service="a.B",grpc_method="` + method + `"} ` + n + "\n"
	}
	for _, tt := range []struct {
		name, before, after string
		want                float64
	}{
		{"steady", line("C", "100"), line("C", "250"), 150},
		{"two methods", line("C", "100") + line("D", "0"), line("C", "110") + line("D", "40"), 10 + 40},
		{"a method's first calls", line("C", "100"), line("C", "100") + line("D", "30"), 30}, // from 0
		{"idle", line("C", "100"), line("C", "100"), 0},
		{"restart", line("C", "100"), line("C", "20"), 20}, // those since the start
		{"restart, one method overtook", line("C", "100") + line("D", "1"), line("C", "20") + line("D", "10"), 20 + 10},
		{"restart, a method is not back", line("C", "100") + line("D", "9"), line("C", "120"), 120},
		{"restart that only its time tells", "process_start_time_seconds 1000\n" + line("C", "100"),
			"process_start_time_seconds 2000\n" + line("C", "140"), 140},
		{"infrastructure", line("C", "100"), line("C", "110") + `grpc_server_started_total{grpc_service="grpc.health.v1.Health",grpc_method="Check"} 500` + "\n", 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, now := parse(t, tt.before, 0), parse(t, tt.after, 10)
			got, ok := Between(&before, &now)
			if !ok || got.Started != tt.want || got.Seconds != 10 {
				t.Errorf("%+v, %v; want %v started in 10 s", got, ok, tt.want)
			}
		})
	}
	one := parse(t, line("C", "1"), 0)
	if _, ok := Between(&one, &one); ok {
		t.Error("something happened in no time")
	}
	// The first call of a server whose page was empty before: it counts from 0.
	before, now := page.Page{At: at(0)}, parse(t, line("C", "4"), 10)
	if got, ok := Between(&before, &now); !ok || got.Started != 4 {
		t.Errorf("first calls: %+v, %v", got, ok)
	}
	if _, ok := Between(&before, &page.Page{At: at(10)}); ok {
		t.Error("something is known of a server without counters")
	}
}

// TestRatiosAndMean: of 20 calls that ended in 10 s, 2 were the server's fault and 5 turned away; they took 30 s in all.
func TestRatiosAndMean(t *testing.T) {
	body := func(ok, internal, exhausted int, seconds float64, stream int) string {
		return fmt.Sprintf(`grpc_server_started_total{grpc_type="unary",grpc_method="C"} %d
grpc_server_handled_total{grpc_type="unary",grpc_method="C",grpc_code="OK"} %d
grpc_server_handled_total{grpc_type="unary",grpc_method="C",grpc_code="Internal"} %d
grpc_server_handled_total{grpc_type="unary",grpc_method="C",grpc_code="ResourceExhausted"} %d
grpc_server_handling_seconds_sum{grpc_type="unary",grpc_method="C"} %v
grpc_server_handling_seconds_sum{grpc_type="server_stream",grpc_method="W"} %d
`, ok+internal+exhausted, ok, internal, exhausted, seconds, stream)
	}
	before, now := parse(t, body(100, 1, 10, 50, 0), 0), parse(t, body(113, 3, 15, 80, 5000), 10)
	in, _ := Between(&before, &now)
	faults, overloads, known := in.Ratios()
	if !known || faults != 0.1 || overloads != 0.25 { // 2 / 20 and 5 / 20
		t.Errorf("ratios %v, %v, %v", faults, overloads, known)
	}
	if mean, known := in.Mean(); !known || mean != 3 { // 30 s / 10 s; the stream that ended after 5,000 s is left out
		t.Errorf("mean %v, %v", mean, known)
	}
	still := now
	still.At = at(20)
	in, _ = Between(&now, &still)
	if _, _, known := in.Ratios(); known {
		t.Error("ratios of no calls")
	}
	if mean, known := in.Mean(); !known || mean != 0 {
		t.Errorf("mean of no calls %v, %v", mean, known)
	}
	before, now = parse(t, "grpc_server_started_total 1\n", 0), parse(t, "grpc_server_started_total 1\n", 10)
	in, _ = Between(&before, &now)
	if _, known := in.Mean(); known {
		t.Error("a mean without durations")
	}
}

// slowQuantile spreads the calls of each bucket evenly over it, one by one, and takes the one at the rank.
func slowQuantile(q float64, c page.Classic) float64 {
	const per = 200 // parts of a call
	var parts []float64
	lower, below := 0., 0.
	for i, bound := range c.Bounds {
		n := int((c.Counts[i] - below) * per)
		for k := range n {
			if math.IsInf(bound, 1) {
				parts = append(parts, bound)
			} else {
				parts = append(parts, lower+(bound-lower)*(float64(k)+0.5)/float64(n))
			}
		}
		lower, below = bound, c.Counts[i]
	}
	return parts[min(int(q*float64(len(parts))), len(parts)-1)]
}

func TestClassicQuantile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		c := page.Classic{Bounds: []float64{0.01, 0.1, 0.5, 1, 5, math.Inf(1)}, Counts: make([]float64, 6)}
		var buckets promql.Buckets
		sum := 0.
		for i := range c.Counts {
			sum += float64(random.IntN(4) * random.IntN(20))
			c.Counts[i] = sum
			buckets = append(buckets, promql.Bucket{UpperBound: c.Bounds[i], Count: sum})
		}
		if sum == 0 {
			continue
		}
		q := float64(random.IntN(99)+1) / 100
		l := Latency{classic: c}
		got, calls := l.Quantile(q)
		if calls != sum {
			t.Fatalf("%v calls of %v", calls, sum)
		}
		slow := slowQuantile(q, c)
		if math.IsInf(got, 1) != math.IsInf(slow, 1) || !math.IsInf(got, 1) && math.Abs(got-slow) > 5e-3*max(slow, 0.01)+1e-3 {
			t.Errorf("quantile %v of %v is %v, one by one %v", q, c, got, slow)
		}
		// Prometheus answers with the highest bound where the quantile lies above it.
		if oracle, _, _, _, _, _ := promql.BucketQuantile(q, buckets); !math.IsInf(got, 1) && math.Abs(got-oracle) > 1e-12 || math.IsInf(got, 1) && oracle != 5 {
			t.Errorf("quantile %v of %v is %v, by Prometheus %v", q, c, got, oracle)
		}
	}
	var none Latency
	if v, calls := none.Quantile(0.5); !math.IsNaN(v) || calls != 0 {
		t.Errorf("quantile of nothing: %v of %v", v, calls)
	}
}

func native(random *rand.Rand, schema int32, zero float64) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{Schema: schema, ZeroThreshold: zero, ZeroCount: float64(random.IntN(3)), CounterResetHint: histogram.GaugeType}
	n := 1 + random.IntN(12)
	h.PositiveSpans = []histogram.Span{{Offset: -5, Length: uint32(n)}}
	h.Count = h.ZeroCount
	for range n {
		b := float64(random.IntN(30))
		h.PositiveBuckets, h.Count = append(h.PositiveBuckets, b), h.Count+b
	}
	return h
}

func TestNativeQuantile(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		a, b := native(random, 3, 1e-9), native(random, int32(random.IntN(5)), 1e-8)
		var all Latency
		all.Add(Latency{native: map[float64]*histogram.FloatHistogram{1000: a}})
		all.Add(Latency{native: map[float64]*histogram.FloatHistogram{1000: b}})
		sum := a.Copy()
		if _, _, _, err := sum.Add(b); err != nil {
			t.Fatal(err)
		}
		if sum.Count == 0 {
			continue
		}
		q := float64(random.IntN(99)+1) / 100
		got, calls := all.Quantile(q)
		oracle, _ := promql.HistogramQuantile(q, sum, "", posrange.PositionRange{})
		if calls != a.Count+b.Count || math.Abs(got-oracle/1000) > 1e-9*oracle {
			t.Errorf("quantile %v of %v is %v of %v calls, by Prometheus %v ms", q, sum, got, calls, oracle)
		}
	}
}

// TestNativeBetween: a lower resolution and a wider zero bucket are no restart.
func TestNativeBetween(t *testing.T) {
	read := func(h *histogram.FloatHistogram, started float64, seconds int) *page.Page {
		return &page.Page{At: at(seconds), Family: "f", Native: page.Native{FloatHistogram: h, Per: 1}, Calls: map[page.Method]page.Calls{{}: {Started: started, Ended: started}}}
	}
	before := &histogram.FloatHistogram{
		Schema: 3, ZeroThreshold: 1e-9, ZeroCount: 1, Count: 7, PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []float64{2, 4},
	}
	now := before.Copy()
	now.PositiveBuckets[1] += 10
	now.Count += 10
	coarse := now.CopyToSchema(1)
	wide := now.Copy()
	wide.ZeroThreshold = 1e-6
	for name, h := range map[string]*histogram.FloatHistogram{"same": now, "falling schema": coarse, "wider zero bucket": wide} {
		in, ok := Between(read(before, 7, 0), read(h, 17, 10))
		if got, calls := in.Latency.Quantile(0.5); !ok || calls != 10 || !(got > 1 && got < 2) {
			t.Errorf("%s: %v of %v calls", name, got, calls)
		}
	}
	smaller := before.Copy()
	smaller.PositiveBuckets[0], smaller.Count = 1, 6
	in, _ := Between(read(before, 7, 0), read(smaller, 17, 10))
	if _, calls := in.Latency.Quantile(0.5); calls != 6 {
		t.Errorf("after a reset %v calls, want the 6 since", calls)
	}
}

// TestMerge: a rolling update leaves pods with other bounds beside each other.
func TestMerge(t *testing.T) {
	classic := func(bounds []float64, counts ...float64) Latency {
		return Latency{classic: page.Classic{Bounds: append(slices.Clone(bounds), math.Inf(1)), Counts: counts}}
	}
	var l Latency
	l.Add(Latency{})
	l.Add(classic([]float64{0.1, 0.5, 1}, 10, 20, 30, 30))
	l.Add(classic([]float64{0.1, 0.25, 1}, 0, 5, 10, 10))
	if got := fmt.Sprint(l.classic); got != "{[0.1 1 +Inf] [10 40 40]}" {
		t.Errorf("merged %v", got)
	}
	// 10 of 40 calls took at most 0.1 s: the median is at call 20, 10/30 of the way from 0.1 to 1.
	if got, calls := l.Quantile(0.5); math.Abs(got-(0.1+0.9*10/30)) > 1e-12 || calls != 40 {
		t.Errorf("median %v of %v", got, calls)
	}
	// Servers that have no bound in common tell nothing, which is not the same as very long.
	var apart Latency
	apart.Add(classic([]float64{0.1}, 100, 100))
	apart.Add(classic([]float64{0.2}, 100, 100))
	if got, calls := apart.Quantile(0.5); !math.IsNaN(got) || calls != 0 {
		t.Errorf("without a common bound the median is %v of %v", got, calls)
	}
	few := native(rand.New(rand.NewPCG(1, 1)), 3, 1e-9)
	for few.Count >= 40 {
		few.Mul(0.5)
	}
	l.Add(Latency{native: map[float64]*histogram.FloatHistogram{1: few}})
	if _, calls := l.Quantile(0.5); calls != 40 {
		t.Errorf("the kind of histogram with fewer calls tells: %v of them", calls)
	}
}

func TestIdle(t *testing.T) {
	type step struct {
		seconds int
		seen    Seen
		want    float64
		known   bool
	}
	good, busy := Seen{Read: 2, Want: 2, Knows: true}, Seen{Read: 2, Want: 2, Knows: true, Busy: true}
	for name, steps := range map[string][]step{
		"since the first reading":            {{0, good, 0, false}, {15, good, 15, true}, {30, good, 30, true}},
		"a call":                             {{0, good, 0, false}, {15, busy, 0, true}, {30, good, 15, true}},
		"one of ten readings may be missing": {{0, good, 0, false}, {15, good, 15, true}, {30, Seen{Read: 1, Want: 2, Knows: true}, 30, false}, {45, good, 45, false}, {60, good, 60, true}},
		"no server, then one":                {{0, good, 0, false}, {15, Seen{Knows: true}, 0, false}, {30, good, 15, true}},
		"a gap, but a call":                  {{0, good, 0, false}, {15, Seen{Want: 2, Knows: true}, 15, false}, {30, busy, 0, true}, {45, good, 15, false}},
		"unknown what is in flight":          {{0, Seen{Read: 2, Want: 2}, 0, false}, {15, Seen{Read: 2, Want: 2}, 0, false}},
		"a gap is forgotten after 5 minutes": {{0, good, 0, false}, {15, Seen{Want: 2, Knows: true}, 15, false}, {314, good, 314, false}, {330, good, 330, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var idle Idle
			for _, s := range steps {
				s.seen.At = at(s.seconds)
				if got, known := idle.Update(s.seen); got != s.want || known != s.known {
					t.Errorf("after %d s: %v, %v; want %v, %v", s.seconds, got, known, s.want, s.known)
				}
			}
		})
	}
}
