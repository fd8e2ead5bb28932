package ceiling

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// backend is what the queries have been answered.
type backend map[string]*standing.Result

func (b backend) Lookup(name string) (*standing.Result, bool) {
	r, ok := b[name]
	return r, ok
}

// answered is a result of an age; values are of series that a label tells apart.
func answered(age time.Duration, values ...float64) *standing.Result {
	r := &standing.Result{At: time.Now().Add(-age)}
	for i, v := range values {
		key := series.NewKey("", series.Label{Name: "part", Value: fmt.Sprint(i)})
		r.Points = append(r.Points, series.Point{Key: key, Sample: series.Sample{Value: v}})
	}
	return r
}

// outlooks are forecasts of every series: a path that is as high throughout.
type outlooks map[string]float64

func (o outlooks) Outlook(metric string, _ series.Key) (*forecast.Outlook, bool) {
	v, ok := o[metric]
	if !ok {
		return nil, false
	}
	all := [][]float64{{v, v}, {v, v}, {v, v}, {v, v}, {v, v}, {v, v}}
	return &forecast.Outlook{
		Issued: time.Now(), Step: 5 * time.Minute, Levels: []float64{.5, .9}, Points: all, Windows: all,
		State: forecast.State{Reason: forecast.Trusted},
	}, true
}

// serve returns a provider of the metrics as it serves them below their ceilings, and the registry of the ceilings' metrics.
func serve(t *testing.T, metrics []rules.Metric, pools []Pool, table backend, ahead outlooks) (*adapter.Provider, *prometheus.Registry) {
	t.Helper()
	fail := func(field, problem string) { t.Fatalf("%s: %s", field, problem) }
	backends := []rules.Backend{{Name: "main"}}
	for i := range metrics {
		metrics[i].External = &rules.External{}
		metrics[i].Query = "x"
	}
	for i := range pools {
		for k := range pools[i].Members {
			pools[i].Members[k].Default()
		}
	}
	Validate(pools, metrics, backends, fail)
	built := rules.Build(metrics, backends, fail)
	options := adapter.Options{Table: table, Outlooks: ahead, Registerer: prometheus.NewRegistry()}
	for _, r := range built {
		m := adapter.Metric{Name: r.Name, MaxAge: r.MaxAge, External: &adapter.External{}}
		if r.Forecast != nil {
			m.Forecast = &adapter.Forecast{Lead: r.Forecast.Lead, Quantile: r.Forecast.Quantile}
		}
		options.Metrics = append(options.Metrics, m)
	}
	bare, err := adapter.New(options)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	c, err := New(Options{Rules: built, Pools: pools, Table: table, Demands: bare, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	options.Shaper, options.Registerer = shape.Chain{c}, prometheus.NewRegistry()
	p, err := adapter.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return p, registry
}

// read returns the sum that an autoscaler makes of a metric, in thousandths, and the reasons.
func read(t *testing.T, p *adapter.Provider, metric, selector string) (milli int64, reasons []string) {
	t.Helper()
	s, err := labels.Parse(selector)
	if err != nil {
		t.Fatal(err)
	}
	ctx := shape.Noting(context.Background(), func(_, reason string) { reasons = append(reasons, reason) })
	list, err := p.GetExternalMetric(ctx, "shop", s, provider.ExternalMetricInfo{Metric: metric})
	if err != nil {
		t.Fatalf("%s: %v", metric, err)
	}
	for _, item := range list.Items {
		milli += item.Value.MilliValue()
	}
	return milli, reasons
}

func TestLimit(t *testing.T) {
	long := 10 * time.Minute
	tests := []struct {
		name   string
		limit  rules.Limit
		live   *standing.Result
		answer *standing.Result
		want   int64
		reason string
	}{
		{
			name: "in the metric's unit", limit: rules.Limit{Quota: rules.Quota{Query: "q"}}, live: answered(0, 800), answer: answered(0, 500),
			want: 500_000, reason: "the limit is 500 (500), of 800 asked for",
		},
		{
			name: "less than the limit", limit: rules.Limit{Quota: rules.Quota{Query: "q", Reserve: "10%"}}, live: answered(0, 300), answer: answered(0, 500),
			want: 300_000, reason: "the limit is 450 (500 less a reserve of 10%), and 300 is asked for",
		},
		// 7.9 pods less 2 are 5 whole ones, of 100 each.
		{
			name: "in pods", limit: rules.Limit{Quota: rules.Quota{Query: "q", Reserve: "2"}, PerPod: 100}, live: answered(0, 800), answer: answered(0, 7.9),
			want: 500_000, reason: "the limit is 500 (7.9 pods of 100 less a reserve of 2), of 800 asked for",
		},
		// 3 series are each rounded up, so 500 is told as 499.997 at most: 5 pods of 100, and not 6. 499.997 / 3 = 166.6657 is told as 166.666.
		{
			name: "of several series", limit: rules.Limit{Quota: rules.Quota{Amount: 500}}, live: answered(0, 300, 300, 300),
			want: 499_998, reason: "the limit is 500 (500), of 900 asked for",
		},
		{
			name: "a reserve of more than there is", limit: rules.Limit{Quota: rules.Quota{Query: "q", Reserve: "2"}}, live: answered(0, 800), answer: answered(0, 1),
			want: 0, reason: "the limit is 0 (1 less a reserve of 2), of 800 asked for",
		},
		// Unknown: never answered, failing for longer than maxAge, nothing, too much.
		{
			name: "failed from the start", limit: rules.Limit{Quota: rules.Quota{Query: "q"}}, live: answered(0, 800),
			answer: &standing.Result{Err: errors.New("connection refused")},
			want:   800_000, reason: "the limit is not known, so there is none: its query never succeeded: connection refused",
		},
		{
			name: "held", limit: rules.Limit{Quota: rules.Quota{Query: "q", MaxAge: 2 * long}}, live: answered(0, 800), answer: answered(long, 500),
			want: 500_000, reason: "the limit is 500 (500), of 800 asked for",
		},
		{
			name: "held while there is no data", limit: rules.Limit{Quota: rules.Quota{Query: "q", MaxAge: 2 * long}}, live: answered(0, 800),
			answer: &standing.Result{At: time.Now(), Before: answered(long, 500)}, want: 500_000, reason: "the limit is 500 (500), of 800 asked for",
		},
		{
			name: "too old", limit: rules.Limit{Quota: rules.Quota{Query: "q"}}, live: answered(0, 800), answer: answered(long, 500),
			want: 800_000, reason: "the limit is not known, so there is none: its last value is 10m0s old, more than its maxAge of 5m0s",
		},
		{
			name: "no data", limit: rules.Limit{Quota: rules.Quota{Query: "q"}}, live: answered(0, 800), answer: answered(0),
			want: 800_000, reason: "the limit is not known, so there is none: its query returned no data",
		},
		{
			name: "several", limit: rules.Limit{Quota: rules.Quota{Query: "q"}}, live: answered(0, 800), answer: answered(0, 1, 2),
			want: 800_000, reason: "the limit is not known, so there is none: its query returned 2 series: aggregate them to one",
		},
	}
	for _, tt := range tests {
		p, _ := serve(t, []rules.Metric{{Name: "load", Limit: &tt.limit}}, nil, backend{"load": tt.live, "load limit": tt.answer}, nil)
		got, reasons := read(t, p, "load", "")
		if got != tt.want || len(reasons) != 1 || reasons[0] != tt.reason {
			t.Errorf("%s: %d thousandths, %q; want %d, %q", tt.name, got, reasons, tt.want, tt.reason)
		}
	}
}

// The forecast is held to the same limit; of a part of the series, a part of it is told: of 900 in all and a limit of 450, the
// series with 300 has 150, less one thousandth for each series and for the part.
func TestLimitOfForecastAndPart(t *testing.T) {
	metrics := []rules.Metric{{Name: "load", Limit: &rules.Limit{Quota: rules.Quota{Amount: 450}}, Forecast: &rules.Forecast{}}}
	p, _ := serve(t, metrics, nil, backend{"load": answered(0, 600, 300)}, nil)
	if got, _ := read(t, p, "load_forecast", ""); got > 450_000 || got < 449_990 {
		t.Errorf("the forecast tells %d thousandths", got)
	}
	if got, _ := read(t, p, "load", "part=1"); got != 149_998 {
		t.Errorf("a part tells %d thousandths, want 149998", got)
	}
}

func gpu(members ...Member) []Pool {
	return []Pool{{Name: "gpu", Budget: rules.Quota{Query: "q"}, Members: members}}
}

// 16 GPUs, 1 of 17 in reserve. chat asks for 2,000 of 100 a pod, 20 pods of 1 GPU, by its forecast, and 900 now; batch for 8 pods of 2.
// The minimums are 1 and 2 GPUs, 13 are left. By weights of 2 and 1 the next unit goes to whoever has less for it: chat's k-th pod
// stands at k/2, batch's at 2k. In turn 8 pods of chat (4) and 2 of batch (4) take 12; the last GPU fits a pod of chat only:
// 1 + 8 + 1 = 10 for chat and 1 + 2 = 3 for batch, 16 GPUs in all.
func TestPool(t *testing.T) {
	metrics := []rules.Metric{{Name: "chat", Forecast: &rules.Forecast{}}, {Name: "batch"}}
	pools := gpu(Member{Metric: "chat", PerPod: 100, Minimum: 1, Weight: 2}, Member{Metric: "batch", Cost: 2, Minimum: 1})
	pools[0].Budget.Reserve = "1"
	table := backend{"chat": answered(0, 900), "batch": answered(0, 8), "gpu pool": answered(0, 17)}
	p, registry := serve(t, metrics, pools, table, outlooks{"chat": 2000})
	f := func(metric string, want int64, reason string) {
		t.Helper()
		if got, reasons := read(t, p, metric, ""); got != want || len(reasons) != 1 || reasons[0] != reason {
			t.Errorf("%s: %d thousandths, %q; want %d, %q", metric, got, reasons, want, reason)
		}
	}
	f("chat_forecast", 1_000_000, "pool gpu grants 10 of 20 pods of 100; its budget is 16")
	f("chat", 900_000, "pool gpu grants 10 of 20 pods of 100; its budget is 16")
	f("batch", 3_000, "pool gpu grants 3 of 8 that take 2 each; its budget is 16")
	shown := `
# HELP foresail_pool_budget What the members of a pool share, without the reserve, in its own unit; none where it is not known, and nobody is limited by it.
# TYPE foresail_pool_budget gauge
foresail_pool_budget{pool="gpu"} 16
# HELP foresail_pool_demand Pods that a member of a pool asks for, by the metric or its forecast if that is more; none where it is not known.
# TYPE foresail_pool_demand gauge
foresail_pool_demand{member="batch",pool="gpu"} 8
foresail_pool_demand{member="chat",pool="gpu"} 20
# HELP foresail_pool_feasible Whether the budget of a pool covers the minimums of its members.
# TYPE foresail_pool_feasible gauge
foresail_pool_feasible{pool="gpu"} 1
# HELP foresail_pool_granted Pods that a pool grants to a member, its minimum or more where the pool is feasible.
# TYPE foresail_pool_granted gauge
foresail_pool_granted{member="batch",pool="gpu"} 3
foresail_pool_granted{member="chat",pool="gpu"} 10
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(shown)); err != nil {
		t.Error(err)
	}

	// A query that has been answered for the last time too long ago: nobody is limited, and it is said.
	table["gpu pool"] = answered(time.Hour, 17)
	f("chat_forecast", 2_000_000, "the budget of pool gpu is not known, so there is none: its last value is 1h0m0s old, more than its maxAge of 5m0s")
	if n, err := testutil.GatherAndCount(registry, "foresail_pool_granted", "foresail_pool_budget", "foresail_pool_feasible"); n != 0 || err != nil {
		t.Errorf("%d series of an unknown budget, %v", n, err)
	}

	// The minimums take 3, and there are 2 - 1: the first one's.
	table["gpu pool"] = answered(0, 2)
	f("chat", 100_000, "pool gpu grants 1 of 20 pods of 100; its budget is 1 and does not cover the minimums, which take 3")
	f("batch", 0, "pool gpu grants 0 of 8 that take 2 each; its budget is 1 and does not cover the minimums, which take 3")
}

// A demand that is not known counts as it was last for the budget's maxAge of 5m, then as its minimum. The other one has what is left of 10.
func TestPoolWithUnknownDemand(t *testing.T) {
	tests := []struct {
		chat *standing.Result
		want int64
	}{
		{answered(0, 4), 6_000},
		{answered(4*time.Minute, 4), 6_000},
		{answered(6*time.Minute, 4), 8_000},
		{&standing.Result{Err: errors.New("unreachable")}, 8_000},
	}
	for _, tt := range tests {
		table := backend{"chat": tt.chat, "batch": answered(0, 20), "gpu pool": answered(0, 10)}
		p, registry := serve(t, []rules.Metric{{Name: "chat"}, {Name: "batch"}}, gpu(Member{Metric: "chat", Minimum: 2, Priority: 1}, Member{Metric: "batch"}), table, nil)
		if got, _ := read(t, p, "batch", ""); got != tt.want {
			t.Errorf("beside a demand of %+v: %d thousandths, want %d", tt.chat, got, tt.want)
		}
		n, err := testutil.GatherAndCount(registry, "foresail_pool_demand")
		if known := time.Since(tt.chat.At) < time.Minute; err != nil || known != (n == 2) {
			t.Errorf("%d demands are shown, %v", n, err)
		}
	}
}

// chat expects two parts and one is missing: what is there is no demand. The last whole one was 3 + 4 of 10, and 3 are left; later, or if there
// never was one, its minimum of 2 counts.
func TestPoolWithPartOfADemand(t *testing.T) {
	part := func(whole *standing.Result) *standing.Result {
		r := answered(0, 3)
		r.Dropped = []standing.Drop{{Key: series.NewKey("chat", series.Label{Name: "part", Value: "1"}), Reason: standing.Absent}}
		r.Whole = whole
		return r
	}
	for _, tt := range []struct {
		chat *standing.Result
		want int64
	}{
		{part(answered(time.Minute, 3, 4)), 3_000},
		{part(answered(6*time.Minute, 3, 4)), 8_000},
		{part(nil), 8_000},
	} {
		table := backend{"chat": tt.chat, "batch": answered(0, 20), "gpu pool": answered(0, 10)}
		p, registry := serve(t, []rules.Metric{{Name: "chat"}, {Name: "batch"}}, gpu(Member{Metric: "chat", Minimum: 2, Priority: 1}, Member{Metric: "batch"}), table, nil)
		if got, _ := read(t, p, "batch", ""); got != tt.want {
			t.Errorf("beside a demand of %+v: %d thousandths, want %d", tt.chat, got, tt.want)
		}
		if n, err := testutil.GatherAndCount(registry, "foresail_pool_demand"); n != 1 || err != nil {
			t.Errorf("%d demands are shown, %v", n, err)
		}
	}
}

// A member asks for no more than its own limit leaves it, and both reasons are told.
func TestLimitedMember(t *testing.T) {
	metrics := []rules.Metric{{Name: "chat", Limit: &rules.Limit{Quota: rules.Quota{Amount: 3}}}, {Name: "batch"}}
	table := backend{"chat": answered(0, 9), "batch": answered(0, 20), "gpu pool": answered(0, 10)}
	p, _ := serve(t, metrics, gpu(Member{Metric: "chat"}, Member{Metric: "batch"}), table, nil)
	got, reasons := read(t, p, "chat", "")
	if got != 3_000 || len(reasons) != 2 || reasons[1] != "pool gpu grants 3 of 3; its budget is 10" {
		t.Errorf("%d thousandths, %q", got, reasons)
	}
	if got, _ := read(t, p, "batch", ""); got != 7_000 {
		t.Errorf("the other has %d thousandths, want 7000", got)
	}
	// Of a part of the series it is a part of the smaller of both, once: 3 of 9, so 1 of 3, less one thousandth for the series and for the part.
	table["chat"] = answered(0, 6, 3)
	if got, _ := read(t, p, "chat", "part=1"); got != 998 {
		t.Errorf("a part tells %d thousandths, want 998", got)
	}
}
