package shards

import (
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/shard"
	"github.com/foresail/foresail/forecast/tracker"
)

var (
	two = Member{shard.Split{Shard: 2, Total: 3}, "foresail-2"}
	key = series.NewKey("", series.Label{Name: "pod", Value: "a"})
)

const file = `
backends: [{name: main, prometheus: {url: "http://main:9090"}}]
shards: {backend: main, interval: 10s}
metrics: [{name: load, query: x, external: {}, maxAge: 1m, forecast: {step: 5m, lead: 30m}}]
`

func parse(t *testing.T, text string) *config.File {
	t.Helper()
	f, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// told is what a shard tells of the series, a median of base and .1 more in each quantile, 10 more of the window.
func told(shard string, issued time.Time, reason forecast.Reason, base float64) []series.Point {
	point := func(value float64, labels ...string) series.Point {
		all := []series.Label{{Name: "metric", Value: "load"}, {Name: "series", Value: `{pod="a"}`}, {Name: "shard", Value: shard}, {Name: "replica", Value: "foresail-" + shard}}
		for i := 0; i < len(labels); i += 2 {
			all = append(all, series.Label{Name: labels[i], Value: labels[i+1]})
		}
		return series.Point{Key: series.NewKey("shards/load", all...), Sample: series.Sample{Value: value}}
	}
	points := []series.Point{
		point(1, "kind", "state", "reason", string(reason)),
		point(float64(issued.UnixMilli())/1e3, "kind", "issued_timestamp_seconds"),
		point(999, "kind", "window_max", "lead", "1h", "quantile", "0.9"), // Of another config.
	}
	for i, tau := range []string{"0.9", "0.1", "0.5"} {
		value := base + []float64{.1, -.1, 0}[i]
		points = append(points, point(value, "lead", "30m", "quantile", tau), point(value+10, "kind", "window_max", "lead", "30m", "quantile", tau))
	}
	return points
}

type look struct {
	t *testing.T
	o Outlooks
}

func looking(t *testing.T) look {
	t.Helper()
	tr, err := tracker.New(tracker.Options{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return look{t, Outlooks{tr, two.NewPeers(parse(t, file), nil)}}
}

func (l look) observe(points ...[]series.Point) {
	var all []series.Point
	for _, p := range points {
		all = append(all, p...)
	}
	l.o.Peers.Observe("shards/load", time.Now(), all)
}

// want looks the series up and compares its .9 quantile of the window, 0 for no outlook, and the reason.
func (l look) want(most float64, reason forecast.Reason) *forecast.Outlook {
	l.t.Helper()
	o, ok := l.o.Outlook("load", key)
	if !ok {
		if most != 0 {
			l.t.Errorf("no outlook, want %v", most)
		}
		return &forecast.Outlook{}
	}
	if got, err := o.Window(30*time.Minute, .9); err != nil || got != most || o.State.Reason != reason {
		l.t.Errorf("%v, %v, %s, want %v, %s", got, err, o.State.Reason, most, reason)
	}
	return o
}

// An outlook of another shard is told while it is new, and while that shard is away up to the end of its window and no further.
func TestPeerAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := looking(t)
		l.want(0, "")
		issued := time.Now()
		l.observe(told("1", issued, forecast.Trusted, 100))
		o := l.want(110.1, forecast.Trusted)
		if v, err := o.Point(30*time.Minute, .7); err != nil || v != 100.05 { // Half way from 100 to 100.1.
			t.Errorf("%v, %v", v, err)
		}
		if _, err := o.Window(10*time.Minute, .9); !errors.Is(err, forecast.ErrOutOfRange) || !strings.Contains(err.Error(), "shard 1 (foresail-1) alone knows others than 30m") {
			t.Errorf("another lead: %v", err)
		}
		if _, err := o.Window(30*time.Minute, .95); !errors.Is(err, forecast.ErrOutOfRange) {
			t.Errorf("another quantile: %v", err)
		}
		time.Sleep(6*time.Minute + 50*time.Second) // The step, maxAge, 30s and two intervals.
		l.observe()
		l.want(110.1, forecast.Trusted)
		time.Sleep(time.Second)
		l.want(110.1, forecast.Gap)
		time.Sleep(time.Until(issued.Add(30 * time.Minute)))
		l.observe()
		l.want(110.1, forecast.Gap)
		time.Sleep(time.Second)
		l.want(110.1, forecast.StaleInput) // Not served: the live value is.
		l.observe()
		l.want(0, "")
	})
}

// Of two that tell of a series the newer one is told, never both; one that has only just begun does not end the other's path.
func TestPeersOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := looking(t)
		at := time.Now()
		old, later := told("1", at, forecast.Trusted, 100), told("0", at.Add(5*time.Minute), forecast.Trusted, 50)
		time.Sleep(5 * time.Minute)
		l.observe(old, later)
		l.want(60.1, forecast.Trusted)
		l.observe(later, old)
		l.want(60.1, forecast.Trusted)
		l.observe(old) // The newer one is away: it is still newer.
		l.want(60.1, forecast.Trusted)
		young := told("1", at.Add(10*time.Minute), forecast.WarmingUp, 7)
		time.Sleep(5 * time.Minute)
		l.observe(young, later)
		l.want(60.1, forecast.Trusted)
		l.observe(told("1", at.Add(10*time.Minute), forecast.StaleInput, 7), later) // Started again, and not fed yet.
		l.want(60.1, forecast.Trusted)
		shut := told("1", at.Add(10*time.Minute), forecast.NoSkill, 7)
		l.observe(shut, later)
		l.want(17.1, forecast.NoSkill)
		// Its values follow the samples since, under the same time of issue.
		l.observe(told("1", at.Add(10*time.Minute), forecast.Trusted, 8))
		l.want(18.1, forecast.Trusted)
		time.Sleep(30*time.Minute + time.Second)
		l.observe(told("0", time.Now(), forecast.WarmingUp, 9)) // No path is left that it would end.
		l.want(19.1, forecast.WarmingUp)
	})
}

// What is not complete, or cannot be, is not told, and the one before stays.
func TestPeersThatAreTorn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := looking(t)
		time.Sleep(time.Hour)
		good := told("1", time.Now(), forecast.Trusted, 100)
		for i := range good {
			if i == 2 { // The other lead's: it does not count.
				continue
			}
			l := looking(t)
			l.observe(good[:i], good[i+1:])
			l.want(0, "")
		}
		both := append(told("1", time.Now(), forecast.Trusted, 100), told("1", time.Now(), forecast.LevelShift, 100)[0])
		l.observe(both)
		l.want(110.1, forecast.LevelShift)
		l = looking(t)
		l.observe(told("1", time.Now().Add(6*time.Minute), forecast.Trusted, 100)) // Another clock.
		l.want(0, "")
		for i := range good {
			l := looking(t)
			bad := append([]series.Point{}, good...)
			bad[i].Value = 1e300
			bad[i].Key = series.NewKey("shards/load", append(good[i].Key.Labels(), series.Label{Name: "quantile", Value: "x"})...)
			l.observe(bad) // Whatever it is taken for, it does not end the process.
			l.o.Outlook("load", key)
		}
	})
}

// A backend may have what a shard tells twice, as it was written and as it was scraped, a moment apart: the series is told once, up to the end of the
// earlier window and by the larger value of each, and not where either says that it is not to be.
func TestPeersThatAreScrapedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issued := time.Now()
		scraped := func(points []series.Point) []series.Point {
			for i, p := range points {
				points[i].Key = series.NewKey(p.Key.Metric, append(p.Key.Labels(), series.Label{Name: "job", Value: "foresail"})...)
			}
			return points
		}
		time.Sleep(5 * time.Minute)
		for _, base := range []float64{90, 100} { // The scraped one is the newer one, of another level.
			l := looking(t)
			written := told("1", issued, forecast.Trusted, 190-base)
			l.observe(written, scraped(told("1", time.Now(), forecast.Trusted, base)))
			if o := l.want(110.1, forecast.Trusted); !o.Issued.Equal(issued) {
				t.Errorf("issued at %v, want %v", o.Issued, issued)
			}
			l.observe(written, scraped(told("1", time.Now(), forecast.NoSkill, base)))
			l.want(110.1, forecast.NoSkill)
		}
	})
}

// The own outlook has precedence, but not before it knows anything over a path that was trusted.
func TestOwnAndPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := looking(t)
		l.observe(told("1", time.Now(), forecast.Trusted, 100))
		if err := l.o.Tracker.Apply([]tracker.Spec{{Metric: "load", Forecast: parse(t, file).Rules[0].Forecast.Config, MaxAge: time.Minute}}); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			l.o.Tracker.Observe("load", time.Now(), []series.Point{{Key: key, Sample: series.Sample{Time: time.Now(), Value: 5}}})
			time.Sleep(30 * time.Second)
		}
		if e, ok := l.o.Tracker.Table().Get("load", key); !ok || len(e.Outlook.Points) == 0 || e.Outlook.State.Reason != forecast.WarmingUp {
			t.Fatalf("%v, %v", e.Outlook, ok)
		}
		l.want(110.1, forecast.Gap)
		time.Sleep(11 * time.Minute)
		if o, ok := l.o.Outlook("load", key); !ok || o.From != "" {
			t.Errorf("%+v, %v, want the own", o, ok)
		}
	})
}

// A shard that has been added is ready once it forecasts what another shard still does of its own series, which that one must not end before; or where that
// one has ended anyway, or after half an hour. To sleep moves synctest's clock on, and takes no time: half an hour, six days of samples, 90 s of doubt.
func TestHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner := shard.Of("load"+`{pod="a"}`, 3)
		member := func(of, total int) Member {
			return Member{Split: shard.Split{Shard: of, Total: total}, Replica: "foresail-" + strconv.Itoa(of)}
		}
		ready := func(h *Handover, l look) bool { return h.Ready(l.o, time.Now()) == nil }
		begin := func(m Member) (*Handover, look) {
			l := looking(t)
			l.o.Peers = m.NewPeers(parse(t, file), nil)
			return NewHandover(time.Now(), slog.New(slog.DiscardHandler)), l
		}
		other := strconv.Itoa((owner + 1) % 3)
		h, l := begin(member(owner, 3))
		if !ready(h, l) {
			t.Error("nothing is told of, as at an install, and it waits")
		}
		l.observe(told(other, time.Now(), forecast.Trusted, 100))
		if !ready(h, l) {
			t.Error("it was ready, and is not any more")
		}
		for _, c := range []struct {
			what   string
			m      Member
			shard  string
			issued time.Duration
			reason forecast.Reason
			waits  bool
		}{
			{"its series are another's", member(owner, 3), other, 0, forecast.Trusted, true},
			{"they are a process's that is not split", member(owner, 3), "", 0, forecast.Trusted, true},
			{"issued a step, 30s and two intervals ago", member(owner, 3), other, 5*time.Minute + 50*time.Second, forecast.Trusted, true},
			{"the other has ended", member(owner, 3), other, 5*time.Minute + 51*time.Second, forecast.Trusted, false},
			{"the other does not know them either", member(owner, 3), other, 0, forecast.WarmingUp, false},
			{"they are its own from before, or of a replica", member(owner, 3), strconv.Itoa(owner), 0, forecast.Trusted, false},
			{"they are not of this shard", member((owner+2)%3, 3), other, 0, forecast.Trusted, false},
		} {
			h, l := begin(c.m)
			l.observe(told(c.shard, time.Now().Add(-c.issued), c.reason, 100))
			if ready(h, l) == c.waits {
				t.Errorf("%s: waits %v", c.what, !c.waits)
			}
		}
		h, l = begin(member(owner, 3))
		for range 6 {
			l.observe(told(other, time.Now(), forecast.Trusted, 100))
			if ready(h, l) {
				t.Error("ready before half an hour")
			}
			time.Sleep(5 * time.Minute)
		}
		l.observe(told(other, time.Now(), forecast.Trusted, 100))
		if !ready(h, l) {
			t.Error("not ready after half an hour")
		}
		// By then it knows its series.
		_, l = begin(member(owner, 3))
		if err := l.o.Tracker.Apply([]tracker.Spec{{Metric: "load", Forecast: parse(t, file).Rules[0].Forecast.Config, MaxAge: time.Minute}}); err != nil {
			t.Fatal(err)
		}
		for days, waits := range []bool{true, false} {
			for range 1 + days*6*24*12 {
				time.Sleep(5 * time.Minute)
				l.o.Tracker.Observe("load", time.Now(), []series.Point{{Key: key, Sample: series.Sample{Time: time.Now(), Value: float64(time.Now().Hour())}}})
			}
			l.observe(told(other, time.Now(), forecast.Trusted, 100))
			if ready(NewHandover(time.Now(), slog.New(slog.DiscardHandler)), l) == waits {
				t.Errorf("with %d days of samples it waits: %v", 6*days, !waits)
			}
		}
		h, young := begin(member(owner, 3))
		young.observe(told(other, time.Now(), forecast.Trusted, 100))
		if ready(h, young) {
			t.Error("it does not wait")
		}
		for _, waits := range []bool{true, false} { // What has just been learnt is in doubt for 90s.
			if ready(h, l) == waits {
				t.Errorf("just after it has learnt it waits: %v", !waits)
			}
			time.Sleep(doubt + time.Second)
		}
	})
}

// A reload keeps what is known of metrics that are in both configs.
func TestPeersOutliveReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := looking(t)
		l.observe(told("1", time.Now(), forecast.Trusted, 100))
		l.o.Peers = two.NewPeers(parse(t, strings.Replace(file, "query: x", "query: y", 1)), l.o.Peers)
		l.want(110.1, forecast.Trusted)
		l.o.Peers = two.NewPeers(parse(t, strings.Replace(file, "name: load", "name: other", 1)), l.o.Peers)
		l.want(0, "")
		l.observe(told("1", time.Now(), forecast.Trusted, 100))
		l.want(0, "")
	})
}

func TestQueries(t *testing.T) {
	queries := two.NewPeers(parse(t, file), nil).Queries()
	want := `label_replace({__name__=~"foresail_forecast(|_window_max)",metric="load"} offset 15s or foresail_forecast_state{metric="load"} ` +
		`or last_over_time(foresail_forecast_state{metric="load",reason!~"trusted|gap|stale_input"}[1m30s]) ` +
		`or foresail_forecast_issued_timestamp_seconds{metric="load"} offset 30s, "kind", "$1", "__name__", "foresail_forecast_?(.*)")`
	if len(queries) != 1 || queries[0].Metric != "shards/load" || queries[0].BackendName != "main" || queries[0].Interval != 10*time.Second || queries[0].Expr != want {
		t.Errorf("%+v", queries)
	}
	if p := (Member{}).NewPeers(parse(t, file), nil); p != nil || p.Queries() != nil {
		t.Error("one process asks for others")
	}
}

// FuzzPeers holds that no answer of a backend ends the process or makes an outlook that cannot be read.
func FuzzPeers(f *testing.F) {
	f.Add("window_max", "0.9", "30m", "trusted", 1.5)
	f.Add("", "NaN", "", "gap", 1e308)
	f.Fuzz(func(t *testing.T, kind, quantile, lead, reason string, value float64) {
		l := looking(t)
		points := told("1", time.Now(), forecast.Trusted, 100)
		l.observe(append(points, series.Point{Key: series.NewKey("shards/load", append(points[0].Key.Labels(),
			series.Label{Name: "kind", Value: kind}, series.Label{Name: "quantile", Value: quantile}, series.Label{Name: "lead", Value: lead},
			series.Label{Name: "reason", Value: reason})...), Sample: series.Sample{Value: value}}))
		if o, ok := l.o.Outlook("load", key); ok {
			for _, tau := range o.Levels {
				if _, err := o.Window(30*time.Minute, tau); err != nil {
					t.Errorf("quantile %v: %v", tau, err)
				}
			}
		}
	})
}
