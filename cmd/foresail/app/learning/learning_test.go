package learning

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// past is a backend that knows two series, of one name each, for a day.
type past struct {
	mu    sync.Mutex
	asked map[string]int
	err   error
	none  bool // it knows of no series
}

func (p *past) QueryRange(_ context.Context, promql string, from, to time.Time, step time.Duration) ([]series.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[promql]++
	if p.err != nil {
		return nil, p.err
	}
	if p.none {
		return nil, nil
	}
	var samples []series.Sample
	for at := from; !at.After(to); at = at.Add(step) {
		samples = append(samples, series.Sample{Time: at, Value: 1})
	}
	return []series.Run{{Key: series.NewKey("x"), Samples: samples}, {Key: series.NewKey("y"), Samples: samples}}, nil
}

func (p *past) times(query string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[query]
}

func (p *past) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func newPast() *past { return &past{asked: map[string]int{}} }

func run(t *testing.T) (*Learner, *tracker.Tracker, *prometheus.Registry) {
	t.Helper()
	reg, logger := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	tr, err := tracker.New(tracker.Options{Logger: logger, Registerer: reg, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(Options{Tracker: tr, Logger: logger, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		l.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return l, tr, reg
}

// target learns of an hour, in one question.
func target(metric, query string, p *past) Target {
	return Target{
		Spec: tracker.Spec{
			Metric: metric, MaxAge: time.Minute, History: time.Hour,
			Forecast: forecast.Config{Step: 5 * time.Minute, Lead: 30 * time.Minute, Seasons: []time.Duration{24 * time.Hour}},
		},
		Query: query, Backend: "main", Past: p,
	}
}

func series1(name string) []series.Point {
	return []series.Point{{Key: series.NewKey(name), Sample: series.Sample{Time: time.Now(), Value: 2}}}
}

func TestRulesMetricsAreLearntOnceTheyAreWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tr, _ := run(t)
		p := newPast()
		const name = "namespaces/shop/pods/load"
		keys := func() string {
			var out []string
			for _, e := range tr.Table().List(name) {
				out = append(out, strings.TrimPrefix(e.Key.String(), name))
			}
			return strings.Join(out, " ")
		}
		l.Observe(name, time.Now(), series1("x"))
		if keys() != "" {
			t.Error("a metric that is not wanted is forecast")
		}
		for range 3 {
			l.Want(target(name, "q", p), "rule")
		}
		synctest.Wait()
		// Metrics of one query that differ in nothing but their name stay apart.
		if got := keys(); got != `{__name__="x"} {__name__="y"}` || p.times("q") != 1 {
			t.Errorf("forecast %s, asked %v", got, p.asked)
		}
		l.Observe(name, time.Now(), series1("x"))
		if e, found := tr.Table().Get(name, Keyed(series.NewKey("x"))); !found || e.Last.Value != 2 {
			t.Errorf("the newest sample: %+v, %v", e.Last, found)
		}
		// Another query for other objects of the metric is learnt beside; a rule that has changed is another metric.
		l.Want(target(name, "q2", p), "rule")
		synctest.Wait()
		if p.times("q2") != 1 || p.times("q") != 1 || keys() == "" {
			t.Errorf("asked %v", p.asked)
		}
		p.fail(errors.New("away"))
		l.Want(target(name, "q", p), "other rule")
		synctest.Wait()
		if got := keys(); got != "" || p.times("q") != 2 {
			t.Errorf("what was learnt of another rule stays: %s, asked %v", got, p.asked)
		}
		p.fail(nil)
		time.Sleep(retry)
		synctest.Wait()
		if p.times("q") != 3 || keys() == "" {
			t.Errorf("not tried again: asked %v", p.asked)
		}
		// Read all the time it is learnt once; after an hour without a read the gap is asked for.
		for range 100 {
			time.Sleep(5 * time.Minute)
			l.Want(target(name, "q", p), "other rule")
		}
		synctest.Wait()
		if p.times("q") != 3 {
			t.Errorf("asked %v", p.asked)
		}
		time.Sleep(gap)
		l.Want(target(name, "q", p), "other rule")
		synctest.Wait()
		if p.times("q") != 4 {
			t.Errorf("after a gap: asked %v", p.asked)
		}
	})
}

// However much there is to learn, a backend is asked eight times at once, then four times a second; another one does not wait for that.
func TestABackendIsAskedInTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := run(t)
		p, other := newPast(), newPast()
		var listed []Target
		for i := range 30 {
			listed = append(listed, target(fmt.Sprint("m", i), "q", p))
		}
		second := target("other", "q", other)
		second.Backend = "other"
		if err := l.Apply(append(listed, second)); err != nil {
			t.Fatal(err)
		}
		for after, want := range []int{8, 12, 16, 20, 24, 28, 30, 30} {
			synctest.Wait()
			if got := p.times("q"); got != want {
				t.Errorf("asked %d times after %d s, want %d", got, after, want)
			}
			time.Sleep(time.Second)
		}
		if other.times("q") != 1 {
			t.Error("the other backend is not asked")
		}
	})
}

// Of a past that fails in part only that part is asked for again.
func TestOnlyWhatFailedIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tr, _ := run(t)
		p := &parts{fails: 2}
		long := target("m", "q", nil)
		long.Past, long.History = p, 28*24*time.Hour // 8,064 steps of 5m: four chunks.
		if err := l.Apply([]Target{long}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if len(tr.Table().List("m")) != 1 {
			t.Error("nothing is learnt of the rest")
		}
		time.Sleep(time.Hour)
		if got := p.ranges(); got != "4:2016 3:2016! 2:2016 1:2016 3:2016! 3:2016" {
			t.Errorf("asked for %s", got)
		}
	})
}

// parts is a past of four chunks that fails for the third a number of times.
type parts struct {
	mu    sync.Mutex
	begun time.Time
	fails int
	asked []string
}

func (p *parts) ranges() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, " ")
}

func (p *parts) QueryRange(_ context.Context, _ string, from, to time.Time, step time.Duration) ([]series.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun.IsZero() {
		p.begun = to.Add(-8064 * step)
	}
	steps := int(to.Sub(from)/step) + 1
	chunk := min(4, int(to.Sub(p.begun)+2016*step-1)/int(2016*step))
	if steps < 10 { // What came since.
		steps = 0
	}
	what := fmt.Sprint(chunk, ":", steps)
	if chunk == 3 && p.fails > 0 {
		p.fails--
		p.asked = append(p.asked, what+"!")
		return nil, errors.New("away")
	}
	p.asked = append(p.asked, what)
	run := series.Run{Key: series.NewKey("x")}
	for at := from; !at.After(to); at = at.Add(step) {
		run.Samples = append(run.Samples, series.Sample{Time: at, Value: 1})
	}
	return []series.Run{run}, nil
}

func TestApplyKeepsWhatIsTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tr, _ := run(t)
		p, next := newPast(), newPast()
		const wanted = "namespaces/shop/pods/load"
		apply := func(targets ...Target) {
			t.Helper()
			if err := l.Apply(targets); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		has := func(want string) {
			t.Helper()
			got := ""
			for _, name := range tr.Table().Metrics() {
				got += fmt.Sprint(name, "=", len(tr.Table().List(name)), " ")
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		// Names of the backend are no part of a listed metric: its rule says that it is one.
		apply(target("a", "q", p), target("b", "q", p))
		l.Want(target(wanted, "w", p), "rule")
		synctest.Wait()
		has("a=1 b=1 " + wanted + "=2 ")
		apply(target("a", "q", next), target("b", "other", next))
		has("a=1 b=1 " + wanted + "=2 ")
		if next.times("q") != 0 || next.times("other") != 1 || next.times("w") != 0 {
			t.Errorf("asked %v", next.asked)
		}
		l.Want(target(wanted, "w", next), "rule")
		synctest.Wait()
		if next.times("w") != 0 {
			t.Errorf("what was learnt is learnt again: %v", next.asked)
		}
		// What could not be learnt from the backend of the config before is asked of the new one.
		p.fail(errors.New("away"))
		l.Want(target(wanted+"2", "w2", p), "rule")
		apply(target("c", "q", p))
		apply(target("c", "q", next))
		l.Want(target(wanted+"2", "w2", next), "rule")
		synctest.Wait()
		if next.times("q") != 1 || next.times("w2") != 1 {
			t.Errorf("asked %v", next.asked)
		}
		has("c=1 " + wanted + "=2 " + wanted + "2=2 ")
		asked := p.times("q") + p.times("w2")
		time.Sleep(time.Hour)
		if n := p.times("q") + p.times("w2"); n != asked {
			t.Errorf("the backend before is asked %d times more", n-asked)
		}
		// Another forecast of the same rule begins anew.
		changed := target(wanted, "w", next)
		changed.Forecast.Step = time.Minute
		apply()
		l.Want(changed, "rule")
		synctest.Wait()
		if next.times("w") != 1 {
			t.Errorf("asked %v", next.asked)
		}
		if err := l.Apply([]Target{target("a", "q", p), target("a", "q", p)}); err == nil {
			t.Error("two of one name were taken")
		}
	})
}

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tr, reg := run(t)
		p := newPast()
		p.none = true
		name := func(i int) string { return fmt.Sprintf("namespaces/shop/pods/load%04d", i) }
		want := func(i int) { l.Want(target(name(i), name(i), p), "rule") }
		for i := range mostMetrics {
			want(i)
		}
		tracked := func(i int) bool { return l.find(name(i)) != nil }
		want(mostMetrics)
		if tracked(mostMetrics) || len(tr.Table().Metrics()) != mostMetrics {
			t.Errorf("%d metrics, want %d", len(tr.Table().Metrics()), mostMetrics)
		}
		if n, err := testutil.GatherAndCount(reg, "foresail_demand_forecasts_refused_total"); n != 1 || err != nil {
			t.Errorf("the refusal is not told: %d, %v", n, err)
		}
		// What nobody reads any more makes room, and stays without that; what is read stays.
		time.Sleep(idle)
		for i := 1; i < mostMetrics; i++ {
			want(i)
		}
		time.Sleep(time.Minute)
		if !tracked(0) {
			t.Error("dropped without need")
		}
		want(mostMetrics)
		if tracked(0) || !tracked(1) || !tracked(mostMetrics) {
			t.Errorf("0 %v, 1 %v, the new one %v", tracked(0), tracked(1), tracked(mostMetrics))
		}
		// After a season nothing can be learnt from what was.
		time.Sleep(25 * time.Hour)
		want(0)
		if n := len(l.wanted()); n != 1 {
			t.Errorf("%d metrics are kept for longer than they teach, want 1", n)
		}
	})
}
