package planned_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/series"
)

func orders(queue string) series.Key {
	return series.NewKey("load", series.Label{Name: "queue", Value: queue})
}

func target(metrics ...string) planned.Target { return planned.Target{Metrics: metrics} }

func TestSchedulesMean(t *testing.T) {
	daily := planned.Schedule{Name: "daily", Target: target("Load"), Cron: "0 8 * * *", Timezone: "Europe/Berlin", Duration: time.Hour, Floor: 100}
	ours := daily
	ours.Selector, ours.Namespaces = "queue=orders", []string{"team-*"}
	at := time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC) // 08:30 in Berlin
	demand := shape.Demand{Metric: "load", Namespace: "team-a", Series: []series.Key{orders("orders")}, Value: 7, From: at, To: at}
	for _, tt := range []struct {
		name     string
		schedule planned.Schedule
		change   func(d *shape.Demand)
		want     float64
	}{
		{"any", daily, func(*shape.Demand) {}, 100},
		{"an hour later", daily, func(d *shape.Demand) { d.From, d.To = at.Add(time.Hour), at.Add(time.Hour) }, 7},
		{"of the next day, far beyond what was worked out", daily, func(d *shape.Demand) { d.To = at.Add(240 * time.Hour) }, 100},
		{"a deployment", daily, func(d *shape.Demand) { d.Resource = schema.GroupResource{Group: "apps", Resource: "deployments"} }, 100},
		{"a pod has no floor", daily, func(d *shape.Demand) { d.Resource = schema.GroupResource{Resource: "pods"} }, 7},
		{"ours", ours, func(*shape.Demand) {}, 100},
		{"of another namespace", ours, func(d *shape.Demand) { d.Namespace = "shop" }, 7},
		{"not of these series alone", ours, func(d *shape.Demand) { d.Series = append(slices.Clone(d.Series), orders("returns")) }, 7},
	} {
		s := planned.NewSchedules([]planned.Schedule{tt.schedule})
		d := demand
		tt.change(&d)
		if !s.Shapes("LOAD") || s.Shapes("other") {
			t.Errorf("%s: shapes %v, %v", tt.name, s.Shapes("LOAD"), s.Shapes("other"))
		}
		for range 2 { // worked out, and as it was
			if got, _ := s.Shape(&d); got != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
	}
}

func TestSchedulesSayWhy(t *testing.T) {
	s := planned.NewSchedules([]planned.Schedule{
		{Name: "day", Target: target("load"), Cron: "0 8 * * *", Timezone: "Europe/Berlin", Duration: time.Hour, Floor: 100, RampUp: 20 * time.Minute, RampDown: 10 * time.Minute},
		{Name: "party", Target: target("load"), Cron: "0 20 * * *", Timezone: "Europe/Berlin", Duration: time.Hour, Factor: 3},
	})
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		hour, minute int
		lead         time.Duration
		value        float64
		why          []string
	}{
		{7, 0, 0, 7, nil},
		{7, 50, 0, 50, []string{"schedule day asks for 50 at least, on the way to or from 100, from 2026-11-23T08:00:00+01:00 until 2026-11-23T09:00:00+01:00"}},
		{7, 30, 30 * time.Minute, 100, []string{"schedule day asks for 100 at least, from 2026-11-23T08:00:00+01:00 until 2026-11-23T09:00:00+01:00"}},
		{8, 30, 0, 100, []string{"schedule day asks for 100 at least, until 2026-11-23T09:00:00+01:00"}},
		{9, 5, 0, 50, []string{"schedule day asks for 50 at least, on the way to or from 100, after its end at 2026-11-23T09:00:00+01:00"}},
		{20, 5, 0, 21, []string{"schedule party multiplies by 3, until 2026-11-23T21:00:00+01:00"}},
	} {
		at := time.Date(2026, 11, 23, tt.hour, tt.minute, 0, 0, berlin)
		got, why := s.Shape(&shape.Demand{Metric: "load", Value: 7, From: at, To: at.Add(tt.lead)})
		if got != tt.value || !slices.Equal(why, tt.why) {
			t.Errorf("%02d:%02d: %v because of %q; want %v because of %q", tt.hour, tt.minute, got, why, tt.value, tt.why)
		}
	}
}

// The clock of this test stands where it is put.
func TestBoosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := []planned.Boost{
			{Name: "surge", Target: target("load"), Query: "q", Interval: 15 * time.Second, Factor: 2, Duration: 10 * time.Minute, CoolDown: 20 * time.Minute},
			{Name: "small", Target: target("load"), Query: "r", Interval: 15 * time.Second, Factor: 1.5, Duration: time.Hour},
		}
		b := planned.NewBoosts(rules, nil)
		names := planned.Queries(rules)
		if len(names) != 2 || names[0].Expr != "q" || names[0].Interval != 15*time.Second || names[0].MaxAge != time.Minute {
			t.Fatalf("the queries are %+v", names)
		}
		start := time.Now()
		holds := []series.Point{{}}
		value := func(after time.Duration, want float64) {
			t.Helper()
			time.Sleep(time.Until(start.Add(after)))
			now := time.Now()
			if got, why := b.Shape(&shape.Demand{Metric: "load", Value: 10, From: now, To: now.Add(30 * time.Minute)}); got != want || (len(why) > 0) != (want != 10) {
				t.Errorf("after %v: %v because of %q, want %v", after, got, why, want)
			}
		}
		tell := func(query int, points []series.Point) { b.Observe(names[query].Metric, time.Now(), points) }
		tell(0, nil)
		value(0, 10)
		tell(0, holds) // From 0 to 10 minutes, and none before 30.
		value(5*time.Minute, 20)
		tell(0, holds) // It does not begin anew.
		b.Observe("load", time.Now(), holds)
		value(9*time.Minute+59*time.Second, 20)
		value(10*time.Minute, 10) // Nothing was heard since: what is unknown ends in its time.
		tell(0, holds)
		value(29*time.Minute, 10)
		time.Sleep(time.Minute)
		tell(0, holds) // At 30 minutes.
		tell(1, holds)
		value(31*time.Minute, 20) // The larger one.
		value(41*time.Minute, 15)

		changed := slices.Clone(rules)
		changed[0].Factor = 3
		b = planned.NewBoosts(changed, b)
		tell(0, holds) // A rule that has changed knows no cool-down.
		value(42*time.Minute, 30)
		value(52*time.Minute, 15) // The other one runs on,
		b = planned.NewBoosts(rules[1:], b)
		value(89*time.Minute, 15)
		value(90*time.Minute, 10) // to its end.
	})
}

func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // It is midnight in UTC on 1 January 2000.
		s := planned.NewSchedules([]planned.Schedule{
			{Name: "night", Target: target("load"), Cron: "0 0 * * *", Duration: time.Hour, Floor: 100},
			{Name: "ramp", Target: target("load"), Cron: "10 0 * * *", Duration: time.Hour, RampUp: 20 * time.Minute, Floor: 100},
			{Name: "day", Target: target("load"), Cron: "0 8 * * *", Duration: time.Hour, Floor: 100},
		})
		rules := []planned.Boost{{Name: "surge", Target: target("load"), Duration: time.Minute, Factor: 2}, {Name: "none", Target: target("load")}}
		b := planned.NewBoosts(rules, nil)
		b.Observe(planned.Queries(rules)[0].Metric, time.Now(), []series.Point{{}})
		reg := prometheus.NewRegistry()
		reg.MustRegister(planned.Collector{Schedules: s, Boosts: b})
		const want = `
# HELP foresail_boost_active Whether a boost runs (1) or not (0).
# TYPE foresail_boost_active gauge
foresail_boost_active{boost="none"} 0
foresail_boost_active{boost="surge"} 1
# HELP foresail_schedule_active Whether a schedule is in force or on one of its ramps (1) or not (0).
# TYPE foresail_schedule_active gauge
foresail_schedule_active{schedule="day"} 0
foresail_schedule_active{schedule="night"} 1
foresail_schedule_active{schedule="ramp"} 1
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	})
}

// An event of an iCalendar file is named by its SUMMARY, of which a comma is written with a backslash.
func TestSchedulesNameTheEvent(t *testing.T) {
	file := "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Black Friday\\, all shops\r\nDTSTART:20261127T080000Z\r\nDTEND:20261127T220000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	s := planned.NewSchedules([]planned.Schedule{{
		Name: "campaign", Target: target("load"), Calendar: []rules.CalendarEntry{{File: "campaigns.ics", Text: []byte(file)}}, Factor: 1.5,
	}})
	at := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	value, reasons := s.Shape(&shape.Demand{Metric: "load", Value: 100, From: at, To: at})
	want := []string{`schedule campaign ("Black Friday, all shops") multiplies by 1.5, until 2026-11-27T22:00:00Z`}
	if value != 150 || !slices.Equal(reasons, want) {
		t.Errorf("%v, %q; want 150, %q", value, reasons, want)
	}
}
