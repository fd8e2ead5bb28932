package learning

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/pool"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// slow has a step of half an hour, a lead of four steps and seasons of 24 and 168 steps, long enough for trees.
var slow = tracker.Spec{
	Metric:   "load",
	Forecast: forecast.Config{Step: 30 * time.Minute, Lead: 2 * time.Hour, Seasons: []time.Duration{12 * time.Hour, 84 * time.Hour}},
	MaxAge:   time.Hour,
}

var begin = time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)

func key(shard int) series.Key {
	return series.NewKey("load", series.Label{Name: "shard", Value: fmt.Sprint(shard)})
}

// school returns a tracker, and what teaches its series.
func school(t *testing.T) (tr *tracker.Tracker, teach func(time.Time), log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	tr, err := tracker.New(tracker.Options{Logger: logger, Registerer: prometheus.NewRegistry(), Now: time.Now}, slow)
	if err != nil {
		t.Fatal(err)
	}
	l := lessons{models: map[pool.Shape]*pool.Model{}, learnt: map[pool.Shape]time.Time{}}
	return tr, func(now time.Time) { l.teach(tr, logger, now) }, log
}

func state(t *testing.T, tr *tracker.Tracker, shard int) forecast.State {
	t.Helper()
	e, ok := tr.Table().Get("load", key(shard))
	if !ok {
		t.Fatalf("no shard %d", shard)
	}
	return e.Outlook.State
}

// halfDaily is a load with a cycle of twelve hours.
func halfDaily(shard int, at time.Time) float64 {
	phase := 2 * math.Pi * at.Sub(begin).Hours() / 12
	return float64(10+shard) * (10 + 4*math.Sin(phase) + .3*math.Sin(37.7*phase+float64(shard)))
}

// observeSlow has the shards from first to last observed every half an hour.
func observeSlow(tr *tracker.Tracker, first, last int, from, to time.Time) {
	for at := from; at.Before(to); at = at.Add(30 * time.Minute) {
		var points []series.Point
		for i := first; i <= last; i++ {
			points = append(points, series.Point{Key: key(i), Sample: series.Sample{Time: at, Value: halfDaily(i, at)}})
		}
		tr.Observe("load", at, points)
	}
}

// Four series that are three seasons old teach those that are young, whether born before or after, and these are trusted while one
// that nobody taught is not.
func TestOlderSeriesTeachYoungOnes(t *testing.T) {
	const season = 12 * time.Hour
	for _, teachers := range []int{3, 4} {
		tr, teach, log := school(t)
		born := begin.Add(14 * season)
		observeSlow(tr, 1, teachers, begin, born)
		teach(born)
		early := born.Add(10 * time.Hour)
		observeSlow(tr, 1, 8, born, early) // Those from teachers+1 to 8 are born now.
		teach(early)
		teach(early.Add(time.Hour)) // Nothing new.
		end := born.Add(2 * season)
		observeSlow(tr, 1, 9, early, early.Add(time.Hour)) // The ninth is born once there are lessons.
		teach(early.Add(time.Hour))
		observeSlow(tr, 1, 9, early.Add(time.Hour), end)
		wanted := forecast.WarmingUp
		if teachers == leastTeachers {
			wanted = forecast.Trusted
		}
		for _, shard := range []int{5, 8} {
			if s := state(t, tr, shard); s.Reason != wanted {
				t.Errorf("%d teachers, shard %d: %v", teachers, shard, s)
			}
		}
		ninth := state(t, tr, 9)
		if ready := ninth.ReadyAt.Sub(born); ninth.Reason != forecast.WarmingUp || (ready < 30*time.Hour) != (teachers == leastTeachers) {
			t.Errorf("%d teachers: the ninth is %v, ready after %v", teachers, ninth, ready)
		}
		want := 0
		if teachers == leastTeachers {
			want = 1 // At the first call; at the second one it is not a day old.
		}
		if got := strings.Count(log.String(), "learned from older series"); got != want {
			t.Errorf("%d teachers: learned %d times: %s", teachers, got, log)
		}
		teach(early.Add(25 * time.Hour))
		if got := strings.Count(log.String(), "learned from older series"); teachers == leastTeachers && got != 2 {
			t.Errorf("learned %d times in 25 hours", got)
		}
	}
}

// Of more series than are learnt from, those are taken that are spread evenly over all names.
func TestTeachersAreBounded(t *testing.T) {
	tr, teach, log := school(t)
	observeSlow(tr, 1, 60, begin, begin.Add(4*12*time.Hour))
	teach(begin)
	if !strings.Contains(log.String(), fmt.Sprintf("series=%d", mostTeachers)) {
		t.Errorf("%s", log)
	}
}
