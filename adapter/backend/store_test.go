package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"go.uber.org/goleak"

	"github.com/foresail/foresail/forecast/series"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func openTestStore(t *testing.T, dir string) *Store {
	t.Helper()
	c := StoreConfig{Path: dir}
	c.Default()
	s, err := OpenStore(c, Options{Name: "store"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func lag(group string) series.Key {
	return series.NewKey("lag", series.Label{Name: "group", Value: group})
}

func point(k series.Key, at time.Time, v float64) series.Point {
	return series.Point{Key: k, Sample: series.Sample{Time: at, Value: v}}
}

func mustAppend(t *testing.T, s *Store, points ...series.Point) {
	t.Helper()
	if err := s.Append(t.Context(), points); err != nil {
		t.Fatal(err)
	}
}

// vector evaluates the expression and returns it as text: series, value, ... sorted by the engine or alone.
func vector(t *testing.T, s *Store, expr string, at time.Time) string {
	t.Helper()
	points, err := s.Query(t.Context(), expr, at)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range points {
		if !p.Time.Equal(at) {
			t.Errorf("%s: the point's time is %v, want that of the query, %v", expr, p.Time, at)
		}
		out = append(out, fmt.Sprintf("%s %v", p.Key, p.Value))
	}
	return strings.Join(out, ", ")
}

func TestStoreAppendAndQuery(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	mustAppend(t, s, point(lag("a"), noon, 10), point(lag("b"), noon, 20), point(series.NewKey("up"), noon, 1))
	mustAppend(t, s, point(lag("a"), noon.Add(time.Minute), 40), point(lag("b"), noon.Add(time.Minute), math.Inf(1)))
	for expr, want := range map[string]string{
		`sort(lag)`:                             `lag{group="a"} 40, lag{group="b"} +Inf`,
		`lag{group="a"} offset 1m`:              `lag{group="a"} 10`,
		`sum(lag offset 1m)`:                    ` 30`,
		`rate(lag{group="a"}[2m])`:              `{group="a"} 0.5`, // see below
		`up`:                                    `up 1`,
		`scalar(up) + 1`:                        ` 2`,
		`absent(nothing{x="y"})`:                `{x="y"} 1`,
		`nothing`:                               ``,
		`lag{group="a"} * NaN`:                  `{group="a"} NaN`,
		`label_replace(up, "a b", "x", "", "")`: `up{a b="x"} 1`,
	} {
		t.Run(expr, func(t *testing.T) {
			// rate: 30 more in the 60 s between the samples at noon and 12:01. The window of 2 minutes begins at 11:59, 60 s
			// before the first sample; that is less than 1.1 times the samples' distance, so the rate is extrapolated over it,
			// but not below the counter's zero, which lies 10/(30/60) = 20 s before noon: 30 * (60+20)/60 / 120 = 1/3.
			if strings.HasPrefix(expr, "rate") {
				want = fmt.Sprintf(`{group="a"} %v`, 30.0*80/60/120)
			}
			if got := vector(t, s, expr, noon.Add(time.Minute)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestStoreRangeSkipsGaps(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	mustAppend(t, s, point(lag("a"), noon, 1))
	mustAppend(t, s, point(lag("a"), noon.Add(20*time.Minute), 2))
	runs, err := s.QueryRange(t.Context(), "lag", noon.Add(-time.Minute), noon.Add(22*time.Minute), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	// With a lookback of 5m, exclusive, noon's sample answers for 12:00 to 12:04 and the other for 12:20 to 12:22.
	var got []string
	for _, r := range runs {
		for _, x := range r.Samples {
			got = append(got, fmt.Sprintf("%s=%v", x.Time.UTC().Format("15:04"), x.Value))
		}
	}
	want := "[12:00=1 12:01=1 12:02=1 12:03=1 12:04=1 12:20=2 12:21=2 12:22=2]"
	if len(runs) != 1 || runs[0].Key != lag("a") || fmt.Sprint(got) != want {
		t.Errorf("got %v %v, want %s", runs, got, want)
	}
}

func TestStoreErrors(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	mustAppend(t, s, point(lag("a"), noon, 1), point(series.NewKey("lag", series.Label{Name: "group", Value: "a"}, series.Label{Name: "x", Value: "y"}), noon, 1))
	for expr, says := range map[string]string{
		"sum(":                          "parse error",
		"lag[5m]":                       "rate()",
		`"text"`:                        "string",
		"lag * on(group) lag":           "many-to-many",
		`label_join(lag, "x", "", "z")`: "correct the query",
	} {
		_, err := s.Query(t.Context(), expr, noon)
		kind := Rejected
		if says == "rate()" || says == "string" {
			kind = BadData
		}
		t.Run(expr, func(t *testing.T) { wantError(t, err, kind, 0, says) })
	}
	_, err := s.QueryRange(t.Context(), "lag", noon, noon, 0)
	wantError(t, err, Rejected, 0, "step")

	expired, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	_, err = s.Query(expired, "lag", noon)
	wantError(t, err, Timeout, 0, "no answer within")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Query(canceled, "lag", noon)
	wantError(t, err, Canceled, 0)
	if err := s.Append(canceled, []series.Point{point(lag("a"), noon.Add(time.Minute), 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("append after cancel: got %v", err)
	}
	if got := vector(t, s, "count(lag)", noon.Add(time.Minute)); got != " 2" {
		t.Errorf("the store is not whole after errors: got %q", got)
	}
}

// A store that has samples of an hour that the clock has yet to reach takes no others, and so does not tell of what was before it.
func TestTheClockIsSetBack(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	now := time.Now().Truncate(time.Second).UTC()
	mustAppend(t, s, point(lag("a"), now.Add(-time.Hour), 1))
	mustAppend(t, s, point(lag("a"), now.Add(30*time.Second), 2))
	if got := vector(t, s, "lag", now.Add(-time.Hour)); got != `lag{group="a"} 1` {
		t.Errorf("half a minute ahead: %q", got)
	}
	mustAppend(t, s, point(lag("a"), now.Add(2*time.Minute), 3))
	_, err := s.Query(t.Context(), "lag", now.Add(-time.Hour))
	wantError(t, err, Clock, 0, "the clock was set back", "store.path")
	if got := s.sameTime(now.Add(2 * time.Minute)); got != nil {
		t.Errorf("once the clock has caught up: %v", got)
	}
}

func TestStoreRefusesNativeHistograms(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	app := s.db.Appender(t.Context())
	if _, err := app.AppendHistogram(0, labels.FromStrings("__name__", "latency"), noon.UnixMilli(), tsdbutil.GenerateTestHistogram(1), nil); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Query(t.Context(), "latency", noon)
	wantError(t, err, BadData, 0, "latency answers native histograms", "histogram_quantile")
	_, err = s.QueryRange(t.Context(), "latency", noon, noon, time.Minute)
	wantError(t, err, BadData, 0, "latency answers native histograms")
	if got := vector(t, s, "histogram_count(latency)", noon); !strings.HasPrefix(got, " ") {
		t.Errorf("got %q, want one number", got)
	}
}

func TestStoreBoundsSamples(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	s.engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 60, Timeout: time.Minute})
	// One sample a minute from 12:00 to 13:00, both included, is 61.
	_, err := s.QueryRange(t.Context(), "vector(1)", noon, noon.Add(time.Hour), time.Minute)
	wantError(t, err, TooLarge, 0, "select fewer series")
	if _, err = s.QueryRange(t.Context(), "vector(1)", noon, noon.Add(59*time.Minute), time.Minute); err != nil {
		t.Errorf("60 samples: %v", err)
	}
}

func TestStaleMarkEndsSeries(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	mustAppend(t, s, point(lag("a"), noon, 1), point(lag("b"), noon, 1))
	mustAppend(t, s, point(lag("a"), noon.Add(15*time.Second), series.Stale()), point(lag("b"), noon.Add(15*time.Second), math.NaN()))
	// A NaN that a source reported is a value, the mark is an end.
	if got := vector(t, s, "lag", noon.Add(16*time.Second)); got != `lag{group="b"} NaN` {
		t.Errorf("got %q, want only group b", got)
	}
	mustAppend(t, s, point(lag("a"), noon.Add(30*time.Second), 3))
	if got := vector(t, s, `lag{group="a"}`, noon.Add(31*time.Second)); got != `lag{group="a"} 3` {
		t.Errorf("got %q, want the series back", got)
	}
}

func TestAppendReportsWhatItRefuses(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	mustAppend(t, s, point(lag("a"), noon, 1), point(lag("b"), noon, 1))
	// The same again is no error, and an empty batch is none.
	mustAppend(t, s, point(lag("a"), noon, 1))
	mustAppend(t, s)

	next := noon.Add(time.Minute)
	err := s.Append(t.Context(), []series.Point{
		point(lag("c"), next, 3),                   // good
		point(lag("a"), noon.Add(-time.Second), 2), // the clock went back
		point(lag("b"), noon.Add(-2*time.Hour), 2), // far back
		point(lag("b"), noon, 5),                   // another value at a time that is stored
		point(lag("c"), next, 4),                   // another value within the batch
		point(lag("c"), next.Add(-time.Second), 4), // out of order within the batch
		point(series.Key{}, next, 1),               // no name
		point(series.NewKey("", series.Label{Name: "x", Value: "y"}), next, 1),
		point(lag("d"), time.Time{}, 1), // no time
		point(series.NewKey("m", series.Label{Name: "__name__", Value: "n"}), next, 1),
		point(lag("e"), next, 6), // good
	})
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		t.Fatalf("got %v (%T), want a *RefusedError", err, err)
	}
	if refused.Refused != 9 || refused.Total != 11 {
		t.Errorf("got %d of %d, want 9 of 11", refused.Refused, refused.Total)
	}
	want := `cannot store 9 of 11 samples: ` +
		`3 (first lag{group="a"} at 2026-03-02T11:59:59Z) older than what is stored: did the clock jump back?; ` +
		`2 (first lag{group="b"} at 2026-03-02T12:00:00Z) a second value for one time: is the series collected twice?; ` +
		`2 (first  at 2026-03-02T12:01:00Z) not a storable series: no metric name; ` +
		`1 (first lag{group="d"} at 0001-01-01T00:00:00Z) not a storable series: no time; ` +
		`1 (first m{__name__="n"} at 2026-03-02T12:01:00Z) not a storable series: its name is a label as well`
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	for _, sentinel := range []error{ErrOlder, ErrTwice, ErrInvalid} {
		if !errors.Is(err, sentinel) {
			t.Errorf("%v is not %v", err, sentinel)
		}
	}
	if got, want := vector(t, s, "sort(lag)", next), `lag{group="a"} 1, lag{group="b"} 1, lag{group="c"} 3, lag{group="e"} 6`; got != want {
		t.Errorf("got %q, want the good ones stored: %q", got, want)
	}
}

func TestAppendForgetsSeriesThatAreGone(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	for hour := range 4 {
		at := noon.Add(time.Duration(hour) * time.Hour)
		mustAppend(t, s, point(lag(fmt.Sprint("pod-", hour)), at, 1), point(lag("stays"), at, float64(hour)))
	}
	if n := len(s.appender.known); n > 3 {
		t.Errorf("%d series cached, want at most the one that stays and those of the last hour", n)
	}
	// A series that was forgotten comes back as itself.
	mustAppend(t, s, point(lag("pod-0"), noon.Add(3*time.Hour), 7))
	if got := vector(t, s, `lag{group="pod-0"}`, noon.Add(3*time.Hour)); got != `lag{group="pod-0"} 7` {
		t.Errorf("got %q", got)
	}
	if got := vector(t, s, `count_over_time(lag{group="pod-0"}[4h])`, noon.Add(3*time.Hour)); got != `{group="pod-0"} 2` {
		t.Errorf("got %q, want both of its samples in one series", got)
	}
}

func TestStoreRestarts(t *testing.T) {
	dir := t.TempDir()
	s := openTestStore(t, dir)
	mustAppend(t, s, point(lag("a"), noon, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	_, err := s.Query(t.Context(), "lag", noon)
	wantError(t, err, Unreachable, 0, "the store is closed")
	if err := s.Append(t.Context(), []series.Point{point(lag("a"), noon, 1)}); err == nil || !strings.Contains(err.Error(), "the store is closed") {
		t.Errorf("append after Close: got %v", err)
	}

	s = openTestStore(t, dir)
	mustAppend(t, s, point(lag("a"), noon.Add(time.Minute), 2))
	if got := vector(t, s, "sum_over_time(lag[5m])", noon.Add(time.Minute)); got != `{group="a"} 3` {
		t.Errorf("after a restart: got %q, want 1 + 2", got)
	}

	// A copy of the directory as it is now is what a power cut would leave, lock file and all.
	crashed := filepath.Join(t.TempDir(), "crashed")
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	c := openTestStore(t, crashed)
	if got := vector(t, c, "sum_over_time(lag[5m])", noon.Add(time.Minute)); got != `{group="a"} 3` {
		t.Errorf("after a crash: got %q, want 1 + 2", got)
	}
	// The last record of the log cut in half costs that record, not the store.
	torn := filepath.Join(t.TempDir(), "torn")
	if err := os.CopyFS(torn, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(torn, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	newest := segments[len(segments)-1]
	info, err := os.Stat(newest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(newest, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	c = openTestStore(t, torn)
	if got := vector(t, c, "sum_over_time(lag[5m])", noon.Add(time.Minute)); got != `{group="a"} 1` {
		t.Errorf("with a torn log: got %q, want the first sample only", got)
	}
}

func TestStoreIsLocked(t *testing.T) {
	dir := t.TempDir()
	s := openTestStore(t, dir)
	mustAppend(t, s, point(lag("a"), noon, 1))
	_, err := OpenStore(StoreConfig{Path: dir, Retention: time.Hour, Lookback: time.Minute}, Options{Name: "store"})
	want := fmt.Sprintf("cannot open store in %q: another process has it open: stop that one, or choose another path", dir)
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want %q in one line", err, want)
	}
	if got := vector(t, s, "lag", noon); got != `lag{group="a"} 1` {
		t.Errorf("the first holder: got %q", got)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(StoreConfig{Path: file, Retention: time.Hour, Lookback: time.Minute}, Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a directory: got %v", err)
	}
}

func TestStoreOptions(t *testing.T) {
	o := storeOptions(StoreConfig{Retention: 35 * 24 * time.Hour})
	if got := time.Duration(o.RetentionDuration) * time.Millisecond; got != 35*24*time.Hour {
		t.Errorf("retention %v", got)
	}
	if got := time.Duration(o.MaxBlockDuration) * time.Millisecond; got != 84*time.Hour {
		t.Errorf("largest block %v, want a tenth of the retention", got)
	}
	if got := storeOptions(StoreConfig{Retention: time.Hour}); got.MaxBlockDuration != tsdb.DefaultBlockDuration {
		t.Errorf("largest block of a short retention: %d, want the smallest there is", got.MaxBlockDuration)
	}
}

// TestRetention holds that blocks older than the retention go when the store is opened.
func TestRetention(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := WriteHistory(t.Context(), dir, []series.Run{minutes(lag("a"), noon.Add(-21*24*time.Hour), noon)}); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(StoreConfig{Path: dir, Retention: 7 * 24 * time.Hour, Lookback: 5 * time.Minute}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := vector(t, s, "lag", noon.Add(-6*24*time.Hour)); got == "" {
		t.Error("six days ago: got nothing, want a sample")
	}
	if got := vector(t, s, "lag", noon.Add(-12*24*time.Hour)); got != "" {
		t.Errorf("twelve days ago: got %q, want nothing", got)
	}
}

// minutes is a run whose value at each minute is the number of minutes since 1970.
func minutes(k series.Key, from, to time.Time) series.Run {
	r := series.Run{Key: k}
	for at := from; !at.After(to); at = at.Add(time.Minute) {
		r.Samples = append(r.Samples, series.Sample{Time: at, Value: float64(at.Unix() / 60)})
	}
	return r
}

func TestHistoryAndHeadAnswerOneQuery(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	start := noon.Add(-21 * 24 * time.Hour)
	runs := []series.Run{minutes(lag("a"), start, noon), minutes(lag("b"), noon.Add(-time.Hour), noon), {Key: lag("none")}}
	if err := WriteHistory(t.Context(), dir, runs); err != nil {
		t.Fatal(err)
	}
	s := openTestStore(t, dir)
	for m := 1; m <= 60; m++ {
		at := noon.Add(time.Duration(m) * time.Minute)
		mustAppend(t, s, point(lag("a"), at, float64(at.Unix()/60)))
	}
	got, err := s.QueryRange(t.Context(), `lag{group="a"}`, start, noon.Add(time.Hour), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := minutes(lag("a"), start, noon.Add(time.Hour))
	if len(got) != 1 || len(got[0].Samples) != len(want.Samples) {
		t.Fatalf("got %d series, want one of %d samples", len(got), len(want.Samples))
	}
	for i, w := range want.Samples {
		if g := got[0].Samples[i]; !g.Time.Equal(w.Time) || g.Value != w.Value {
			t.Fatalf("sample %d: got %v, want %v", i, g, w)
		}
	}
	if got := vector(t, s, `count_over_time(lag{group="b"}[1w])`, noon); got != `{group="b"} 61` {
		t.Errorf("got %q, want the 61 minutes of the hour", got)
	}
	err = s.Append(t.Context(), []series.Point{point(lag("a"), noon.Add(-time.Minute), 0)})
	if !errors.Is(err, ErrOlder) {
		t.Errorf("append into the history: got %v", err)
	}
}

func TestHistoryRefuses(t *testing.T) {
	unordered := series.Run{Key: lag("a"), Samples: []series.Sample{{Time: noon}, {Time: noon}}}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx  context.Context
		dir  string
		runs []series.Run
		says string
	}{
		"out of order": {t.Context(), t.TempDir(), []series.Run{unordered}, `lag{group="a"} at 2026-03-02T12:00:00Z: the samples are not in increasing time`},
		"no name":      {t.Context(), t.TempDir(), []series.Run{{}}, "no metric name"},
		"not empty":    {t.Context(), full, []series.Run{minutes(lag("a"), noon, noon)}, "not empty"},
		"canceled":     {canceled, t.TempDir(), []series.Run{minutes(lag("a"), noon, noon)}, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := WriteHistory(test.ctx, test.dir, test.runs); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
	empty := filepath.Join(t.TempDir(), "data")
	if err := WriteHistory(t.Context(), empty, nil); err != nil {
		t.Errorf("no runs: %v", err)
	}
}

// TestCloseUnderUse has queries and appends run while the store closes: each gets an answer or an error, and Close ends.
func TestCloseUnderUse(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	mustAppend(t, s, point(lag("a"), noon, 1))
	var users sync.WaitGroup
	var after sync.WaitGroup
	after.Add(4)
	for i := range 4 {
		users.Go(func() {
			first := true
			for n := 1; ; n++ {
				var err error
				if i%2 == 0 {
					_, err = s.QueryRange(context.Background(), "sum(rate(lag[5m]))", noon, noon.Add(time.Hour), 100*time.Millisecond)
				} else {
					err = s.Append(context.Background(), []series.Point{point(lag(fmt.Sprint(i)), noon.Add(time.Duration(n)*time.Millisecond), 1)})
				}
				if first {
					first = false
					after.Done()
				}
				if err != nil {
					if !errors.Is(err, errClosed) && !errors.Is(err, context.Canceled) {
						t.Errorf("got %v, want that the store is closed", err)
					}
					return
				}
			}
		})
	}
	after.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	users.Wait()
}

func TestStoreMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	dir := t.TempDir()
	for range 2 { // Opened again after a Close, in one process.
		s, err := OpenStore(StoreConfig{Path: dir, Retention: 24 * time.Hour, Lookback: time.Minute}, Options{Name: "store", Metrics: m})
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, point(lag("a"), noon, 1))
		vector(t, s, "lag", noon)
		want := "# HELP foresail_store_prometheus_tsdb_head_series Total number of series in the head block.\n" +
			"# TYPE foresail_store_prometheus_tsdb_head_series gauge\nforesail_store_prometheus_tsdb_head_series 1\n"
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "foresail_store_prometheus_tsdb_head_series"); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := testutil.GatherAndCount(reg, "foresail_store_prometheus_tsdb_head_series"); err != nil || n != 0 {
			t.Errorf("after Close: %d series of the store, %v, want none", n, err)
		}
	}
	want := "# HELP foresail_backend_queries_total Queries sent to a backend, by kind (query or query_range).\n" +
		"# TYPE foresail_backend_queries_total counter\n" +
		"foresail_backend_queries_total{backend=\"store\",kind=\"query\"} 2\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "foresail_backend_queries_total"); err != nil {
		t.Error(err)
	}
}

func TestStoreLogsWarningsOnly(t *testing.T) {
	var out strings.Builder
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := OpenStore(StoreConfig{Path: t.TempDir(), Retention: 24 * time.Hour, Lookback: time.Minute}, Options{Name: "store", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Errorf("an ordinary start and end logged\n%s", out.String())
	}
	quiet := slog.New(warnings{logger.Handler()}).With("a", 1).WithGroup("g")
	quiet.Info("unheard")
	quiet.Warn("heard", "b", 2)
	if got := out.String(); strings.Contains(got, "unheard") || !strings.Contains(got, "a=1 g.b=2") {
		t.Errorf("got %q", got)
	}
}

func BenchmarkAppend10000Series(b *testing.B) {
	s, err := OpenStore(StoreConfig{Path: b.TempDir(), Retention: 24 * time.Hour, Lookback: time.Minute}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	points := make([]series.Point, 10_000)
	for i := range points {
		points[i] = point(lag(fmt.Sprint(i)), noon, 1)
	}
	for b.Loop() {
		for i := range points {
			points[i].Time = points[i].Time.Add(time.Second)
		}
		if err := s.Append(b.Context(), points); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHistory writes what the demo does: three weeks of 40 series at a minute's step.
func BenchmarkHistory(b *testing.B) {
	runs := make([]series.Run, 40)
	for i := range runs {
		runs[i] = minutes(lag(fmt.Sprint(i)), noon.Add(-21*24*time.Hour), noon)
	}
	for b.Loop() {
		if err := WriteHistory(b.Context(), filepath.Join(b.TempDir(), "data"), runs); err != nil {
			b.Fatal(err)
		}
	}
}
