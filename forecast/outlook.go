package forecast

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Reason says why an outlook is trusted or not.
type Reason string

// The reasons. Trusted is the only one with which the forecast itself is served, and in a Gap the rest of one that was; with
// every other one the live value is served in its place.
const (
	Trusted       Reason = "trusted"       // the forecast beats the naive ones on this series
	WarmingUp     Reason = "warming_up"    // too little history; State.ReadyAt says when there will be enough
	NoSkill       Reason = "no_skill"      // the naive forecasts are as good on this series
	Miscalibrated Reason = "miscalibrated" // its .9 quantile was exceeded far more often than once in ten times, or nearly never and at a cost
	LevelShift    Reason = "level_shift"   // the load has changed to what was never seen; the live value is ahead of the forecast
	Gap           Reason = "gap"           // the newest step of the grid is missing
	StaleInput    Reason = "stale_input"   // no recent sample of the series
	Disabled      Reason = "disabled"      // the rule wants the forecast shown and not served
)

// State is the gate's verdict on one outlook.
type State struct {
	Reason Reason
	// ReadyAt is the expected end of WarmingUp; the zero time for every other reason.
	ReadyAt time.Time
	// Skill is 1 - loss/naive loss of the window maximum's .9 quantile over the gate's memory, against the best naive
	// forecast: in [-1, 1], -1 for twice its loss or more; NaN while nothing has matured.
	Skill float64
	// Coverage is the share of window maxima that were not above their .9 quantile, over the gate's memory; NaN while nothing has matured.
	Coverage float64
}

// Trusted tells whether the forecast itself may be served.
func (s State) Trusted() bool { return s.Reason == Trusted }

// Outlook is one series' forecast: the path from the time it was issued up to its lead, with quantiles. It is
// immutable once issued; its slices are shared and must not be written to.
type Outlook struct {
	// Issued is the end of the newest grid value that the outlook knows of.
	Issued time.Time
	// Step is the distance of the grid's points.
	Step time.Duration
	// Levels are the quantile levels in (0, 1), rising.
	Levels []float64
	// Points[k-1][i] is the quantile Levels[i] of the grid value that ends at Issued + k*Step. Unit of the series;
	// never NaN, rising in i.
	Points [][]float64
	// Windows[k-1][i] is the quantile Levels[i] of the largest grid value that ends in (Issued, Issued + k*Step]. Unit
	// of the series; never NaN, rising in i and in k.
	Windows [][]float64
	// State is the gate's verdict when the outlook was issued.
	State State
	// From names the process that issued it, where that is another one. Of such an outlook one step is known, which is all of its lead.
	From string
}

// ErrOutOfRange is the error of asking an outlook for a lead or a quantile that it does not hold.
var ErrOutOfRange = errors.New("outside of the outlook")

// Point returns the quantile tau in (0, 1) of the series at lead after the outlook was issued. A lead between two
// steps means the later one; a tau between two levels is interpolated linearly, one beyond the outermost levels is
// ErrOutOfRange, as is a lead that is not in (0, len(Points)*Step].
func (o *Outlook) Point(lead time.Duration, tau float64) (float64, error) {
	return o.at(o.Points, lead, tau)
}

// Window returns the quantile tau of the window maximum over (Issued, Issued+lead], with Point's rules.
func (o *Outlook) Window(lead time.Duration, tau float64) (float64, error) {
	return o.at(o.Windows, lead, tau)
}

func (o *Outlook) at(rows [][]float64, lead time.Duration, tau float64) (float64, error) {
	if lead <= 0 || o.Step <= 0 {
		return math.NaN(), fmt.Errorf("lead %v: %w", lead, ErrOutOfRange)
	}
	if o.From != "" && lead != o.Step {
		return math.NaN(), fmt.Errorf("lead %v, and %s alone knows others than %v: %w", lead, o.From, o.Step, ErrOutOfRange)
	}
	k := int((lead + o.Step - 1) / o.Step)
	if k > len(rows) {
		return math.NaN(), fmt.Errorf("lead %v of at most %v: %w", lead, time.Duration(len(rows))*o.Step, ErrOutOfRange)
	}
	row := rows[k-1]
	for i, level := range o.Levels {
		switch {
		case tau == level:
			return row[i], nil
		case tau < level && i > 0:
			below := o.Levels[i-1]
			share := (tau - below) / (level - below)
			return row[i-1] + share*(row[i]-row[i-1]), nil
		case tau < level:
			return math.NaN(), fmt.Errorf("quantile %v below the lowest, %v: %w", tau, level, ErrOutOfRange)
		}
	}
	return math.NaN(), fmt.Errorf("quantile %v above the highest: %w", tau, ErrOutOfRange)
}
