package standing

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/test/logs"
)

// startDemand runs a demand until the test's end, beside a table of the queries.
func startDemand(t *testing.T, limit int, opts Options) (*Demand, *logs.Text, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	opts.Registerer = reg
	table, log := start(t, opts)
	d, err := NewDemand(DemandOptions{Table: table, Limit: limit, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		d.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return d, log, reg
}

func TestFirstReadEvaluatesAndLaterReadsNeverWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(context.Context, string) ([]series.Point, error) {
			time.Sleep(2 * time.Second)
			return []series.Point{{Sample: series.Sample{Value: 7}}}, nil
		}}
		d, _, _ := startDemand(t, 10, Options{})
		q := query("rule", b)
		var readers sync.WaitGroup
		for range 50 { // at once: one of them asks, all of them wait for its answer
			readers.Go(func() {
				begun := time.Now()
				r, err := d.Get(t.Context(), q)
				if err != nil || len(r.Points) != 1 || r.Points[0].Value != 7 {
					t.Errorf("first read: %+v, %v", r, err)
				}
				if took := time.Since(begun); took != 2*time.Second {
					t.Errorf("first read took %v, want the backend's 2s", took)
				}
			})
		}
		readers.Wait()
		if b.count() != 1 {
			t.Fatalf("50 first readers caused %d queries, want 1", b.count())
		}
		for range 200 { // 100 s at 0.5 s
			time.Sleep(500 * time.Millisecond)
			begun := time.Now()
			r, err := d.Get(t.Context(), q)
			if err != nil || time.Since(begun) != 0 {
				t.Fatalf("a warm read took %v: %v", time.Since(begun), err)
			}
			if age := time.Since(r.At); age > 17*time.Second {
				t.Fatalf("a result is %v old with an interval of 10s and a backend that takes 2s", age)
			}
		}
		if n := b.count(); n < 10 || n > 12 {
			t.Errorf("%d queries in 100s at 10s, want about 10", n)
		}
	})
}

func TestReadsOfAnotherRuleShareTheQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(context.Context, string) ([]series.Point, error) {
			return []series.Point{
				{Key: series.NewKey("one", series.Label{Name: "n", Value: "x"}), Sample: series.Sample{Value: 1}},
				{Key: series.NewKey("two", series.Label{Name: "n", Value: "x"}), Sample: series.Sample{Value: 2}},
				{Key: series.NewKey("three"), Sample: series.Sample{Value: math.NaN()}},
			}, nil
		}}
		d, _, _ := startDemand(t, 10, Options{})
		other := query("other", b)
		one, err := d.Get(t.Context(), query("rule", b))
		if err != nil {
			t.Fatal(err)
		}
		two, err := d.Get(t.Context(), other)
		if err != nil || one != two || b.count() != 1 {
			t.Errorf("the same query of two rules: %d queries, %v", b.count(), err)
		}
		// Names are the backend's, so that two metrics with the same labels are two series.
		if len(one.Points) != 2 || one.Points[0].Key.Metric != "one" || one.Points[1].Key.Metric != "two" || len(one.Dropped) != 1 {
			t.Errorf("result %+v", one)
		}
		other.Interval = 20 * time.Second
		if _, err := d.Get(t.Context(), other); err != nil || b.count() != 2 {
			t.Errorf("another interval is another query: %d queries, %v", b.count(), err)
		}
	})
}

func TestUnreadQueriesAreDroppedAfterTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1)}
		d, _, reg := startDemand(t, 10, Options{})
		q := query("rule", b)
		begun := time.Now()
		get := func() {
			t.Helper()
			if _, err := d.Get(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		get()
		time.Sleep(9 * time.Minute)
		get()
		time.Sleep(9 * time.Minute)
		get()
		last := time.Now()
		time.Sleep(time.Hour)
		b.mu.Lock()
		newest := b.asked[len(b.asked)-1]
		b.mu.Unlock()
		if after := newest.Sub(last); after < 9*time.Minute+50*time.Second || after > 10*time.Minute {
			t.Errorf("asked for the last time %v after the last read, want 10m less an interval", after)
		}
		// 28 min at 10 s.
		if n := b.count(); n < 166 || n > 170 {
			t.Errorf("%d queries in %v", n, newest.Sub(begun))
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader("# HELP foresail_demand_queries Queries kept fresh because they were read in the last ten minutes.\n# TYPE foresail_demand_queries gauge\nforesail_demand_queries 0\n"), "foresail_demand_queries"); err != nil {
			t.Error(err)
		}
		before := b.count()
		get()
		if b.count() != before+1 {
			t.Error("the read after the drop did not evaluate")
		}
	})
}

func TestFirstReadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(ctx context.Context, _ string) ([]series.Point, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		d, _, _ := startDemand(t, 10, Options{})
		q := query("rule", b)
		q.Timeout = 5 * time.Second

		// The caller gives up; the evaluation goes on for the next one.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := d.Get(ctx, q); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("a caller with 1s: %v after %v", err, time.Since(begun))
		}
		// The rule's timeout ends the wait of a patient one; 4 s of it are left.
		r, err := d.Get(t.Context(), q)
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("gave up after %v, want the timeout of 5s", took)
		}
		want := `cannot query backend "main": no answer within 5s: context deadline exceeded`
		if err == nil {
			err = r.Err
		}
		if fmt.Sprint(err) != want {
			t.Errorf("error %v, want %s", err, want)
		}
		// From then on the failure is told at once.
		begun = time.Now()
		if r, err := d.Get(t.Context(), q); err != nil || r.Err == nil || time.Since(begun) != 0 {
			t.Errorf("a read of a query that failed: %+v, %v after %v", r, err, time.Since(begun))
		}
	})
}

// A queue before the backend must not make a first read wait for longer than its rule's timeout.
func TestFirstReadIsBoundedWhileTheBackendIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(context.Context, string) ([]series.Point, error) {
			time.Sleep(3 * time.Second)
			return nil, nil
		}}
		d, _, _ := startDemand(t, 100, Options{})
		var readers sync.WaitGroup
		for i := range 20 { // 8 at once, 3 s each: the last 4 have to wait for 9 s
			q := query("rule", b)
			q.Expr, q.Timeout = fmt.Sprint(i), 7*time.Second
			readers.Go(func() {
				begun := time.Now()
				_, err := d.Get(t.Context(), q)
				if took := time.Since(begun); took > 7*time.Second {
					t.Errorf("a read took %v: %v", took, err)
				}
			})
		}
		readers.Wait()
		if b.atMost() != 8 {
			t.Errorf("%d queries at once, want 8", b.atMost())
		}
	})
}

func TestTheNumberOfQueriesIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1)}
		d, _, _ := startDemand(t, 2, Options{})
		get := func(expr string) error {
			q := query("rule", b)
			q.Expr = expr
			_, err := d.Get(t.Context(), q)
			return err
		}
		if err := errors.Join(get("a"), get("b")); err != nil {
			t.Fatal(err)
		}
		err := get("c")
		want := "the limit of queries is reached: 2 different queries were read in the last 10m0s; read fewer different selectors, or raise the limit"
		if !errors.Is(err, ErrLimit) || err.Error() != want {
			t.Errorf("error %v", err)
		}
		if err := get("a"); err != nil {
			t.Errorf("a query that is kept: %v", err)
		}
		if n := testutil.ToFloat64(d.refused); n != 1 {
			t.Errorf("%v refusals counted, want 1", n)
		}
		time.Sleep(11 * time.Minute)
		if err := get("c"); err != nil {
			t.Errorf("after the others were dropped: %v", err)
		}
	})
}

// A dead backend must be one line in the log, not one for each namespace.
func TestARuleOfManyQueriesIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: failing}
		d, log, _ := startDemand(t, 100, Options{})
		failed := func() int {
			d.evaluator.mu.Lock()
			defer d.evaluator.mu.Unlock()
			return len(d.failing)
		}
		for i := range 20 {
			q := query("rule", b)
			q.Expr = fmt.Sprint(i)
			if r, err := d.Get(t.Context(), q); err != nil || r.Err == nil {
				t.Fatalf("%+v, %v", r, err)
			}
		}
		b.set(values(1))
		time.Sleep(2 * time.Minute)
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[1], "level=INFO") {
			t.Errorf("logged:\n%s", log)
		}
		if n := failed(); n != 0 {
			t.Errorf("%d rules fail still", n)
		}
		// One that is dropped while it fails is not waited for.
		b.set(failing)
		q := query("rule", b)
		q.Expr = "dropped"
		if _, err := d.Get(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if n := failed(); n != 0 {
			t.Errorf("%d rules fail after all queries were dropped", n)
		}
	})
}

func TestMetricsSumUpTheQueriesOfARule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1, 2, math.NaN())}
		// The table has a rule of that name, too: names of metrics and of rules are not kept apart.
		d, _, reg := startDemand(t, 100, Options{Queries: []Query{query("rule", b)}})
		synctest.Wait()
		for _, expr := range []string{"a", "b"} {
			q := query("rule", b)
			q.Expr, q.Interval = expr, time.Hour
			if _, err := d.Get(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		want := `
# HELP foresail_rule_dropped_series Series of a rule's last good evaluation without a usable value: NaN, infinite or duplicate, or expected and absent.
# TYPE foresail_rule_dropped_series gauge
foresail_rule_dropped_series{rule="rule"} 3
# HELP foresail_rule_series Series in a rule's last good evaluation.
# TYPE foresail_rule_series gauge
foresail_rule_series{rule="rule"} 6
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "foresail_rule_series", "foresail_rule_dropped_series"); err != nil {
			t.Error(err)
		}
	})
}

func TestReadsBeforeTheStartWaitAndAfterTheEndFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: values(1)}
		table, _ := start(t, Options{})
		d, err := NewDemand(DemandOptions{Table: table, Limit: 1, Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			time.Sleep(time.Second)
			d.Run(ctx)
			close(done)
		}()
		begun := time.Now()
		if _, err := d.Get(t.Context(), query("rule", b)); err != nil || time.Since(begun) != time.Second {
			t.Errorf("a read before the start: %v after %v", err, time.Since(begun))
		}
		cancel()
		<-done
		other := query("rule", b)
		other.Expr = "other"
		if _, err := d.Get(t.Context(), other); !errors.Is(err, ErrEnding) {
			t.Errorf("a read after the end: %v", err)
		}
		if _, err := NewDemand(DemandOptions{Table: table}); err == nil {
			t.Error("a limit of 0 was accepted")
		}
	})
}

func BenchmarkWarmRead(b *testing.B) {
	table, err := New(Options{Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	d, err := NewDemand(DemandOptions{Table: table, Limit: 1, Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		d.Run(ctx)
		close(done)
	}()
	q := query("rule", &backend{answer: values(1)})
	q.Interval = time.Hour
	for b.Loop() {
		if _, err := d.Get(ctx, q); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-done
}

// What a namespace does not read any more does not count for it, and others' queries never do.
func TestTheQueriesOfANamespaceAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(context.Context, string) ([]series.Point, error) { return nil, nil }}
		d, _, _ := startDemand(t, 10, Options{Limits: Limits{RulesPerNamespace: 2}})
		get := func(asker, expr string, want error) {
			t.Helper()
			q := query("rule", b)
			q.Expr, q.Asker = expr, asker
			if _, err := d.Get(t.Context(), q); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s asks %s: %v, want %v", asker, expr, err, want)
			}
		}
		get("shop", "a", nil)
		get("shop", "b", nil)
		get("shop", "c", ErrNamespaceLimit)
		get("bank", "c", nil)
		get("shop", "c", nil) // kept for bank
		get("bank", "a", nil) // kept for shop
		get("bank", "d", nil)
		get("bank", "e", ErrNamespaceLimit)
		for _, expr := range []string{"e", "f", "g"} {
			get("", expr, nil)
		}
		for range 21 { // shop reads b alone: a is dropped after ten minutes
			time.Sleep(30 * time.Second)
			get("shop", "b", nil)
		}
		get("shop", "h", nil)
		get("shop", "i", ErrNamespaceLimit)
	})
}

// heard counts what an observer hears, by name.
type heard struct {
	mu sync.Mutex
	by map[string]int
}

func (h *heard) Observe(name string, _ time.Time, points []series.Point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.by[name] += len(points)
}

// A query is asked once, and observed by every name that its readers gave it, for as long as it is kept.
func TestDemandIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{answer: func(context.Context, string) ([]series.Point, error) { return []series.Point{{}}, nil }}
		h := &heard{by: map[string]int{}}
		d, _, _ := startDemand(t, 10, Options{Observer: h})
		read := func(name string) {
			q := query("rule", b)
			q.Observed = name
			if _, err := d.Get(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
		of := func(name string) int {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.by[name]
		}
		read("")
		synctest.Wait()
		if of("") != 0 {
			t.Error("a query that is not to be observed is")
		}
		read("a")
		read("b")
		read("a")
		time.Sleep(time.Minute)
		asked := b.count() - 1 // the first was before the names
		if asked < 5 || asked > 6 || of("a") != asked || of("b") != asked {
			t.Errorf("asked %d times more, heard %d and %d", asked, of("a"), of("b"))
		}
		time.Sleep(2 * idle)
		before := of("a")
		time.Sleep(idle)
		if of("a") != before {
			t.Error("a query that nobody reads is observed")
		}
	})
}
