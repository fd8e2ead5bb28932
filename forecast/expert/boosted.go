package expert

import (
	"math"

	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/trees"
)

// Boosted is small boosted trees, fitted anew once a season to what is remembered: of the value at the longest lead its median, as a
// model, and its .9 quantile, and that of the window maximum. Targets and most features are relative to the newest value.
type Boosted struct {
	lead    int
	seasons []int
	rows    int
	offset  int64 // Of the slot of the season that refits become due at.
	means   levels
	due     bool
	scale   float64 // Of the fitted models; 0 before the first.
	models  [boostedModels]*trees.Model
	said    [boostedModels]float64 // The newest forecasts; NaN where there are none.
	x       [boostedFeatures]float32
}

// The models of a Boosted.
const (
	median50 = iota
	point90
	window90
	boostedModels
)

const (
	boostedFeatures = 24
	boostedRows     = 8064 // Four weeks by five minutes.
	boostedSeasons  = 84   // Most seasons that are learnt from.
	firstRefit      = 2    // Seasons of history.
	leastRows       = 100
)

// boosting says how each model is fitted.
var boosting = [boostedModels]trees.Options{
	median50: {Tau: .5, Trees: 40, Leaves: 15, Rate: .15, MinLeaf: 20, Columns: .5, Seed: 1},
	point90:  {Tau: .9, Trees: 60, Leaves: 8, Depth: 3, Rate: .15, MinLeaf: 20, Columns: .5, Seed: 2},
	window90: {Tau: .9, Trees: 60, Leaves: 8, Depth: 3, Rate: .15, MinLeaf: 20, Columns: .5, Seed: 3},
}

// newBoosted returns trees that sleep until their first refit. The seed spreads the refits of different series.
func newBoosted(lead int, seasons []int) *Boosted {
	b := &Boosted{lead: lead, seasons: seasons, rows: min(boostedRows, boostedSeasons*seasons[0])}
	b.means = newLevels(seasons[0])
	b.said = [boostedModels]float64{math.NaN(), math.NaN(), math.NaN()}
	return b
}

// Spread moves the refits within the season, so that those of many series do not all fall due at once. Without trees it does
// nothing.
func (b *Boosted) Spread(seed uint64) {
	if b != nil {
		b.offset = int64(seed % uint64(b.seasons[0]))
	}
}

// Update implements Model.
func (b *Boosted) Update(h *past.History) {
	b.means.follow(h.Back(0))
	season := b.seasons[0]
	if n := h.Steps(); n == firstRefit*season || n > firstRefit*season && h.Slot()%int64(season) == b.offset {
		b.due = true
	}
	b.said = [boostedModels]float64{math.NaN(), math.NaN(), math.NaN()}
	now := h.Back(0)
	if b.scale == 0 || math.IsNaN(now) {
		return
	}
	b.describe(h, 0, &b.means, b.x[:])
	for i, m := range b.models {
		b.said[i] = h.Clamp(now + b.scale*m.Predict(b.x[:]))
		if i > 0 {
			b.said[i] = max(b.said[i], b.said[i-1])
		}
	}
}

// Path implements Model: of the longest lead only.
func (b *Boosted) Path(_ *past.History, dst []float64) {
	for i := range dst {
		dst[i] = math.NaN()
	}
	dst[b.lead-1] = b.said[median50]
}

// Upper returns the .9 quantiles of the value at the longest lead and of the window maximum; NaN where unknown.
func (b *Boosted) Upper() (point, window float64) { return b.said[point90], b.said[window90] }

// Due tells whether there are trees whose refit is due.
func (b *Boosted) Due() bool { return b != nil && b.due }

// Refit fits the trees anew, if there are any and that is due, to what h remembers. It allocates.
func (b *Boosted) Refit(h *past.History) {
	if !b.Due() {
		return
	}
	b.due = false
	origins, points, windows := b.targets(h)
	scale := deviation(points)
	if len(origins) < leastRows || !(scale > 0) {
		return
	}
	b.scale = scale
	data := trees.NewData(b.table(h, origins), boostedFeatures)
	for i, o := range boosting {
		target := points
		if i == window90 {
			target = windows
		}
		scaled := make([]float32, len(target))
		for k, v := range target {
			scaled[k] = float32(v / scale)
		}
		b.models[i] = data.Fit(scaled, o)
	}
}
