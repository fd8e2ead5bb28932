package standing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/adapter/backend/wire"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/test/logs"
)

// backend answers with what the test set last and records when it was asked.
type backend struct {
	mu      sync.Mutex
	asked   []time.Time
	running int
	most    int
	answer  func(ctx context.Context, expr string) ([]series.Point, error)
}

func (b *backend) Query(ctx context.Context, expr string, at time.Time) ([]series.Point, error) {
	b.mu.Lock()
	b.asked = append(b.asked, at)
	b.running++
	b.most = max(b.most, b.running)
	answer := b.answer
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.running--
		b.mu.Unlock()
	}()
	return answer(ctx, expr)
}

func (b *backend) set(answer func(context.Context, string) ([]series.Point, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
}

// gaps are the distances between the evaluations since the one numbered from.
func (b *backend) gaps(from int) []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []time.Duration
	for i := from + 1; i < len(b.asked); i++ {
		out = append(out, b.asked[i].Sub(b.asked[i-1]))
	}
	return out
}

func (b *backend) atMost() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.asked)
}

func values(vs ...float64) func(context.Context, string) ([]series.Point, error) {
	points := make([]series.Point, len(vs))
	for i, v := range vs {
		points[i] = series.Point{
			Key:    series.NewKey("", series.Label{Name: "n", Value: fmt.Sprint(i)}),
			Sample: series.Sample{Value: v},
		}
	}
	return func(context.Context, string) ([]series.Point, error) { return points, nil }
}

func failing(context.Context, string) ([]series.Point, error) {
	return nil, errors.New("connection refused")
}

type observed struct {
	mu   sync.Mutex
	seen []string
}

func (o *observed) Observe(metric string, _ time.Time, points []series.Point) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, fmt.Sprintf("%s:%d", metric, len(points)))
}

func (o *observed) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.seen)
}

// start runs a table until the test's end and waits for the first evaluations.
func start(t *testing.T, opts Options) (*Table, *logs.Text) {
	t.Helper()
	var log logs.Text
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	if opts.Registerer == nil {
		opts.Registerer = prometheus.NewRegistry()
	}
	table, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		table.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return table, &log
}

func query(metric string, b *backend) Query {
	return Query{Metric: metric, Expr: "up", Backend: b, BackendName: "main", Interval: 10 * time.Second, MaxAge: time.Minute}
}

func TestEvaluatesAtOnceAndThenAtTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1, 2)}
		seen := &observed{}
		table, _ := start(t, Options{Queries: []Query{query("load", b)}, Observer: seen})
		before := time.Now()
		<-table.Ready()
		if waited := time.Since(before); waited != 0 {
			t.Errorf("first evaluation after %v, want at once", waited)
		}
		r, ok := table.Lookup("load")
		if !ok || len(r.Points) != 2 || r.Points[1].Value != 2 || r.Err != nil || !r.At.Equal(before) {
			t.Fatalf("Lookup = %+v, %v", r, ok)
		}
		if got := r.Points[0].Key.String(); got != `load{n="0"}` {
			t.Errorf("key %s does not carry the rule's name", got)
		}
		time.Sleep(5 * time.Minute)
		gaps := b.gaps(0)
		if gaps[0] < 5*time.Second || gaps[0] >= 15*time.Second {
			t.Errorf("second evaluation after %v, want one interval give or take a half", gaps[0])
		}
		for i, gap := range gaps[1:] {
			if gap != 10*time.Second {
				t.Errorf("gap %d is %v, want 10s", i+1, gap)
			}
		}
		if n := b.count(); n < 30 || n > 31 {
			t.Errorf("%d evaluations in 5m at 10s", n)
		}
		if all := seen.all(); len(all) != b.count() || all[0] != "load:2" {
			t.Errorf("observed %v for %d evaluations", all, b.count())
		}
		if _, ok := table.Lookup("other"); ok {
			t.Error("a metric without a query was found")
		}
	})
}

func TestSpreadIsTheSameAfterARestartAndDiffersBetweenRules(t *testing.T) {
	offsets := map[time.Duration]bool{}
	for i := range 20 {
		g := &group{rules: []*rule{{query: Query{Metric: fmt.Sprintf("m%d", i), Interval: 10 * time.Second}}}}
		offset := g.offset()
		if again := g.offset(); again != offset {
			t.Fatalf("offset %v changes to %v", offset, again)
		}
		offsets[offset] = true
	}
	if len(offsets) < 18 {
		t.Errorf("20 rules have only %d offsets", len(offsets))
	}
}

func TestIdenticalQueriesAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(7)}
		other := query("c", b)
		other.Interval = 20 * time.Second // not identical
		table, _ := start(t, Options{Queries: []Query{query("a", b), query("b", b), other}})
		<-table.Ready()
		if n := b.count(); n != 2 {
			t.Errorf("3 rules with 2 different queries were asked %d times", n)
		}
		for _, name := range []string{"a", "b", "c"} {
			r, _ := table.Lookup(name)
			if len(r.Points) != 1 || r.Points[0].Key.Metric != name {
				t.Errorf("%s has %+v", name, r.Points)
			}
		}
	})
}

func TestSlowQueriesNeitherOverlapNorRunOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(ctx context.Context, _ string) ([]series.Point, error) {
			<-ctx.Done() // hangs for as long as it may
			return nil, ctx.Err()
		}}
		q := query("slow", b)
		q.Timeout = 4 * time.Second
		table, _ := start(t, Options{Queries: []Query{q}})
		before := time.Now()
		<-table.Ready()
		if took := time.Since(before); took != 4*time.Second {
			t.Errorf("gave up after %v, want the timeout of 4s", took)
		}
		r, _ := table.Lookup("slow")
		want := `cannot query backend "main": no answer within 4s: context deadline exceeded`
		if r.Err == nil || r.Err.Error() != want {
			t.Errorf("error %v, want %s", r.Err, want)
		}
		time.Sleep(3 * time.Minute)
		if b.atMost() != 1 {
			t.Errorf("%d evaluations of one query at a time", b.atMost())
		}
	})
}

func TestOneBackendIsAskedAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(context.Context, string) ([]series.Point, error) {
			time.Sleep(time.Second)
			return nil, nil
		}}
		var queries []Query
		for i := range 40 {
			q := query(fmt.Sprintf("m%d", i), b)
			q.Expr = q.Metric
			queries = append(queries, q)
		}
		before := time.Now()
		table, _ := start(t, Options{Queries: queries})
		<-table.Ready()
		// 40 queries of 1 s, 8 at a time: 5 s.
		if took := time.Since(before); took != 5*time.Second || b.atMost() != 8 {
			t.Errorf("40 queries took %v with %d at once", took, b.atMost())
		}
	})
}

func TestFailureKeepsTheLastValueBacksOffAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(5)}
		table, log := start(t, Options{Queries: []Query{query("load", b)}})
		<-table.Ready()
		good, _ := table.Lookup("load")
		b.set(failing)
		time.Sleep(4 * time.Minute)

		r, _ := table.Lookup("load")
		if len(r.Points) != 1 || r.Points[0].Value != 5 || !r.At.Equal(good.At) {
			t.Errorf("the last good value is gone: %+v", r)
		}
		if got := fmt.Sprint(r.Err); got != `cannot query backend "main": connection refused` {
			t.Errorf("error %q", got)
		}
		if r.ErrAt.Before(good.At.Add(3 * time.Minute)) {
			t.Errorf("ErrAt %v is not the newest failure's", r.ErrAt)
		}
		// After the first failure 10 s, then 20 s, then 40 s for good: 4 intervals, below the minute.
		want := []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 40 * time.Second}
		if got := b.gaps(1)[:4]; !reflect.DeepEqual(got, want) {
			t.Errorf("gaps while failing %v, want %v", got, want)
		}

		failures := b.count()
		b.set(values(6))
		time.Sleep(2 * time.Minute)
		if r, _ := table.Lookup("load"); r.Err != nil || r.Points[0].Value != 6 {
			t.Errorf("after recovery %+v", r)
		}
		for _, gap := range b.gaps(failures) {
			if gap != 10*time.Second {
				t.Errorf("gap of %v after recovery, want 10s", gap)
			}
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 {
			t.Fatalf("logged %d lines, want one for failing and one for recovery:\n%s", len(lines), log)
		}
		for _, part := range []string{"level=WARN", "rule=load", "backend=main", "connection refused", "kept until maxAge", "maxAge=1m0s"} {
			if !strings.Contains(lines[0], part) {
				t.Errorf("%q does not say %q", lines[0], part)
			}
		}
		if !strings.Contains(lines[1], "level=INFO") || !strings.Contains(lines[1], "rule=load") {
			t.Errorf("recovery line %q", lines[1])
		}
	})
}

func TestBackOffIsAtMostAMinute(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		interval time.Duration
		failures int
		want     time.Duration
	}{
		{10 * time.Second, 0, 10 * time.Second},
		{10 * time.Second, 1, 10 * time.Second},
		{10 * time.Second, 2, 20 * time.Second},
		{10 * time.Second, 9, 40 * time.Second},
		{30 * time.Second, 9, time.Minute},
		{45 * time.Second, 9, 45 * time.Second},
		{5 * time.Minute, 9, 5 * time.Minute},
	} {
		g := &group{rules: []*rule{{query: Query{Interval: c.interval}}}, failures: c.failures}
		if got := g.after(now, now).Sub(now); got != c.want {
			t.Errorf("interval %v after %d failures: %v, want %v", c.interval, c.failures, got, c.want)
		}
		// An evaluation that ran over 3 intervals: the next is on the grid and in the future.
		late := now.Add(3*c.interval + c.want + 1)
		if got := g.after(now, late); !got.After(late) || got.Sub(late) > c.interval {
			t.Errorf("interval %v: late by %v the next is at %v", c.interval, late.Sub(now), got.Sub(now))
		}
	}
}

// A wall clock that is set back must neither stop the evaluations nor make an old value look new. Both rest on
// monotonic readings, which time.Time shows in its text.
func TestTimesKeepTheirMonotonicReading(t *testing.T) {
	b := &backend{answer: values(1)}
	table, _ := start(t, Options{Queries: []Query{query("load", b)}})
	<-table.Ready()
	r, _ := table.Lookup("load")
	if !strings.Contains(r.At.String(), "m=+") {
		t.Errorf("At %v has no monotonic reading", r.At)
	}
	g := table.groups[0]
	if next := g.after(time.Now(), time.Now()); !strings.Contains(next.String(), "m=+") {
		t.Errorf("the next evaluation %v has no monotonic reading", next)
	}
}

func TestUnusableValuesAreDroppedWithAReason(t *testing.T) {
	point := func(metric, n string, v float64) series.Point {
		return series.Point{Key: series.NewKey(metric, series.Label{Name: "n", Value: n}), Sample: series.Sample{Value: v}}
	}
	r := newResult("rule", time.Now(), []series.Point{
		point("", "a", 1),
		point("", "b", math.NaN()),
		point("", "c", math.Inf(-1)),
		point("x", "d", 1),
		point("y", "d", 2), // the same series once __name__ is the rule's
		point("z", "d", 3),
		point("", "e", -4),
	}, &Result{})
	var kept, dropped []string
	for _, p := range r.Points {
		kept = append(kept, fmt.Sprint(p.Key, " ", p.Value))
	}
	for _, d := range r.Dropped {
		dropped = append(dropped, fmt.Sprint(d.Key, " ", d.Reason))
	}
	if want := []string{`rule{n="a"} 1`, `rule{n="e"} -4`}; !reflect.DeepEqual(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
	want := []string{`rule{n="b"} NaN`, `rule{n="c"} infinite`, `rule{n="d"} duplicate`}
	if !reflect.DeepEqual(dropped, want) {
		t.Errorf("dropped %v, want %v", dropped, want)
	}
}

// Results with one shape are those whose readers may keep what they made of the keys.
func TestShapeIsThatOfTheKeys(t *testing.T) {
	vector := func(names string, first float64) []series.Point {
		var out []series.Point
		for i, n := range strings.Fields(names) {
			out = append(out, series.Point{Key: series.NewKey("", series.Label{Name: "n", Value: n}), Sample: series.Sample{Value: first + float64(i)}})
		}
		return out
	}
	last := newResult("rule", time.Now(), vector("a b c", 1), &Result{})
	for _, test := range []struct {
		what    string
		points  []series.Point
		same    bool
		usable  int
		dropped int
	}{
		{"other values", vector("a b c", 5), true, 3, 0},
		{"another order", vector("a c b", 1), false, 3, 0},
		{"one series less", vector("a b", 1), false, 2, 0},
		{"another series", vector("a b d", 1), false, 3, 0},
		{"a series twice", vector("a b b", 1), false, 1, 1},
		{"a value that is none", vector("a b c", math.Inf(1)), false, 0, 3},
		{"no series", nil, false, 0, 0},
	} {
		r := newResult("rule", time.Now(), test.points, last)
		if same := r.Shape == last.Shape; same != test.same || len(r.Points) != test.usable || len(r.Dropped) != test.dropped || r.Shape == nil {
			t.Errorf("%s: same shape %v, %d points, %d dropped; want %v, %d and %d", test.what, same, len(r.Points), len(r.Dropped), test.same, test.usable, test.dropped)
		}
	}
	// What is expected is looked for each time, also where the series are those of the last time.
	for _, test := range []struct{ expected, names, absent string }{
		{"a c", "a b c", ""}, {"a d", "a b c", `[rule{n="d"}]`}, {"a b", "c", `[rule{n="a"} rule{n="b"}]`}, {"a", "", ""},
	} {
		var want []series.Label
		for n := range strings.FieldsSeq(test.expected) {
			want = append(want, series.Label{Name: "n", Value: n})
		}
		points := vector(test.names, 1)
		r := newResult("rule", time.Now(), points, last)
		r.expect("rule", want, points)
		var absent []series.Key
		for _, d := range r.Dropped {
			if d.Reason == Absent {
				absent = append(absent, d.Key)
			}
		}
		if got := fmt.Sprint(absent); got != test.absent && (test.absent != "" || absent != nil) {
			t.Errorf("%s of %s: absent are %v, want %s", test.expected, test.names, absent, test.absent)
		}
		if failures := strings.Join(r.failures(), " "); test.absent != "" && failures != "absent" || test.names == "" && failures != "no_data" {
			t.Errorf("%s of %s fails by %q", test.expected, test.names, failures)
		}
	}
	if points := vector("a b c", 1); newResult("rule", time.Now(), points, last).Points[0].Key.Metric != "rule" || points[0].Key.Metric != "" {
		t.Error("the backend's points are shared by rules and must stay as they are")
	}
}

func TestAnEmptyVectorReplacesTheLastOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1)}
		seen := &observed{}
		table, _ := start(t, Options{Queries: []Query{query("load", b)}, Observer: seen})
		<-table.Ready()
		b.set(values())
		time.Sleep(20 * time.Second)
		r, _ := table.Lookup("load")
		if len(r.Points) != 0 || r.Err != nil || time.Since(r.At) > 10*time.Second {
			t.Errorf("after an empty vector: %+v", r)
		}
		if r.Before == nil || len(r.Before.Points) != 1 || r.Before.Before != nil {
			t.Errorf("before two empty vectors: %+v", r.Before)
		}
		if all := seen.all(); all[len(all)-1] != "load:0" {
			t.Errorf("observed %v", all)
		}
	})
}

// The sum of a rule's series is known from a result that lacks none: 1 + 2 = 3 stays known while a series is expected and absent or is NaN, there are
// none at all or the backend fails, and gives way to 4 + 5 = 9.
func TestTheNewestWholeResultIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1, 2)}
		q := query("load", b)
		q.Expect = []series.Label{{Name: "n", Value: "0"}, {Name: "n", Value: "1"}}
		table, _ := start(t, Options{Queries: []Query{q}})
		<-table.Ready()
		first, _ := table.Lookup("load")
		for _, c := range []struct {
			name   string
			answer func(context.Context, string) ([]series.Point, error)
			points int
			sum    float64 // Of Whole, 0 where it is nil.
		}{
			{"one is absent", values(7), 1, 3},
			{"one is NaN", values(7, math.NaN()), 1, 3},
			{"none", values(), 0, 3},
			{"an error after none", failing, 0, 3},
			{"whole", values(4, 5), 2, 0},
			{"one is absent again", values(7), 1, 9},
			{"an error after that", failing, 1, 9},
		} {
			b.set(c.answer)
			time.Sleep(2 * time.Minute) // Longer than any back-off.
			r, _ := table.Lookup("load")
			sum := 0.
			if r.Whole != nil {
				for _, p := range r.Whole.Points {
					sum += p.Value
				}
			}
			if len(r.Points) != c.points || sum != c.sum {
				t.Errorf("%s: %d points, and a sum of %v of the newest whole result, want %d and %v", c.name, len(r.Points), sum, c.points, c.sum)
			}
			if c.sum == 3 && r.Whole != first || r.Whole != nil && r.Whole.Whole != nil {
				t.Errorf("%s: %+v is kept", c.name, r.Whole)
			}
		}
	})
}

// Each failure has one of few reasons, as a backend's own errors tell it or as is seen here.
func TestReasonsOfFailures(t *testing.T) {
	for want, err := range map[string]error{
		"forbidden": fmt.Errorf("cannot ask: %w", &wire.Error{Kind: wire.Rejected, Status: http.StatusForbidden}),
		"bad_query": &wire.Error{Kind: wire.Rejected, Status: http.StatusBadRequest},
		"rejected":  &wire.Error{Kind: wire.Rejected, Status: http.StatusNotFound},
		"partial":   &wire.Error{Kind: wire.Partial},
		"timeout":   fmt.Errorf("cannot ask: %w", context.DeadlineExceeded),
		"limit":     limitError{errors.New("too many")},
		"other":     errors.New("something else"),
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("%v has the reason %q, want %q", err, got, want)
		}
	}
	inf := math.Inf(1)
	for want, vector := range map[string][]float64{"no_data": nil, "nan infinite": {1, math.NaN(), math.NaN(), inf}, "": {1, 2}} {
		points, _ := values(vector...)(t.Context(), "") // always good
		if got := strings.Join(newResult("load", time.Unix(1, 0), points, &Result{}).failures(), " "); got != want {
			t.Errorf("%v fails by %q, want %q", points, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		good, bad := &backend{answer: values(1, math.NaN())}, &backend{answer: failing}
		q := query("bad", bad)
		q.BackendName = "other"
		table, _ := start(t, Options{Queries: []Query{query("good", good), q}, Registerer: reg})
		<-table.Ready()
		time.Sleep(3 * time.Second)
		want := `
# HELP foresail_rule_age_seconds Age of a rule's last good evaluation, the oldest where it has several queries; absent before the first.
# TYPE foresail_rule_age_seconds gauge
foresail_rule_age_seconds{rule="good"} 3
# HELP foresail_rule_dropped_series Series of a rule's last good evaluation without a usable value: NaN, infinite or duplicate, or expected and absent.
# TYPE foresail_rule_dropped_series gauge
foresail_rule_dropped_series{rule="good"} 1
# HELP foresail_rule_evaluations_total Evaluations of a rule's query by outcome: ok, empty (no usable series) or error.
# TYPE foresail_rule_evaluations_total counter
foresail_rule_evaluations_total{outcome="empty",rule="bad"} 0
foresail_rule_evaluations_total{outcome="empty",rule="good"} 0
foresail_rule_evaluations_total{outcome="error",rule="bad"} 1
foresail_rule_evaluations_total{outcome="error",rule="good"} 0
foresail_rule_evaluations_total{outcome="ok",rule="bad"} 0
foresail_rule_evaluations_total{outcome="ok",rule="good"} 1
# HELP foresail_rule_failures_total Evaluations of a rule's query that left it, or some of its series, without a new value, by reason: the backend's (unreachable, timeout, bad_query, forbidden, rejected, bad_data, partial, too_large, clock, canceled), limit, no_data, nan, infinite, duplicate, absent or other.
# TYPE foresail_rule_failures_total counter
foresail_rule_failures_total{reason="nan",rule="good"} 1
foresail_rule_failures_total{reason="other",rule="bad"} 1
# HELP foresail_rule_series Series in a rule's last good evaluation.
# TYPE foresail_rule_series gauge
foresail_rule_series{rule="good"} 1
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "foresail_rule_age_seconds",
			"foresail_rule_series", "foresail_rule_dropped_series", "foresail_rule_evaluations_total", "foresail_rule_failures_total"); err != nil {
			t.Error(err)
		}
		if n := testutil.CollectAndCount(table.metrics.seconds); n != 2 {
			t.Errorf("evaluation times of %d rules, want 2", n)
		}
	})
}

func TestNewRefusesMistakes(t *testing.T) {
	b := &backend{answer: values(1)}
	bad := query("load", b)
	bad.Interval = 0
	for want, queries := range map[string][]Query{
		`cannot keep rule "load": there are two of that name`:                                   {query("load", b), query("load", b)},
		`cannot keep rule "load": it needs a name, a backend, an interval and a maxAge above 0`: {bad},
	} {
		_, err := New(Options{Queries: queries, Registerer: prometheus.NewRegistry()})
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// An answer with too many series is an error, not a part of itself; the last good one is kept as for any other.
func TestTheSeriesOfAnAnswerAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1, 2)}
		table, log := start(t, Options{Queries: []Query{query("rule", b)}, Limits: Limits{SeriesPerRule: 2}})
		<-table.Ready()
		if r, _ := table.Lookup("rule"); len(r.Points) != 2 || r.Err != nil {
			t.Errorf("at the limit: %+v", r)
		}
		b.set(values(1, 2, 3))
		time.Sleep(20 * time.Second)
		const want = `the answer of backend "main" has 3 series, and limits.seriesPerRule is 2: aggregate the query, or raise the limit`
		if r, _ := table.Lookup("rule"); len(r.Points) != 2 || r.Err == nil || r.Err.Error() != want {
			t.Errorf("beyond the limit: %d points, %v\nwant %s", len(r.Points), r.Err, want)
		}
		if !strings.Contains(log.String(), "limits.seriesPerRule is 2") {
			t.Errorf("the log does not say: %s", log)
		}
	})
}
