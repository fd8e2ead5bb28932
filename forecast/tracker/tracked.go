package tracker

import (
	"hash/fnv"
	"math"
	"time"

	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/grid"
	"github.com/foresail/foresail/forecast/ledger"
	"github.com/foresail/foresail/forecast/nowcast"
	"github.com/foresail/foresail/forecast/peak"
	"github.com/foresail/foresail/forecast/series"
)

// tracked is one series: its grid, its forecaster and what was issued in the newest lead steps.
type tracked struct {
	key        series.Key
	name       string // key's, to sort by.
	grid       *grid.Grid
	forecaster *forecast.Forecaster
	peaks      *peak.Profile
	nowcast    *nowcast.Nowcast
	refits     *refits
	quantile   float64           // The rule's.
	outlook    *forecast.Outlook // Replaced, never changed: tables share it.
	served     *forecast.Outlook // The same, shifted by the nowcast.
	bounds     Bounds            // Of the outlook.
	live       float64           // The sample that closed the newest step; NaN before.
	newest     time.Time         // Of any sample.
	last       series.Sample     // Of the live ones.
	seen       time.Time         // When it was last there, be it in the past.
	round      int               // Of the metric, when it was last there.
	held       bool              // Loaded, and waiting for what came since.
	values     int               // Grid values learnt.
	ledger     *ledger.Ledger
}

func newTracked(key series.Key, spec Spec, r *refits) (*tracked, error) {
	f, err := forecast.New(spec.Forecast)
	if err != nil {
		return nil, err
	}
	o := f.Outlook()
	config := f.Config()
	s := &tracked{
		key: key, name: key.String(), grid: grid.New(config.Step), forecaster: f, refits: r, quantile: spec.Quantile, outlook: &o, served: &o, bounds: Bounds{PeakRatio: 1},
		peaks:   peak.New(config.LeadSteps(), int(config.Seasons[0]/config.Step), o.Levels),
		nowcast: nowcast.New(config.Step, config.LeadSteps()), ledger: ledger.New(config.Step, config.LeadSteps()), live: math.NaN(),
	}
	s.spread()
	return s, nil
}

// adopt takes what a spec may change without anything being learnt anew.
func (s *tracked) adopt(spec Spec) {
	s.quantile = spec.Quantile
	s.forecaster.Adopt(spec.Forecast.Events)
}

// spread has the refits fall due at a time of the season that follows from the name.
func (s *tracked) spread() {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(s.name)) // Never fails.
	s.forecaster.Spread(hash.Sum64())
}

// feed takes a sample; when it closes a grid step the models learn that and, if issue is set, a new outlook is issued.
func (s *tracked) feed(sample series.Sample, issue bool) error {
	closed, ok, err := s.grid.Add(sample)
	if err != nil {
		return err
	}
	fresh := sample.Time.After(s.newest)
	if fresh {
		s.newest = sample.Time
	}
	if !ok {
		if fresh {
			s.see(sample, issue)
		}
		return nil
	}
	if s.forecaster.RefitDue() {
		s.refits.time(s.forecaster.Refit)
	}
	if err := s.forecaster.Step(closed); err != nil {
		return err
	}
	s.peaks.Close(s.forecaster.History(), closed.Value)
	s.nowcast.Close(s.forecaster.History())
	s.live = sample.Value
	s.values++
	if issue {
		s.ledger.Mature(closed)
		s.issue()
	}
	s.see(sample, issue)
	return nil
}

// see takes a sample of the step being filled; if issue is set, what is served follows it.
func (s *tracked) see(sample series.Sample, issue bool) {
	s.peaks.See(sample.Value)
	s.nowcast.See(sample.Time, sample.Value)
	if issue {
		s.shift()
	}
}

func (s *tracked) issue() {
	s.outlook, s.bounds = s.outlookToServe()
	s.shift()
	s.ledger.Issue(s.outlook, s.quantile)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
