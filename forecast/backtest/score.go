package backtest

import (
	"math"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast"
)

// Summary judges the rows of a walk. Losses are in units of the series and NaN where there is nothing to judge.
type Summary struct {
	Steps, Missing int
	// Trusted is the share of the steps with a value at which the forecast was trusted, since TrustedSince, which is zero if it never was.
	Trusted      float64
	TrustedSince time.Time
	// States are the shares of all steps by reason.
	States map[forecast.Reason]float64
	// Since is where judging begins: the first step at which the gate could judge, or the first of all if it never could, and all methods said
	// something.
	Since time.Time
	// Methods are the forecast and the naive ones, judged at the same steps: those with a value at which all of them say something.
	Methods []Method
	// Ramps are the same methods at the tenth of those steps with the largest change over the lead; where fewer have any, at these.
	Ramps []Method
	// Hours are the forecast's scores by the hour of the target; of hours without any Count is 0.
	Hours [24]Score
	// Served judges what a read of the metric's forecast told, as a .9 quantile of the window's largest value, and Live the live value
	// in its place.
	Served, Live Score
}

// Method is a way of forecasting and how it did.
type Method struct {
	Name string
	Score
}

// Score is the means over some steps.
type Score struct {
	Count int
	// Error is the mean absolute error of the median.
	Error float64
	// Pinball is the loss of the .9 quantile of the value, WindowPinball that of the largest value within the lead.
	Pinball, WindowPinball float64
	// Covered and WindowCovered are the shares of values and largest values that were not above those quantiles.
	Covered, WindowCovered float64
}

// ulps is by how much a value may exceed its quantile and still count as covered: a forecast of just that value has gone through a
// square root.
const ulps = 1e-9

func (s *Score) add(actual, top float64, said Said) {
	s.Count++
	n := float64(s.Count)
	covered := func(v, q float64) float64 {
		if v <= q+ulps*math.Abs(v) {
			return 1
		}
		return 0
	}
	s.Error += (math.Abs(actual-said.P50) - s.Error) / n
	s.Pinball += (Pinball(actual, said.P90) - s.Pinball) / n
	s.WindowPinball += (Pinball(top, said.WindowP90) - s.WindowPinball) / n
	s.Covered += (covered(actual, said.P90) - s.Covered) / n
	s.WindowCovered += (covered(top, said.WindowP90) - s.WindowCovered) / n
}

// Names of the methods.
const (
	NameForecast  = "Foresail"
	NameLastValue = "last value"
)

// memory is what naive methods remember of their errors: two weeks, and at most as many steps as those of five minutes.
const (
	memory      = 14 * 24 * time.Hour
	memorySteps = 4032
)

// Summarise judges the rows, in the hours of a time zone. The config is that of the walk.
func Summarise(g Grid, rows []Row, config forecast.Config, zone *time.Location) Summary {
	config.Step = g.Step
	config.Default()
	s := Summary{Steps: len(rows), States: map[forecast.Reason]float64{}}
	s.states(rows)
	lead := config.LeadSteps()
	keep := min(int(memory/g.Step), memorySteps)
	names := []string{NameForecast, NameLastValue}
	says := [][]Said{make([]Said, len(rows)), LastValue(&g, lead, keep)}
	for i := range rows {
		says[0][i] = Said{rows[i].P50, rows[i].P90, rows[i].WindowP90}
	}
	for _, season := range config.Seasons {
		if n := int(season / g.Step); n >= lead && 2*n < len(rows) {
			names, says = append(names, ago(season)), append(says, SeasonAgo(&g, lead, keep, n))
		}
	}
	judged := s.judged(rows, says)
	if len(judged) > 0 {
		s.Since = rows[judged[0]].Issued
	}
	steep := rampOf(rows, judged)
	s.Methods, s.Ramps = make([]Method, len(names)), make([]Method, len(names))
	for m, name := range names {
		s.Methods[m].Name, s.Ramps[m].Name = name, name
		for _, i := range judged {
			r := &rows[i]
			s.Methods[m].add(r.Actual, r.WindowMax, says[m][i])
			if change := math.Abs(r.Actual - r.Live); change > 0 && change >= steep {
				s.Ramps[m].add(r.Actual, r.WindowMax, says[m][i])
			}
		}
	}
	for _, i := range judged {
		r := &rows[i]
		s.Hours[r.Target.In(zone).Hour()].add(r.Actual, r.WindowMax, says[0][i])
		s.Served.add(r.Actual, r.WindowMax, Said{r.P50, r.P90, r.Served})
		s.Live.add(r.Actual, r.WindowMax, Said{r.Live, r.Live, r.Live})
	}
	return s
}

func ago(season time.Duration) string {
	switch season {
	case 24 * time.Hour:
		return "same time yesterday"
	case 168 * time.Hour:
		return "same time last week"
	default:
		return season.String() + " before"
	}
}

// states counts the reasons.
func (s *Summary) states(rows []Row) {
	known := 0
	for i := range rows {
		r := &rows[i]
		s.States[r.State.Reason] += 1 / float64(len(rows))
		if math.IsNaN(r.Live) {
			s.Missing++
			continue
		}
		known++
		if s.Since.IsZero() && r.State.Reason != forecast.WarmingUp && r.State.Reason != forecast.Gap {
			s.Since = r.Issued
		}
		if r.State.Trusted() {
			s.Trusted++
			if s.TrustedSince.IsZero() {
				s.TrustedSince = r.Issued
			}
		}
	}
	s.Trusted /= float64(max(known, 1))
	if s.Since.IsZero() && len(rows) > 0 {
		s.Since = rows[0].Issued
	}
}

// judged returns the steps that all methods are judged at.
func (s *Summary) judged(rows []Row, says [][]Said) (steps []int) {
	for i := range rows {
		r := &rows[i]
		sum := r.Live + r.Actual + r.WindowMax
		for _, said := range says {
			sum += said[i].P50 + said[i].P90 + said[i].WindowP90
		}
		if !math.IsNaN(sum) && !r.Issued.Before(s.Since) {
			steps = append(steps, i)
		}
	}
	return steps
}

// rampOf returns the change over the lead that a tenth of the steps reach.
func rampOf(rows []Row, steps []int) float64 {
	changes := make([]float64, 0, len(steps))
	for _, i := range steps {
		changes = append(changes, math.Abs(rows[i].Actual-rows[i].Live))
	}
	slices.Sort(changes)
	return quantile(changes, .9)
}
