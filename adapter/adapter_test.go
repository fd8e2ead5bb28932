package adapter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

// results is a table that the test fills.
type results map[string]*standing.Result

func (r results) Lookup(metric string) (*standing.Result, bool) {
	result, ok := r[metric]
	return result, ok
}

// outlooks are those that the test sets, by series.
type outlooks map[series.Key]*forecast.Outlook

func (o outlooks) Outlook(_ string, key series.Key) (*forecast.Outlook, bool) {
	outlook, ok := o[key]
	return outlook, ok
}

// alive are the labels of live objects by namespace/name.
type alive map[string]labels.Set

func (a alive) Names(_ context.Context, _ schema.GroupResource, namespace string, selector labels.Selector) (map[string]struct{}, error) {
	names := make(map[string]struct{})
	for id, set := range a {
		if ns, name, _ := strings.Cut(id, "/"); ns == namespace && selector.Matches(set) {
			names[name] = struct{}{}
		}
	}
	return names, nil
}

func point(metric string, value float64, pairs ...string) series.Point {
	var labels []series.Label
	for i := 0; i < len(pairs); i += 2 {
		labels = append(labels, series.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return series.Point{Key: series.NewKey(metric, labels...), Sample: series.Sample{Value: value}}
}

func selector(t testing.TB, text string) labels.Selector {
	t.Helper()
	s, err := labels.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newProvider(t testing.TB, opts Options) *Provider {
	t.Helper()
	if opts.Registerer == nil {
		opts.Registerer = prometheus.NewRegistry()
	}
	p, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// external reads an external metric and prints its items, or the error with its code.
func external(t testing.TB, p *Provider, namespace, metric, sel string) string {
	t.Helper()
	list, err := p.GetExternalMetric(t.Context(), namespace, selector(t, sel), provider.ExternalMetricInfo{Metric: metric})
	if err != nil {
		return failure(err)
	}
	var out []string
	for _, item := range list.Items {
		out = append(out, fmt.Sprintf("%v=%v", labels.Set(item.MetricLabels), item.Value.String()))
	}
	return strings.Join(out, " ")
}

// pods reads a pods metric and prints its items, or the error with its code.
func pods(t testing.TB, p *Provider, namespace, sel, metric, metricSel string) string {
	t.Helper()
	list, err := p.GetMetricBySelector(t.Context(), namespace, selector(t, sel),
		provider.CustomMetricInfo{GroupResource: podResource, Namespaced: true, Metric: metric}, selector(t, metricSel))
	if err != nil {
		return failure(err)
	}
	var out []string
	for _, item := range list.Items {
		out = append(out, fmt.Sprintf("%s/%s=%v", item.DescribedObject.Namespace, item.DescribedObject.Name, item.Value.String()))
	}
	return strings.Join(out, " ")
}

func failure(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return "not an API error: " + err.Error()
	}
	return fmt.Sprint(status.Status().Code, " ", status.Status().Message)
}

func TestQuantity(t *testing.T) {
	for _, c := range []struct {
		value   float64
		want    string
		clamped bool
	}{
		{0, "0", false},
		{math.Copysign(0, -1), "0", false},
		{1, "1", false},
		{0.001, "1m", false},
		{0.0001, "1m", false},   // up, never to none
		{1e-300, "1m", false},   // up, however small
		{0.0011, "2m", false},   // 1.1m
		{1.1, "1100m", false},   // 1.100000000000000088 is 1100m within a float's error
		{2.675, "2675m", false}, // 2.674999999999999822 likewise
		{1e6 + 0.001, "1000000001m", false},
		{150.25, "150250m", false},
		{-0.5, "0", true},
		{-1e300, "0", true},
		{9.2e15, "9200T", false},
		{9.3e15, "9200T", true},
		{math.MaxFloat64, "9200T", true},
	} {
		got, clamped := Quantity(c.value)
		if got.String() != c.want || clamped != c.clamped {
			t.Errorf("%v: %v, clamped %v; want %v, %v", c.value, got.String(), clamped, c.want, c.clamped)
		}
		if got.MilliValue() < 0 {
			t.Errorf("%v: MilliValue %d overflows", c.value, got.MilliValue())
		}
	}
}

// The obvious twin: the shortest decimal that means this float, times 1000, rounded up in exact arithmetic. A decimal
// of 17 digits and its float agree to 1e-15 or so, so the twin may differ only where the float cannot tell.
func TestQuantityAgainstExactArithmetic(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		value := math.Exp(random.Float64()*44 - 15) // 3e-7 to 4e12, where floats still have milli
		if random.IntN(2) == 0 {
			value = math.Round(value*1000) / 1000
		}
		exact, ok := new(big.Rat).SetString(fmt.Sprint(value))
		if !ok {
			t.Fatal(value)
		}
		exact.Mul(exact, big.NewRat(1000, 1))
		up := new(big.Int).Div(new(big.Int).Add(exact.Num(), new(big.Int).Sub(exact.Denom(), big.NewInt(1))), exact.Denom())
		got, _ := Quantity(value)
		if diff := got.MilliValue() - up.Int64(); diff != 0 {
			remainder, _ := new(big.Rat).Sub(exact, new(big.Rat).SetInt(new(big.Int).Sub(up, big.NewInt(1)))).Float64()
			if diff != -1 || remainder > 1e-15*value*1000 {
				t.Fatalf("%v: %d milli, exact %v", value, got.MilliValue(), up)
			}
		}
	}
}

func TestExternal(t *testing.T) {
	now := time.Now()
	p := newProvider(t, Options{
		Metrics: []Metric{
			{Name: "Lag", MaxAge: time.Minute, External: &External{}},
			{Name: "tenant", MaxAge: time.Minute, External: &External{NamespaceLabel: "ns"}},
			{Name: "partly", MaxAge: time.Minute, External: &External{}},
			{Name: "empty", MaxAge: time.Minute, External: &External{}},
			{Name: "new", MaxAge: time.Minute, External: &External{}},
			{Name: "never", MaxAge: time.Minute, External: &External{}},
			{Name: "unkept", MaxAge: time.Minute, External: &External{}},
			{Name: "unlabelled", MaxAge: time.Minute, External: &External{NamespaceLabel: "ns"}},
		},
		Table: results{
			"Lag":    {At: now, Points: []series.Point{point("Lag", 1, "g", "a"), point("Lag", 2, "g", "b"), point("Lag", 3)}},
			"tenant": {At: now, Points: []series.Point{point("tenant", 1, "ns", "x"), point("tenant", 2, "ns", "y"), point("tenant", 3)}},
			"partly": {
				At: now, Points: []series.Point{point("partly", 1, "g", "a")},
				Dropped: []standing.Drop{{Key: point("partly", 0, "g", "b").Key, Reason: standing.Infinite}},
			},
			"empty":      {At: now},
			"new":        {},
			"never":      {Err: errors.New("bad"), ErrAt: now},
			"unlabelled": {At: now, Points: []series.Point{point("unlabelled", 1)}},
		},
	})
	for _, c := range []struct{ namespace, metric, selector, want string }{
		{"x", "lag", "", "g=a=1 g=b=2 =3"},
		{"x", "LAG", "g", "g=a=1 g=b=2"},
		{"x", "Lag", "g!=a", "g=b=2 =3"}, // != matches an absent label, as everywhere in Kubernetes
		{"x", "Lag", "g notin (a,b)", "=3"},
		{"x", "Lag", "!g", "=3"},
		{"x", "tenant", "", "ns=x=1"},
		{"z", "tenant", "", `503 metric "tenant" has no value: none of its 2 series is of namespace "z"`},
		{"x", "partly", "g=a", "g=a=1"},
		{"x", "partly", "", `503 metric "partly" has no value: the value of partly{g="b"} is infinite (of 1 series without a usable value)`},
		{"x", "empty", "", `503 metric "empty" has no value: its query returned no data`},
		{"x", "new", "", `503 metric "new" has no value: its query was not answered yet`},
		{"x", "never", "", `503 metric "never" has no value: its query never succeeded: bad`},
		{"x", "unkept", "", `503 metric "unkept" has no value: no query keeps it`},
		{"x", "unlabelled", "", `503 metric "unlabelled" has no value: its query returned 1 series and none has the labels that name their objects (ns)`},
		{"x", "other", "", `404 metric "other" is not served for the external metrics API`},
		{"x", "lag", "foresail.io/lead=5m", `400 metric "Lag": selector key foresail.io/lead is for forecasts only`},
	} {
		if got := external(t, p, c.namespace, c.metric, c.selector); got != c.want {
			t.Errorf("%s %s %q:\n  %s\nwant %s", c.namespace, c.metric, c.selector, got, c.want)
		}
	}
	list, err := p.GetExternalMetric(t.Context(), "x", labels.Nothing(), provider.ExternalMetricInfo{Metric: "lag"})
	if err == nil {
		t.Errorf("the selector that matches nothing got %v", list)
	}
}

func TestNamespacesThatMayRead(t *testing.T) {
	reg := prometheus.NewRegistry()
	p := newProvider(t, Options{
		Metrics: []Metric{
			{Name: "lag", MaxAge: time.Minute, External: &External{}, Namespaces: []string{"shop", "team-?*"}, Forecast: &Forecast{Lead: time.Minute, Quantile: 0.9}},
			{Name: "size", MaxAge: time.Minute, Object: &Object{Resource: schema.GroupResource{Resource: "namespaces"}, NameLabel: "ns"}, Namespaces: []string{"shop"}},
		},
		Table: results{
			"lag":  {At: time.Now(), Points: []series.Point{point("lag", 1)}},
			"size": {At: time.Now(), Points: []series.Point{point("size", 1, "ns", "shop"), point("size", 2, "ns", "bank")}},
		},
		Outlooks: outlooks{}, Objects: alive{}, Registerer: reg,
	})
	for _, c := range []struct{ namespace, metric, want string }{
		{"shop", "LAG", "=1"},
		{"team-red", "lag", "=1"},
		{"team-red", "lag_forecast", "=1"},
		{"team-", "lag", `403 metric "lag" may not be read from namespace "team-", only from shop, team-?*`},
		{"bank", "lag_forecast", `403 metric "lag_forecast" may not be read from namespace "bank", only from shop, team-?*`},
	} {
		if got := external(t, p, c.namespace, c.metric, ""); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.namespace, c.metric, got, c.want)
		}
	}
	for name, want := range map[string]string{"shop": "", "bank": `metric "size" may not be read from namespace "bank", only from shop`} {
		_, err := p.GetMetricByName(t.Context(), types.NamespacedName{Name: name},
			provider.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: "namespaces"}, Metric: "size"}, labels.Everything())
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if got := testutil.ToFloat64(p.external["lag"].outcomes[forbidden]); got != 1 {
		t.Errorf("%v forbidden reads are counted, want 1", got)
	}
}

func TestPods(t *testing.T) {
	now := time.Now()
	p := newProvider(t, Options{
		Metrics: []Metric{
			{Name: "q", MaxAge: time.Minute, Pods: &Pods{NameLabel: "pod", NamespaceLabel: "namespace"}},
			{Name: "twice", MaxAge: time.Minute, Pods: &Pods{NameLabel: "pod", NamespaceLabel: "namespace"}},
			{Name: "nan", MaxAge: time.Minute, Pods: &Pods{NameLabel: "pod", NamespaceLabel: "namespace"}},
		},
		Table: results{
			"q": {At: now, Points: []series.Point{
				point("q", 3, "namespace", "a", "pod", "w3"), point("q", 1, "namespace", "a", "pod", "w1"),
				point("q", 9, "namespace", "a", "pod", "gone"), point("q", 2, "namespace", "b", "pod", "w1"),
				point("q", 7, "namespace", "a"),
			}},
			"twice": {At: now, Points: []series.Point{
				point("twice", 1, "namespace", "a", "pod", "w1", "port", "1"), point("twice", 2, "namespace", "a", "pod", "w1", "port", "2"),
			}},
			"nan": {At: now, Points: []series.Point{point("nan", 1, "namespace", "a", "pod", "w1")}, Dropped: []standing.Drop{
				{Key: point("nan", 0, "namespace", "a", "pod", "w3").Key, Reason: standing.NaN},
			}},
		},
		Objects: alive{"a/w1": {"app": "w"}, "a/w2": {"app": "w"}, "a/w3": {"app": "w", "tier": "x"}, "b/w1": {"app": "w"}},
	})
	for _, c := range []struct{ namespace, selector, metric, metricSelector, want string }{
		{"a", "", "q", "", "a/w1=1 a/w3=3"}, // sorted; not the one that is gone; nothing for w2
		{"a", "app=w,!tier", "q", "", "a/w1=1"},
		{"b", "", "q", "", "b/w1=2"},
		{"a", "", "q", "pod=w3", "a/w3=3"},
		{"a", "app=x", "q", "", `503 metric "q" has no value: no live pods match the selector "app=x"`},
		{"c", "", "q", "", `503 metric "q" has no value: no live pods match the selector ""`},
		{"a", "app=w", "q", "pod=w2", `503 metric "q" has no value: none of its series of pods matching "app=w" matches the selector "pod=w2"`},
		{"a", "", "twice", "", `503 metric "twice" has no value: pods "w1" has several series: aggregate the query by (namespace, pod), or choose one by a metric selector`},
		{"a", "", "twice", "port=2", "a/w1=2"},
		{"a", "", "nan", "", "a/w1=1"}, // the autoscaler takes care of pods without a value
		{"a", "tier=x", "nan", "", `503 metric "nan" has no value: the value of nan{namespace="a",pod="w3"} is NaN (of 1 series without a usable value)`},
	} {
		if got := pods(t, p, c.namespace, c.selector, c.metric, c.metricSelector); got != c.want {
			t.Errorf("%s %q %s %q:\n  %s\nwant %s", c.namespace, c.selector, c.metric, c.metricSelector, got, c.want)
		}
	}
	byName := func(name, metric string) string {
		v, err := p.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "a", Name: name},
			provider.CustomMetricInfo{GroupResource: podResource, Namespaced: true, Metric: metric}, labels.Everything())
		if err != nil {
			return failure(err)
		}
		return v.Value.String()
	}
	for id, want := range map[[2]string]string{
		{"w1", "q"}:     "1",
		{"w2", "q"}:     `503 metric "q" has no value: it has no series of pods "w2"`,
		{"w1", "twice"}: `503 metric "twice" has no value: pods "w1" has several series: aggregate the query by (namespace, pod), or choose one by a metric selector`,
		{"w3", "nan"}:   `503 metric "nan" has no value: the value of nan{namespace="a",pod="w3"} is NaN (of 1 series without a usable value)`,
	} {
		if got := byName(id[0], id[1]); got != want {
			t.Errorf("%v: %s, want %s", id, got, want)
		}
	}
}

// What becomes of series that are no numbers is the rule's choice; several values of one series are never left out of a sum.
func TestNaNPolicies(t *testing.T) {
	f := func(nan string, points []series.Point, drops []standing.Drop, one, list, sum string) {
		t.Helper()
		p := newProvider(t, Options{
			Metrics: []Metric{
				{Name: "q", MaxAge: time.Minute, NaN: nan, Pods: &Pods{NameLabel: "pod", NamespaceLabel: "namespace"}, External: &External{}},
			},
			Table: results{"q": {At: time.Now(), Points: points, Dropped: drops}}, Objects: alive{"a/w1": nil, "a/w2": nil},
		})
		v, err := p.GetMetricByName(t.Context(), types.NamespacedName{Namespace: "a", Name: "w1"},
			provider.CustomMetricInfo{GroupResource: podResource, Namespaced: true, Metric: "q"}, labels.Everything())
		got := failure(err)
		if err == nil {
			got = v.Value.String()
		}
		for got, want := range map[string]string{got: one, pods(t, p, "a", "", "q", ""): list, external(t, p, "x", "q", ""): sum} {
			if got = strings.TrimPrefix(got, `503 metric "q" has no value: the value of q`); got != want {
				t.Errorf("%q: got %s, want %s", nan, got, want)
			}
		}
	}
	w1, w2 := point("q", 1, "namespace", "a", "pod", "w1"), point("q", 2, "namespace", "a", "pod", "w2")
	const is = `{namespace="a",pod="w1"} is %s (of 1 series without a usable value)`
	isNaN := fmt.Sprintf(is, "NaN")
	drop := []standing.Drop{{Key: w1.Key, Reason: standing.NaN}}
	f("", []series.Point{w2}, drop, isNaN, "a/w2=2", isNaN)
	f("error", []series.Point{w2}, drop, isNaN, isNaN, isNaN)
	f("omit", []series.Point{w2}, drop, isNaN, "a/w2=2", "namespace=a,pod=w2=2")
	f("omit", nil, drop, isNaN, isNaN, isNaN)
	drop[0].Reason = standing.Infinite
	f("omit", []series.Point{w2}, drop, fmt.Sprintf(is, "infinite"), "a/w2=2", "namespace=a,pod=w2=2")
	drop[0].Reason = standing.Duplicate
	f("omit", []series.Point{w2}, drop, fmt.Sprintf(is, "duplicate"), "a/w2=2", fmt.Sprintf(is, "duplicate"))
}

// Rates tell over which time they are; a forecast is not over a time that was, and what it passes on of the present is.
func TestWindowSeconds(t *testing.T) {
	live := point("load", 50, "pod", "w1")
	trusted := &forecast.Outlook{Issued: time.Now(), Step: time.Minute, Levels: []float64{0.9}, Windows: [][]float64{{70}}, State: forecast.State{Reason: forecast.Trusted}}
	f := func(window time.Duration, o outlooks, name, want string) {
		t.Helper()
		p := newProvider(t, Options{
			Metrics: []Metric{{
				Name: "load", MaxAge: time.Minute, Window: window, External: &External{}, Object: &Object{Resource: podResource, NameLabel: "pod"},
				Forecast: &Forecast{Lead: time.Minute, Quantile: 0.9},
			}},
			Table: results{"load": {At: time.Now(), Points: []series.Point{live}}}, Outlooks: o, Objects: alive{"/w1": nil},
		})
		list, err := p.GetExternalMetric(t.Context(), "x", labels.Everything(), provider.ExternalMetricInfo{Metric: name})
		if err != nil {
			t.Fatal(err)
		}
		value, err := p.GetMetricByName(t.Context(), types.NamespacedName{Name: "w1"},
			provider.CustomMetricInfo{GroupResource: podResource, Metric: name}, labels.Everything())
		if err != nil {
			t.Fatal(err)
		}
		for _, seconds := range []*int64{list.Items[0].WindowSeconds, value.WindowSeconds} {
			got := "none"
			if seconds != nil {
				got = fmt.Sprint(*seconds)
			}
			if got != want {
				t.Errorf("%s over %v: %s, want %s", name, window, got, want)
			}
		}
	}
	f(2*time.Minute, nil, "load", "120")
	f(1500*time.Millisecond, nil, "load", "2")
	f(0, nil, "load", "none")
	f(400*time.Millisecond, nil, "load", "none")
	f(2*time.Minute, nil, "load_forecast", "120")
	f(2*time.Minute, outlooks{live.Key: trusted}, "load_forecast", "none")
}

// The same result is served until it is older than maxAge, then it is an error; failures in between change nothing.
func TestHoldsTheLastValueUntilMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := results{"load": {At: time.Now(), Points: []series.Point{point("load", 5)}}}
		p := newProvider(t, Options{Metrics: []Metric{{Name: "load", MaxAge: 5 * time.Minute, External: &External{}}}, Table: table})
		time.Sleep(time.Minute)
		failed := *table["load"]
		failed.Err, failed.ErrAt = errors.New("connection refused"), time.Now()
		table["load"] = &failed
		time.Sleep(4 * time.Minute)
		if got := external(t, p, "x", "load", ""); got != "=5" {
			t.Errorf("at maxAge: %s", got)
		}
		time.Sleep(time.Second)
		want := `503 metric "load" has no value: its last value is 5m1s old, more than its maxAge of 5m0s: connection refused`
		if got := external(t, p, "x", "load", ""); got != want {
			t.Errorf("after maxAge: %s", got)
		}
		table["load"] = &standing.Result{At: time.Now(), Points: []series.Point{point("load", 6)}}
		if got := external(t, p, "x", "load", ""); got != "=6" {
			t.Errorf("after recovery: %s", got)
		}
	})
}

func TestForecast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live := point("load", 50)
		table := results{"load": {At: time.Now(), Points: []series.Point{live}}}
		outlook := func(change func(*forecast.Outlook)) outlooks {
			o := &forecast.Outlook{
				Issued: time.Now().Round(0), Step: 5 * time.Minute, Levels: []float64{0.5, 0.9},
				Points: [][]float64{{55, 65}, {75, 85}}, Windows: [][]float64{{60, 70}, {80, 90}}, State: forecast.State{Reason: forecast.Trusted},
			}
			change(o)
			return outlooks{live.Key: o}
		}
		read := func(o outlooks, sel string) string {
			p := newProvider(t, Options{
				Metrics: []Metric{{
					Name: "load", MaxAge: time.Minute, External: &External{}, Forecast: &Forecast{Lead: 10 * time.Minute, Quantile: 0.9},
				}},
				Table: table, Outlooks: o,
			})
			return external(t, p, "x", "load_forecast", sel)
		}
		for name, c := range map[string]struct {
			outlooks outlooks
			selector string
			want     string
		}{
			"trusted":        {outlook(func(*forecast.Outlook) {}), "", "=90"},
			"other lead":     {outlook(func(*forecast.Outlook) {}), "foresail.io/lead=5m", "=70"},
			"other quantile": {outlook(func(*forecast.Outlook) {}), "foresail.io/quantile=0.5", "=80"},
			"none":           {nil, "", "=50"},
			"not trusted":    {outlook(func(o *forecast.Outlook) { o.State.Reason = forecast.NoSkill }), "", "=50"},
			"old":            {outlook(func(o *forecast.Outlook) { o.Issued = o.Issued.Add(-12 * time.Minute) }), "", "=50"},
			"a step old":     {outlook(func(o *forecast.Outlook) { o.Issued = o.Issued.Add(-6 * time.Minute) }), "", "=90"},
			"in a gap": {
				outlook(func(o *forecast.Outlook) {
					o.State.Reason, o.Issued = forecast.Gap, o.Issued.Add(-10*time.Minute)
				}), "foresail.io/lead=5m", "=90",
			},
			"its path is over": {
				outlook(func(o *forecast.Outlook) {
					o.State.Reason, o.Issued = forecast.Gap, o.Issued.Add(-10*time.Minute-1)
				}), "", "=50",
			},
			"from the future": {outlook(func(o *forecast.Outlook) { o.Issued = o.Issued.Add(time.Hour) }), "", "=50"},
			"NaN":             {outlook(func(o *forecast.Outlook) { o.Windows[1][1] = math.NaN() }), "", "=50"},
			"negative":        {outlook(func(o *forecast.Outlook) { o.Windows[1] = []float64{-2, -1} }), "", "=0"},
			"too short":       {outlook(func(o *forecast.Outlook) { o.Windows = o.Windows[:1] }), "", "=50"},
			"lead too long": {
				outlook(func(*forecast.Outlook) {}), "foresail.io/lead=11m",
				`400 metric "load_forecast": lead 11m0s of at most 10m0s: outside of the outlook: leads up to 10m0s and quantiles from 0.5 to 0.9 are available`,
			},
			"quantile too high": {
				outlook(func(*forecast.Outlook) {}), "foresail.io/quantile=0.99",
				`400 metric "load_forecast": quantile 0.99 above the highest: outside of the outlook: leads up to 10m0s and quantiles from 0.5 to 0.9 are available`,
			},
			"at the lead":   {outlook(func(*forecast.Outlook) {}), "foresail.io/point=at", "=85"},
			"at a lead":     {outlook(func(*forecast.Outlook) {}), "foresail.io/point=at,foresail.io/lead=5m,foresail.io/quantile=0.5", "=55"},
			"in the window": {outlook(func(*forecast.Outlook) {}), "foresail.io/point=window", "=90"},
			"bad point":     {nil, "foresail.io/point=then", `400 metric "load_forecast": selector key foresail.io/point is "then" and must be at or window`},
			"bad quantile":  {nil, "foresail.io/quantile=2", `400 metric "load_forecast": selector key foresail.io/quantile is "2" and must be a number between 0 and 1, as in 0.9`},
			"unknown key":   {nil, "foresail.io/x=2", `400 metric "load_forecast": selector key foresail.io/x is unknown; the keys are foresail.io/lead, foresail.io/quantile and foresail.io/point`},
			"two values":    {nil, "foresail.io/lead in (1m,2m)", `400 metric "load_forecast": selector key foresail.io/lead takes one value, as in foresail.io/lead=VALUE`},
			"other operand": {nil, "foresail.io/lead!=5m", `400 metric "load_forecast": selector key foresail.io/lead takes one value, as in foresail.io/lead=VALUE`},
		} {
			if got := read(c.outlooks, c.selector); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		}
		// Where the live value is unknown the forecast is, too: an autoscaler must not act on it alone.
		table["load"].At = time.Now().Add(-time.Hour)
		if got := read(outlook(func(*forecast.Outlook) {}), ""); !strings.HasPrefix(got, "503 ") {
			t.Errorf("forecast of a stale metric: %s", got)
		}
	})
}

func TestSpan(t *testing.T) {
	now := time.Now()
	own := func(lead time.Duration) *Forecast { return &Forecast{Lead: lead, Quantile: 0.9} }
	for _, tt := range []struct {
		forecast *Forecast
		selector string
		from, to time.Duration
	}{
		{nil, "", 0, 0},
		{own(30 * time.Minute), "", 0, 30 * time.Minute},
		{own(30 * time.Minute), "foresail.io/lead=3h", 0, 3 * time.Hour},
		{own(30 * time.Minute), "foresail.io/lead=3h,foresail.io/point=at", 3 * time.Hour, 3 * time.Hour},
		{own(30 * time.Minute), "foresail.io/lead=100y", 0, 24 * time.Hour},
		{own(30 * time.Minute), "foresail.io/lead=100y,foresail.io/point=at", 24 * time.Hour, 24 * time.Hour},
		{own(48 * time.Hour), "", 0, 48 * time.Hour},
		{own(48 * time.Hour), "foresail.io/lead=100y", 0, 96 * time.Hour},
	} {
		selector, err := labels.Parse(tt.selector)
		if err != nil {
			t.Fatal(err)
		}
		choice, _, err := tt.forecast.Choose(selector)
		if err != nil {
			t.Fatal(err)
		}
		if from, to := choice.Span(now); from.Sub(now) != tt.from || to.Sub(now) != tt.to {
			t.Errorf("%+v and %q: from %v to %v, want %v and %v", tt.forecast, tt.selector, from.Sub(now), to.Sub(now), tt.from, tt.to)
		}
	}
}

// A path that was issued and trusted is told on when the input stops, up to its lead; the live value is not.
func TestForecastOutlivesItsInput(t *testing.T) {
	for name, stop := range map[string]func(last *standing.Result) *standing.Result{
		"the backend is away": func(last *standing.Result) *standing.Result {
			failed := *last
			failed.Err = errors.New("connection refused")
			return &failed
		},
		"the query is empty": func(last *standing.Result) *standing.Result {
			return &standing.Result{At: time.Now(), Before: last}
		},
		"the values are NaN": func(last *standing.Result) *standing.Result {
			return &standing.Result{At: time.Now(), Before: last, Dropped: []standing.Drop{{Key: last.Points[0].Key, Reason: standing.NaN}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := point("load", 50, "queue", "a"), point("load", 7, "queue", "b")
				last := &standing.Result{At: time.Now(), Points: []series.Point{first, second}}
				table := results{"load": last}
				issue := func() *forecast.Outlook {
					return &forecast.Outlook{
						Issued: time.Now().Round(0), Step: 5 * time.Minute, Levels: []float64{0.5, 0.9},
						Points:  [][]float64{{55, 65}, {75, 85}, {60, 61}},
						Windows: [][]float64{{60, 70}, {80, 90}, {95, 99}}, State: forecast.State{Reason: forecast.Trusted},
					}
				}
				ahead := outlooks{first.Key: issue(), second.Key: issue()}
				p := newProvider(t, Options{
					Metrics: []Metric{{
						Name: "load", MaxAge: time.Minute, External: &External{}, Forecast: &Forecast{Lead: 15 * time.Minute, Quantile: 0.9},
					}}, Table: table, Outlooks: ahead,
				})
				check := func(metric, sel, want string) {
					t.Helper()
					if got := external(t, p, "x", metric, sel); !strings.HasPrefix(got, want) {
						t.Errorf("%s %s: %s, want %s", metric, sel, got, want)
					}
				}
				check("load_forecast", "queue=a", "queue=a=99")
				time.Sleep(6 * time.Minute)
				table["load"] = stop(last)
				ahead[first.Key].State.Reason = forecast.Gap
				check("load", "", "503 ")
				check("load_forecast", "", "queue=a=99 queue=b=99")
				// 6 minutes on, 5 minutes ahead are 11 minutes of the path.
				check("load_forecast", "queue=a,foresail.io/lead=5m", "queue=a=99")
				check("load_forecast", "queue=a,foresail.io/lead=4m", "queue=a=90")
				check("load_forecast", "queue=a,foresail.io/lead=4m,foresail.io/point=at,foresail.io/quantile=0.5", "queue=a=75")
				check("load_forecast", "queue=a,foresail.io/lead=16m", "400 ")
				// What was not trusted when it was issued is no better now, and a sum without it is not known.
				ahead[second.Key].State.Reason = forecast.NoSkill
				check("load_forecast", "queue=a", "queue=a=99")
				check("load_forecast", "", "503 ")
				delete(ahead, second.Key)
				check("load_forecast", "", "503 ")
				time.Sleep(9 * time.Minute)
				check("load_forecast", "queue=a", "queue=a=99")
				time.Sleep(time.Second)
				table["load"] = stop(last)
				check("load_forecast", "queue=a", `503 metric "load_forecast" has no value: `)
				check("load", "", "503 ")
			})
		})
	}
}

func TestReadsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	p := newProvider(t, Options{
		Metrics: []Metric{{
			Name: "load", MaxAge: time.Minute, External: &External{}, Forecast: &Forecast{Lead: time.Minute, Quantile: 0.9},
		}},
		Table:      results{"load": {At: time.Now(), Points: []series.Point{point("load", -1), point("load", -2, "a", "b")}}},
		Outlooks:   outlooks{},
		Registerer: reg,
	})
	for _, read := range [][2]string{{"load", ""}, {"load", "x=y"}, {"load_forecast", ""}, {"load_forecast", "foresail.io/x=1"}, {"nobody", ""}} {
		external(t, p, "x", read[0], read[1])
	}
	want := `
# HELP foresail_reads_total Reads of the metrics APIs by outcome: ok, passthrough, unknown, not_found (without the metric's name), bad_request or forbidden.
# TYPE foresail_reads_total counter
foresail_reads_total{api="external",metric="",outcome="not_found"} 1
foresail_reads_total{api="external",metric="load",outcome="bad_request"} 0
foresail_reads_total{api="external",metric="load",outcome="ok"} 1
foresail_reads_total{api="external",metric="load",outcome="unknown"} 1
foresail_reads_total{api="external",metric="load_forecast",outcome="bad_request"} 1
foresail_reads_total{api="external",metric="load_forecast",outcome="ok"} 0
foresail_reads_total{api="external",metric="load_forecast",outcome="passthrough"} 1
foresail_reads_total{api="external",metric="load_forecast",outcome="unknown"} 0
# HELP foresail_served_clamped_total Values that were served as 0 or 9.2e15 because they lay below or above.
# TYPE foresail_served_clamped_total counter
foresail_served_clamped_total{metric="load"} 2
foresail_served_clamped_total{metric="load_forecast"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestNewRefusesMistakes(t *testing.T) {
	ext := &External{}
	ahead := &Forecast{Lead: time.Minute, Quantile: 0.9}
	for want, metrics := range map[string][]Metric{
		`cannot serve metric "": it needs a name and a maxAge above 0`:          {{MaxAge: 1, External: ext}},
		`cannot serve metric "a": it needs one of external, pods and object`:    {{Name: "a", MaxAge: 1}},
		`cannot serve metric "a": it has a forecast and nothing makes outlooks`: {{Name: "a", MaxAge: 1, External: ext, Forecast: ahead}},
		`cannot serve metric "a": it describes objects and nothing knows them`:  {{Name: "a", MaxAge: 1, Pods: &Pods{"p", "n"}}},
		`cannot serve metric "A": external metric "A" is there already, as "a" (case does not count)`: {
			{Name: "a", MaxAge: 1, External: ext}, {Name: "A", MaxAge: 1, External: ext},
		},
	} {
		_, err := New(Options{Metrics: metrics, Registerer: prometheus.NewRegistry()})
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	_, err := New(Options{Objects: alive{}, Registerer: prometheus.NewRegistry(), Metrics: []Metric{
		{Name: "a", MaxAge: 1, Pods: &Pods{"p", "n"}}, {Name: "a", MaxAge: 1, Pods: &Pods{"p", "n"}},
	}})
	if want := `cannot serve metric "a": metric "a" of pods is there already`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// FuzzMetricSelector feeds what a client may write into a selector: the answer is a value or an API error.
func FuzzMetricSelector(f *testing.F) {
	for _, seed := range []string{"", "a=b", "foresail.io/lead=30m", "foresail.io/quantile=0.9,a notin (b)", "foresail.io/lead=-1m", "!foresail.io/lead", "foresail.io/quantile=NaN", "a>1"} {
		f.Add(seed)
	}
	live := point("load", 50, "a", "b")
	p := newProvider(f, Options{
		Metrics: []Metric{{Name: "load", MaxAge: time.Hour, External: &External{}, Forecast: &Forecast{Lead: time.Minute, Quantile: 0.9}}},
		Table:   results{"load": {At: time.Now(), Points: []series.Point{live}}},
		Outlooks: outlooks{live.Key: {
			Issued: time.Now(), Step: time.Minute, Levels: []float64{0.5, 0.9}, Windows: [][]float64{{60, 70}}, State: forecast.State{Reason: forecast.Trusted},
		}},
	})
	f.Fuzz(func(t *testing.T, text string) {
		sel, err := labels.Parse(text)
		if err != nil {
			return
		}
		list, err := p.GetExternalMetric(t.Context(), "x", sel, provider.ExternalMetricInfo{Metric: "load_forecast"})
		var status apierrors.APIStatus
		switch {
		case err != nil && !errors.As(err, &status):
			t.Errorf("%q: not an API error: %v", text, err)
		case err == nil && (len(list.Items) != 1 || list.Items[0].Value.Cmp(resource.MustParse("50")) < 0):
			t.Errorf("%q: %+v", text, list)
		}
	})
}

func BenchmarkPods200(b *testing.B) {
	objects := alive{}
	var points []series.Point
	for i := range 200 {
		name := fmt.Sprintf("web-%d", i)
		objects["shop/"+name] = labels.Set{"app": "web"}
		points = append(points, point("q", float64(i), "namespace", "shop", "pod", name))
	}
	p := newProvider(b, Options{
		Metrics: []Metric{{Name: "q", MaxAge: time.Hour, Pods: &Pods{NameLabel: "pod", NamespaceLabel: "namespace"}}},
		Table:   results{"q": {At: time.Now(), Points: points}}, Objects: objects,
	})
	app, info := selector(b, "app=web"), provider.CustomMetricInfo{GroupResource: podResource, Namespaced: true, Metric: "q"}
	b.ReportAllocs()
	for b.Loop() {
		list, err := p.GetMetricBySelector(b.Context(), "shop", app, info, labels.Everything())
		if err != nil || len(list.Items) != 200 {
			b.Fatal(list, err)
		}
	}
}
