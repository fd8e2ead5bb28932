package planned

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/shape"
	"github.com/foresail/foresail/forecast/schedule"
)

// Schedules raise demands at known times. They implement shape.Shaper.
type Schedules struct {
	all     []scheduled
	metrics map[string][]int // by lower-case name: places in all
	agenda  atomic.Pointer[agenda]
}

type scheduled struct {
	target
	schedule.Schedule
}

// agenda is what is planned from one time to another. It is immutable.
type agenda struct {
	from, to time.Time
	all      []schedule.Agenda
}

// ahead is how much of what is planned is worked out beyond the time that is asked for.
const ahead = 25 * time.Hour

var _ shape.Shaper = (*Schedules)(nil)

// NewSchedules returns schedules that have been validated.
func NewSchedules(all []Schedule) *Schedules {
	s := &Schedules{metrics: map[string][]int{}}
	for i := range all {
		s.all = append(s.all, scheduled{newTarget(all[i].Target), all[i].compile(func(string, string, ...any) {})})
		for _, metric := range all[i].Metrics {
			lower := strings.ToLower(metric)
			s.metrics[lower] = append(s.metrics[lower], i)
		}
	}
	return s
}

// Shapes implements shape.Shaper.
func (s *Schedules) Shapes(metric string) bool { return len(s.metrics[strings.ToLower(metric)]) > 0 }

// Shape implements shape.Shaper. A floor is not for single pods, of which the autoscaler takes the mean: it would never stop to add some.
func (s *Schedules) Shape(d *shape.Demand) (float64, []string) {
	planned := s.planned(d.From, d.To)
	var mine []schedule.Agenda
	for _, i := range s.metrics[strings.ToLower(d.Metric)] {
		if s.all[i].means(d) && (s.all[i].Floor == 0 || d.Resource != (schema.GroupResource{Resource: "pods"})) {
			mine = append(mine, planned.all[i])
		}
	}
	value, parts := schedule.Demand(mine, d.Value, d.From, d.To)
	var reasons []string
	for i := range parts {
		reasons = append(reasons, reasonOf(&parts[i], d))
	}
	return finite(value), reasons
}

// planned returns an agenda of some time, that included.
func (s *Schedules) planned(from, to time.Time) *agenda {
	a := s.agenda.Load()
	if a != nil && !from.Before(a.from) && !to.After(a.to) {
		return a
	}
	a = &agenda{from: from.Add(-time.Minute), to: to.Add(ahead)}
	for i := range s.all {
		a.all = append(a.all, schedule.Agenda{Schedule: &s.all[i].Schedule, Spans: s.all[i].Spans(a.from, a.to)})
	}
	s.agenda.Store(a)
	return a
}

// active tells which schedules are in force or on a ramp.
func (s *Schedules) active(now time.Time, each func(name string, active bool)) {
	a := s.planned(now, now)
	for i := range a.all {
		_, active := a.all[i].At(now)
		each(a.all[i].Name, active)
	}
}

func reasonOf(p *schedule.Part, d *shape.Demand) string {
	stamp := func(t time.Time) string { return t.In(p.Zone).Format(time.RFC3339) }
	var what, when string
	if p.Schedule.Floor > 0 {
		what = fmt.Sprintf("asks for %.6g at least", p.Floor())
		if p.Level < 1 {
			what += fmt.Sprintf(", on the way to or from %.6g", p.Schedule.Floor)
		}
	} else {
		what = fmt.Sprintf("multiplies by %.6g", p.Factor())
		if p.Level < 1 {
			what += fmt.Sprintf(", on the way to or from %.6g", p.Schedule.Factor)
		}
	}
	switch {
	case d.From.Before(p.From):
		when = "from " + stamp(p.From) + " until " + stamp(p.To)
	case d.From.Before(p.To):
		when = "until " + stamp(p.To)
	default:
		when = "after its end at " + stamp(p.To)
	}
	name := p.Name
	if p.Event != "" {
		name += fmt.Sprintf(" (%.80q)", p.Event)
	}
	return fmt.Sprintf("schedule %s %s, %s", name, what, when)
}
