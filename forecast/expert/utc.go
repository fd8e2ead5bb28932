package expert

import "github.com/foresail/foresail/forecast/past"

// inUTC is a model that does not follow the clock of the series: some loads are driven by schedules in UTC, and when the clocks change
// the mixture finds out which ones.
type inUTC struct{ Model }

// Update implements Model.
func (m inUTC) Update(h *past.History) { m.Model.Update(h.UTC()) }

// Path implements Model.
func (m inUTC) Path(h *past.History, dst []float64) { m.Model.Path(h.UTC(), dst) }
