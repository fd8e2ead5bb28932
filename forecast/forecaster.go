// Package forecast holds the models and their combination: numbers and times go in, numbers come out. It reads no
// clock, does no I/O, takes no lock and logs nothing; the same inputs always give the same outlooks.
package forecast

import (
	"fmt"
	"math"
	"time"

	"github.com/foresail/foresail/forecast/expert"
	"github.com/foresail/foresail/forecast/grid"
	"github.com/foresail/foresail/forecast/mix"
	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/slots"
)

// Forecaster forecasts one series: every grid value updates its models, their weights and the quantiles in constant time, and
// an outlook can be had at any moment. It is strictly causal and deterministic: the same values give the same outlooks.
// It is not safe for concurrent use.
type Forecaster struct {
	config  Config
	shape   shape
	events  []slots.Event // As they were given last; the config's are what was learnt with, too.
	clock   *slots.Clock
	history *past.History
	models  []expert.Model
	pooled  *expert.Pooled // Likewise.
	voices  []expert.Voice
	boosted *expert.Boosted // Among models; nil without trees.
	mixes   []*mix.Mixture  // By lead - 1.
	errors  *calibration
	gate    *gate
	seed    uint64 // Of Spread.

	// What was issued in the newest lead steps, by step modulo the lead.
	said  []float64   // Paths of all models, side by side, step by step.
	paths [][]float64 // The newest of them by model, as parts of said.
	mixed [][]float64

	column          []float64 // Every model's forecast of one lead.
	points, windows []float64 // The newest outlook, lead by lead.
}

// leastSeason is the shortest season that boosted trees are refitted every one of.
const leastSeason = 6 * time.Hour

// New returns a forecaster that knows nothing yet. Fields of the config that are not set have their defaults; the error names
// every field that is out of bounds.
func New(config Config) (*Forecaster, error) {
	config.Default()
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("cannot forecast: %w", err)
	}
	return fresh(config), nil
}

func fresh(config Config) *Forecaster {
	s := config.shape()
	return assemble(config, expert.New(expert.Options{
		Lead: s.lead, Seasons: s.seasons, Trees: config.Seasons[0] >= leastSeason, Zoned: config.zoned(), Analogs: config.Analogs,
	}))
}

func assemble(config Config, set expert.Set) *Forecaster {
	s := config.shape()
	clock := slots.NewClock(config.Step, config.Zone, config.Events)
	f := &Forecaster{config: config, shape: s, events: config.Events, clock: clock, history: past.New(s.recall, max(s.lead, 12)).Follow(clock), errors: newCalibration(s),
		models: set.Models, voices: set.Voices, pooled: set.Pooled, boosted: set.Boosted}
	f.gate = newGate(s, config.Step, set.Naives, s.errors())
	for range s.lead {
		f.mixes = append(f.mixes, mix.New(len(set.Models), .5, s.memory))
		f.mixed = append(f.mixed, make([]float64, s.lead))
	}
	f.said = make([]float64, s.lead*len(set.Models)*s.lead)
	f.paths = make([][]float64, len(set.Models))
	f.column = make([]float64, len(set.Models))
	f.points = make([]float64, s.lead*len(levels))
	f.windows = make([]float64, s.lead*len(levels))
	return f
}

// Config returns the configuration with its defaults filled in.
func (f *Forecaster) Config() Config { return f.config }

// Step takes the grid value that closed.Time ends (see grid.Grid.Add). Steps left out since the newest are missing: the clock advances and
// nothing else is learnt. After a gap longer than what is remembered, four of the longest season, it starts anew. A value that is NaN,
// infinite or beyond 1e70 is missing. The errors are grid.ErrPast for a value that does not end after the newest, and grid.ErrTime;
// both change nothing.
func (f *Forecaster) Step(closed series.Sample) error {
	end, err := grid.Nanoseconds(closed.Time)
	if err != nil {
		return err
	}
	slot := (end - 1) / int64(f.config.Step)
	if f.history.Steps() > 0 {
		if slot <= f.history.Slot() {
			return fmt.Errorf("grid value that ends at %v, newest at %v: %w", closed.Time.UTC(), f.end(), grid.ErrPast)
		}
		if slot-f.history.Slot() > int64(f.shape.recall) {
			seed := f.seed
			*f = *fresh(f.config)
			f.Spread(seed)
		}
	}
	if grid.Missing(closed.Value) {
		closed.Value = math.NaN()
	}
	if f.history.Steps() == 0 && math.IsNaN(closed.Value) {
		return nil
	}
	for f.history.Steps() > 0 && f.history.Slot()+1 < slot {
		f.advance(f.history.Slot()+1, math.NaN())
	}
	f.advance(slot, closed.Value)
	return nil
}

// History returns what is remembered, which is only to be read; loads in an event of the calendar are divided by its uplift.
func (f *Forecaster) History() *past.History { return f.history }

// Adopt takes a changed calendar, of a config that is otherwise the Same: from the step after the newest on. What was learnt stays as it
// was learnt, by the events of then.
func (f *Forecaster) Adopt(events []slots.Event) {
	if !slots.Equal(f.events, events) {
		f.events = events
		f.follow(f.config.Events)
	}
}

// follow goes by some events up to the newest step, and by those given from there on.
func (f *Forecaster) follow(before []slots.Event) {
	f.config.Events = slots.Join(before, f.events, f.oldest(), f.end())
	if len(f.config.Events) == 0 && f.clock != nil { // One without a step, as models differ by whether there are any.
		f.config.Events = []slots.Event{{From: f.end(), To: f.end()}}
	}
	f.clock = slots.NewClock(f.config.Step, f.config.Zone, f.config.Events)
	f.history.Follow(f.clock)
}

// Uplift returns what the load of a slot is expected to be a multiple of, by the calendar.
func (f *Forecaster) Uplift(slot int64) float64 { return f.clock.Uplift(slot) }

// oldest is the end of the last step that is not remembered.
func (f *Forecaster) oldest() time.Time {
	return f.end().Add(-time.Duration(f.shape.recall) * f.config.Step)
}

func (f *Forecaster) end() time.Time { return grid.End(f.history.Slot(), f.config.Step) }

// advance is one step: score what was forecast for it, learn it, forecast anew.
func (f *Forecaster) advance(slot int64, v float64) {
	h := f.history
	f.Refit()
	v /= f.clock.Uplift(slot)
	h.Push(slot, v)
	if !math.IsNaN(v) {
		for lead := 1; lead <= min(f.shape.lead, h.Steps()-1); lead++ {
			at := (h.Steps() - lead) % f.shape.lead
			f.mixes[lead-1].Learn(f.forecasts(at, lead), f.mixed[at][lead-1], v)
		}
	}
	f.errors.learn(h)
	f.gate.learn(h, f.errors.keeps)
	if h.Steps() == f.shape.settled() {
		f.errors.doubt()
		if !f.gate.early {
			f.gate.forget()
		}
	}

	at := h.Steps() % f.shape.lead
	for i, m := range f.models {
		m.Update(h)
		f.paths[i] = f.path(at, i)
		m.Path(h, f.paths[i])
	}
	for lead := 1; lead <= f.shape.lead; lead++ {
		f.mixed[at][lead-1] = f.mixes[lead-1].Mix(f.forecasts(at, lead))
	}
	for i, voice := range f.voices {
		f.errors.hear(i, voice)
	}
	f.errors.fill(h, f.mixed[at], f.paths, f.points, f.windows)
	f.gate.issue(h, f.paths, f.mixed[at], f.windows[(f.shape.lead-1)*len(levels)+upper])
}

// forecasts gathers the models' forecasts of one lead.
func (f *Forecaster) forecasts(at, lead int) []float64 {
	from := at*len(f.models)*f.shape.lead + lead - 1
	for i := range f.column {
		f.column[i] = f.said[from+i*f.shape.lead]
	}
	return f.column
}

// path returns the path of model i that was issued at a step modulo the lead.
func (f *Forecaster) path(at, i int) []float64 {
	n := f.shape.lead
	from := (at*len(f.models) + i) * n
	return f.said[from : from+n : from+n]
}

// Outlook returns the forecast as of the newest step. Before the first value it has no points and is warming up.
func (f *Forecaster) Outlook() Outlook {
	o := Outlook{Step: f.config.Step, Levels: levels[:]}
	if f.history.Steps() == 0 {
		o.State = State{Reason: WarmingUp, Skill: math.NaN(), Coverage: math.NaN()}
		return o
	}
	const n = len(levels)
	values := make([]float64, 0, 2*len(f.points))
	values = append(append(values, f.points...), f.windows...)
	rows := make([][]float64, 2*f.shape.lead)
	for i := range rows {
		rows[i] = values[i*n : (i+1)*n : (i+1)*n]
	}
	o.Issued = f.end()
	f.widen(rows)
	f.lift(rows)
	o.Points, o.Windows = rows[:f.shape.lead:f.shape.lead], rows[f.shape.lead:]
	o.State = f.gate.state(f.history, o.Issued)
	return o
}

// widen moves quantiles away from the median in a gap: what is then forecast one lead ahead is that and the gap ahead of the last thing
// known, and errors grow as those of many small changes do.
func (f *Forecaster) widen(rows [][]float64) {
	gap := f.history.Gap()
	if gap == 0 {
		return
	}
	lead := f.shape.lead
	wider := math.Sqrt(float64(lead+min(gap, f.shape.seasons[0])) / float64(lead))
	for k := range lead {
		point, window := rows[k], rows[lead+k]
		for _, row := range [][]float64{point, window} {
			for i := range row {
				row[i] = f.history.Clamp(row[mid] + wider*(row[i]-row[mid]))
			}
		}
		for i := range window {
			window[i] = max(window[i], point[i])
			if k > 0 {
				window[i] = max(window[i], rows[lead+k-1][i])
			}
		}
	}
}

// lift multiplies the quantiles by what the calendar expects of their times: the models see the load without it.
func (f *Forecaster) lift(rows [][]float64) {
	top := 0.
	for k := range f.shape.lead {
		uplift := f.clock.Uplift(f.history.Slot() + int64(k) + 1)
		top = max(top, uplift)
		for i := range rows[k] {
			rows[k][i] *= uplift
			rows[f.shape.lead+k][i] *= top
		}
	}
}

// Refit does what is due once a season and takes longer than an update, some 30 to 60 ms: it fits the boosted trees anew to what
// came before the newest step, that included. Whoever has time between two steps may call it; else the next step does, and all
// outlooks are the same either way.
func (f *Forecaster) Refit() {
	f.boosted.Refit(f.history)
}

// RefitDue tells whether Refit has something to do.
func (f *Forecaster) RefitDue() bool { return f.boosted.Due() }

// Spread moves the refits within the season by a seed, such as a hash of the series' name, so that those of many series do not
// all fall due at once.
func (f *Forecaster) Spread(seed uint64) {
	f.seed = seed
	f.boosted.Spread(seed)
}
