package forecast

import "github.com/foresail/foresail/forecast/pool"

// Young tells whether the series could be taught and is not.
func (f *Forecaster) Young() bool {
	return f.pooled.Wants() && f.history.Steps() < f.shape.settled()
}

// Lend has a young series forecast by what others of its shape have taught, too. What it did so far is lived through again as if it had been
// lent at birth, some 20 us a step, because from then on all counts to the gate. Without a model, or if the series is not Young, nothing is done.
func (f *Forecaster) Lend(m *pool.Model) {
	if m == nil || !f.Young() {
		return
	}
	first, values := f.history.Values()
	if f.gate.early { // It was taught before it was saved, and goes on from there.
		values = nil
	} else {
		seed := f.seed
		*f = *fresh(f.config)
		f.Spread(seed)
		f.gate.early = true
	}
	f.pooled.Lend(m)
	for i, v := range values {
		f.advance(first+int64(i), v*f.clock.Uplift(first+int64(i)))
	}
}
