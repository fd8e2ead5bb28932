package collectors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast/series"
)

// script is a source whose answers are written down: the i-th collection gets the i-th step, and the last step stays.
type script struct {
	steps  []step
	mu     sync.Mutex
	starts []time.Time
	active int
}

type step struct {
	names []string      // series that are reported, with the number of the collection as their value
	err   error         // what is missing
	takes time.Duration // how long it takes, unless the context ends first
	early time.Duration // how far the time of the samples is behind
	deaf  bool          // ignore the context
}

func (s *script) Collect(ctx context.Context) ([]series.Point, error) {
	s.mu.Lock()
	now := step{}
	n := len(s.starts)
	if len(s.steps) > 0 {
		now = s.steps[min(n, len(s.steps)-1)]
	}
	s.starts = append(s.starts, time.Now())
	s.active++
	overlap := s.active > 1
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.active--; s.mu.Unlock() }()
	if overlap {
		return nil, errors.New("overlaps itself")
	}
	if now.deaf {
		time.Sleep(now.takes)
	} else {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot finish: %w", ctx.Err())
		case <-time.After(now.takes):
		}
	}
	var points []series.Point
	for _, name := range now.names {
		points = append(points, series.Point{Key: series.NewKey(name), Sample: series.Sample{Time: time.Now().Add(-now.early), Value: float64(n)}})
	}
	return points, now.err
}

// notes is a sink that remembers, and fails while err is set.
type notes struct {
	mu     sync.Mutex
	points []series.Point
	err    error
}

func (n *notes) Append(_ context.Context, points []series.Point) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return n.err
	}
	n.points = append(n.points, points...)
	return nil
}

// values returns what was stored of one series, "stale" for a stale mark.
func (n *notes) values(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []string
	for _, p := range n.points {
		switch {
		case p.Key.Metric != name:
		case series.IsStale(p.Value):
			out = append(out, "stale")
		default:
			out = append(out, fmt.Sprint(p.Value))
		}
	}
	return strings.Join(out, " ")
}

// running is a loop over one scripted source, "kafka"/"orders", every 10 s.
type running struct {
	sink *notes
	log  *bytes.Buffer
	reg  *prometheus.Registry
	stop func()
}

// start runs a loop; stop ends it and waits for it.
func start(t *testing.T, source Source) *running {
	t.Helper()
	return startNamed(t, Named{Kind: "kafka", Name: "orders", Source: source, Interval: 10 * time.Second})
}

func startNamed(t *testing.T, source Named) *running {
	t.Helper()
	r := &running{sink: &notes{}, log: &bytes.Buffer{}, reg: prometheus.NewRegistry()}
	l, err := NewLoop(Options{
		Sources:    []Named{source},
		Sink:       r.sink,
		Logger:     slog.New(slog.NewTextHandler(r.log, nil)),
		Registerer: r.reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); l.Run(ctx) }()
	r.stop = func() { cancel(); <-done }
	return r
}

// collections lets the loop make n collections of 10 s each: it stops in the middle between two starts.
func collections(n int) {
	time.Sleep(time.Duration(n)*10*time.Second - 5*time.Second + maxSpread)
	synctest.Wait()
}

func TestLoopKeepsItsSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &script{steps: []step{{names: []string{"a"}, takes: time.Second}}}
		r := start(t, source)
		begin := time.Now()
		collections(101)
		r.stop()
		if n := len(source.starts); n != 101 {
			t.Fatalf("%d collections in 101 intervals", n)
		}
		first := source.starts[0]
		if wait := first.Sub(begin); wait < 0 || wait > maxSpread {
			t.Errorf("the first collection waited %v, want at most %v", wait, maxSpread)
		}
		distinct := make(map[time.Duration]bool)
		for i, at := range source.starts[1:] {
			// The i-th start lies on the grid, a tenth of the interval early or late: errors do not add up.
			late := at.Sub(first) - time.Duration(i+1)*10*time.Second
			if late.Abs() > time.Second {
				t.Errorf("start %d is %v off the grid, want at most 1s", i+1, late)
			}
			distinct[late] = true
		}
		if len(distinct) < 90 {
			t.Errorf("only %d different shifts in 100 starts: no jitter", len(distinct))
		}
	})
}

func TestSchedulesSpreadAndRepeat(t *testing.T) {
	now := time.Unix(0, 0)
	starts := func(name string) (out []time.Time) {
		s := newSchedule(name, time.Minute, now)
		for range 3 {
			out = append(out, s.next(now))
		}
		return out
	}
	if a, b := starts("kafka/a"), starts("kafka/a"); !slices.Equal(a, b) {
		t.Errorf("one name gives the times %v and %v", a, b)
	}
	if a, b := starts("kafka/a"), starts("kafka/b"); a[0].Equal(b[0]) || a[1].Equal(b[1]) {
		t.Errorf("two names start together: %v and %v", a, b)
	}
}

func TestLoopNeverOverlapsASlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// It does not even heed its deadline of 9 s: the starts that it misses are left out, none is made up for.
		source := &script{steps: []step{{names: []string{"a"}, takes: 25 * time.Second, deaf: true}}}
		r := start(t, source)
		time.Sleep(5 * time.Minute)
		r.stop()
		// A start every 30 s: 25 s of work, then the next grid time (+-1 s).
		if n := len(source.starts); n < 9 || n > 11 {
			t.Errorf("%d collections in 5 minutes, want about 10", n)
		}
		if strings.Contains(r.log.String(), "overlaps") {
			t.Error("the source ran twice at once")
		}
	})
}

func TestLoopBoundsACollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &script{steps: []step{{names: []string{"a"}, takes: time.Hour}}})
		collections(3)
		wantMetrics(t, r.reg, "foresail_collector_errors_total", `
# HELP foresail_collector_errors_total Things that collections missed, by reason: timeout, unreachable, denied, not_found, bad_data, unsupported, store or other.
# TYPE foresail_collector_errors_total counter
foresail_collector_errors_total{collector="kafka",reason="timeout",target="orders"} 2
`)
		r.stop()
	})
}

func TestLoopStoresWhatIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := errors.Join(
			&Missing{What: "topic b", Reason: Denied, Err: errors.New("no permission")},
			&Missing{What: "topic c", Reason: Denied, Err: errors.New("no permission")},
			fmt.Errorf("cannot describe group: %w", context.DeadlineExceeded))
		r := start(t, &script{steps: []step{
			{names: []string{"a", "b"}},
			{names: []string{"a"}, err: missing},
			{names: []string{"a"}, err: missing},
			{names: []string{"a", "b"}},
		}})
		collections(1)
		firstSuccess := float64(time.Now().Unix())
		collections(2)
		wantMetrics(t, r.reg, "foresail_collector_up", "# HELP foresail_collector_up Whether the newest collection was complete (1) or something was missing (0).\n"+
			"# TYPE foresail_collector_up gauge\nforesail_collector_up{collector=\"kafka\",target=\"orders\"} 0\n")
		// Two collections with two Denied and one timeout each.
		wantMetrics(t, r.reg, "foresail_collector_errors_total", `
# HELP foresail_collector_errors_total Things that collections missed, by reason: timeout, unreachable, denied, not_found, bad_data, unsupported, store or other.
# TYPE foresail_collector_errors_total counter
foresail_collector_errors_total{collector="kafka",reason="denied",target="orders"} 4
foresail_collector_errors_total{collector="kafka",reason="timeout",target="orders"} 2
`)
		wantMetrics(t, r.reg, "foresail_collector_series", "# HELP foresail_collector_series Series in the newest collection.\n"+
			"# TYPE foresail_collector_series gauge\nforesail_collector_series{collector=\"kafka\",target=\"orders\"} 1\n")
		if last := gauge(t, r.reg, "foresail_collector_last_success_timestamp_seconds"); last > firstSuccess || last < firstSuccess-10 {
			t.Errorf("last success at %v, want shortly before %v: a partial collection is none", last, firstSuccess)
		}
		collections(1)
		if up := gauge(t, r.reg, "foresail_collector_up"); up != 1 {
			t.Errorf("up = %v after recovery, want 1", up)
		}
		r.stop()
		if got := r.sink.values("a"); got != "0 1 2 3" {
			t.Errorf("stored of a: %s, want 0 1 2 3", got)
		}
		if got := strings.Count(r.log.String(), "Collecting fails."); got != 1 {
			t.Errorf("the failure was logged %d times, want once:\n%s", got, r.log)
		}
		if got := strings.Count(r.log.String(), "Collecting works again."); got != 1 {
			t.Errorf("the recovery was logged %d times, want once:\n%s", got, r.log)
		}
		if !strings.Contains(r.log.String(), "cannot read topic b: no permission") || !strings.Contains(r.log.String(), "target=orders") {
			t.Errorf("the log does not name what is missing and where:\n%s", r.log)
		}
	})
}

func TestLoopMarksStaleSeries(t *testing.T) {
	failure := errors.New("partly gone")
	for _, tt := range []struct {
		name  string
		steps []step
		n     int
		want  string
	}{
		{"gone from a complete collection", []step{{names: []string{"a", "b"}}, {names: []string{"b"}}}, 4, "0 stale"},
		{"gone and back", []step{{names: []string{"a"}}, {}, {names: []string{"a"}}}, 4, "0 stale 2 3"},
		// Last seen at 0 s: at 9-11 s it is not old enough, at 29-31 s it is, whatever the jitter makes of 19-21 s.
		{"missing from failing collections", []step{{names: []string{"a"}}, {err: failure}}, 5, "0 stale"},
		{"missing from one failing collection", []step{{names: []string{"a"}}, {err: failure}, {names: []string{"a"}}}, 3, "0 2"},
		{"fails from the start", []step{{err: failure}}, 5, ""},
		// The samples' times are ahead of the clock: the mark must still come after them.
		{"time ahead", []step{{names: []string{"a"}, early: -time.Hour}, {}}, 3, "0 stale"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, &script{steps: tt.steps})
				collections(tt.n)
				r.stop()
				if got := r.sink.values("a"); got != tt.want {
					t.Errorf("stored %q, want %q", got, tt.want)
				}
				var last time.Time
				for _, p := range r.sink.points {
					if p.Key.Metric == "a" {
						if !p.Time.After(last) {
							t.Errorf("a sample at %v after one at %v", p.Time, last)
						}
						last = p.Time
					}
				}
			})
		})
	}
}

func TestLoopEndsWithoutMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &script{steps: []step{{names: []string{"a"}}, {takes: 8 * time.Second}}})
		collections(1)
		time.Sleep(5 * time.Second) // in the middle of the second collection
		r.stop()
		if got := r.sink.values("a"); got != "0" {
			t.Errorf("stored %q, want 0: the end of the loop says nothing about the series", got)
		}
		if r.log.Len() > 0 {
			t.Errorf("the end of the loop was logged as a failure:\n%s", r.log)
		}
		if n, err := testutil.GatherAndCount(r.reg); n != 0 || err != nil {
			t.Errorf("%d metrics are left in the registerer (%v)", n, err)
		}
		start(t, &script{}).stop()
	})
}

func TestLoopTellsThatItCannotStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &script{steps: []step{{names: []string{"a"}}, {names: []string{"a"}}, {}}})
		collections(1)
		r.sink.mu.Lock()
		r.sink.err = errors.New("disk full")
		r.sink.mu.Unlock()
		collections(2) // a sample and then a stale mark are lost
		wantMetrics(t, r.reg, "foresail_collector_errors_total", `
# HELP foresail_collector_errors_total Things that collections missed, by reason: timeout, unreachable, denied, not_found, bad_data, unsupported, store or other.
# TYPE foresail_collector_errors_total counter
foresail_collector_errors_total{collector="kafka",reason="store",target="orders"} 2
`)
		r.sink.mu.Lock()
		r.sink.err = nil
		r.sink.mu.Unlock()
		collections(1)
		r.stop()
		if got := r.sink.values("a"); got != "0 stale" {
			t.Errorf("stored %q, want 0 stale: a mark that was not stored is tried again", got)
		}
		if !strings.Contains(r.log.String(), "cannot store 1 samples: disk full") {
			t.Errorf("the log does not say why:\n%s", r.log)
		}
	})
}

func TestNewLoopRefuses(t *testing.T) {
	source := &script{}
	for _, tt := range []struct {
		name, want string
		sources    []Named
	}{
		{"two of one name", `cannot run two kafka collectors with the name "a"`, []Named{
			{Kind: "kafka", Name: "a", Source: source, Interval: time.Second},
			{Kind: "rpc", Name: "a", Source: source, Interval: time.Second},
			{Kind: "kafka", Name: "a", Source: source, Interval: time.Second},
		}},
		{"no interval", `cannot run kafka collector "a": its interval 0s is not positive`, []Named{{Kind: "kafka", Name: "a", Source: source}}},
		{"long timeout", `cannot run kafka collector "a": its timeout 10s is not between 0 and 9s`, []Named{
			{Kind: "kafka", Name: "a", Source: source, Interval: 10 * time.Second, Timeout: 10 * time.Second},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewLoop(Options{Sources: tt.sources, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
	reg := prometheus.NewRegistry()
	if _, err := NewLoop(Options{Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewLoop(Options{Registerer: reg}); err == nil || !strings.Contains(err.Error(), "cannot register") {
		t.Errorf("error %v, want one that says that the metrics cannot be registered", err)
	}
}

type panicking struct{}

func (panicking) Collect(context.Context) ([]series.Point, error) { panic("broken source") }

// TestLoopDoesNotSwallowPanics runs itself in a second process, because a panic in a goroutine ends the process.
func TestLoopDoesNotSwallowPanics(t *testing.T) {
	if os.Getenv("FORESAIL_TEST_PANIC") != "" {
		r := start(t, panicking{})
		time.Sleep(time.Minute)
		r.stop()
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLoopDoesNotSwallowPanics$")
	cmd.Env = append(os.Environ(), "FORESAIL_TEST_PANIC=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: broken source") {
		t.Errorf("the process ended with %v and said:\n%s", err, out)
	}
}

func TestReasons(t *testing.T) {
	missing := func(r Reason) error { return &Missing{What: "it", Reason: r, Err: errors.New("why")} }
	for _, tt := range []struct {
		name string
		err  error
		want []Reason
	}{
		{"nil", nil, nil},
		{"plain", errors.New("x"), []Reason{Other}},
		{"deadline", fmt.Errorf("cannot: %w", context.DeadlineExceeded), []Reason{Timeout}},
		{"missing", missing(BadData), []Reason{BadData}},
		{"joined", errors.Join(missing(BadData), errors.New("x"), errors.Join(missing(Denied))), []Reason{BadData, Other, Denied}},
		{"wrapped", fmt.Errorf("kafka: %w", errors.Join(missing(NotFound), missing(NotFound))), []Reason{NotFound, NotFound}},
		// The outermost Missing decides: its source has looked at the causes.
		{"missing of joined", &Missing{What: "it", Reason: Denied, Err: errors.Join(errors.New("x"), errors.New("y"))}, []Reason{Denied}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Reasons(tt.err); !slices.Equal(got, tt.want) {
				t.Errorf("Reasons = %v, want %v", got, tt.want)
			}
		})
	}
}

func wantMetrics(t *testing.T, reg *prometheus.Registry, name, want string) {
	t.Helper()
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), name); err != nil {
		t.Error(err)
	}
}

// gauge returns the value of the only series of a gauge.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
