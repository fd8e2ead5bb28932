package forecast

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/linear"
	"github.com/foresail/foresail/forecast/past"
)

// fadingMean is a mean whose memory is bounded, of everything there was.
func fadingMean(values []float64, memory float64) float64 {
	mean, n := 0., 0.
	for _, v := range values {
		n = min(n+1, memory)
		mean += (v - mean) / n
	}
	return mean
}

// The slow twin gathers what an error is regressed on from everything that was ever said and came.
func TestFeaturesAgainstEverything(t *testing.T) {
	const lead, short, long, memory = 4, 24, 72, 168
	s := shape{lead: lead, seasons: []int{short, long}, memory: memory}
	for _, window := range []bool{false, true} {
		random := rand.New(rand.NewPCG(141, 142))
		target := newTarget(s, lead, window, 50, newResiduals(s), new(linear.Scratch))
		h := past.New(400, 12)
		load := forecasttest.Load(random, 500, short, .04)
		of := func(path []float64) float64 {
			if window {
				return slices.Max(path)
			}
			return path[lead-1]
		}
		var locations []float64
		noted := map[int]float64{}             // Errors on the root scale, by slot.
		var sizes [2][]float64                 // Magnitudes of errors, on both scales.
		byTime := [2]map[int][]float64{{}, {}} // Likewise, by time of day.
		to := [2]func(float64) float64{past.Root, func(v float64) float64 { return v }}
		for now, v := range load {
			h.Push(int64(now), v)
			target.learn(h, true)
			if then := now - lead; then >= 0 {
				came := v
				if window {
					came = math.Inf(-1)
					for _, u := range load[then+1 : now+1] {
						came = max(came, u) // A hole leaves it unknown.
					}
				}
				noted[now] = past.ToHalf(past.Root(came) - past.Root(locations[then])).Value()
				if !math.IsNaN(came) {
					for i := range to {
						e := math.Abs(to[i](came) - to[i](locations[then]))
						sizes[i] = append(sizes[i], e)
						byTime[i][now%short] = append(byTime[i][now%short], e)
					}
				}
			}

			path, paths := make([]float64, lead), make([][]float64, 5)
			for k := range path {
				path[k] = 100 + 50*math.Sin(2*math.Pi*float64(now+k+1)/short) + random.NormFloat64()
			}
			for m := range paths {
				paths[m] = make([]float64, lead)
				for k := range paths[m] {
					if paths[m][k] = path[k] + 5*random.NormFloat64(); m == 4 && now%3 == 0 {
						paths[m][k] = math.NaN() // Asleep.
					}
				}
			}
			target.issue(h, path, paths)
			location := of(path)
			locations = append(locations, location)
			if len(sizes[0]) == 0 {
				continue
			}

			last, top := h.Last(), math.Inf(-1)
			for _, u := range append(slices.Clone(load[max(now-lead+1, 0):now+1]), last) {
				if u > top {
					top = u
				}
			}
			before := func(season int) float64 { // The error of that long before what is said now.
				if e, ok := noted[now+lead-season]; ok && !math.IsNaN(e) {
					return e
				}
				return 0
			}
			for i := range to {
				usual := fadingMean(sizes[i], memory)
				visits := byTime[i][(now+lead)%short]
				n := min(float64(len(visits)), 7) // 2*168/48 of 48 blocks.
				want := [linear.Features]float64{
					usual, (n*fadingMean(visits, 7) + 3*usual) / (n + 3), fadingMean(sizes[i], 2), fadingMean(sizes[i], short/2),
				}
				scale := max((.1*want[0]+.6*want[1]+.2*want[2]+.4*want[3])/1.3, .05*usual)
				awake, over, under := 0., 0., 0.
				for _, p := range paths {
					if d := to[i](of(p)) - to[i](location); !math.IsNaN(d) {
						awake, over, under = awake+1, over+max(d, 0), under+max(-d, 0)
					}
				}
				change := to[i](location) - to[i](last)
				want[4], want[5], want[6], want[7] = over/awake, under/awake, max(change, 0), max(-change, 0)
				want[8], want[9] = before(short), before(long)
				if i == 1 {
					for k := 8; k <= 9; k++ {
						want[k] = past.Square(past.Root(location)+want[k]) - location
					}
				}
				want[10] = to[i](top) - to[i](location)
				said := &target.issues[h.Steps()%lead]
				forecasttest.Near(t, "scale", said.scale[i], scale, 1e-3)
				for k, x := range want {
					forecasttest.Near(t, fmt.Sprintf("window %v, step %d, scale %d, feature %d", window, now, i, k), float64(said.features[i][k]), x/scale, 2e-3)
				}
			}
		}
		if len(sizes[0]) < 300 {
			t.Errorf("%d errors", len(sizes[0]))
		}
	}
}

// Between the anchors, 1 and 6, a lead's quantile is as far from its median as the square root of the lead says.
func TestLeadsBetweenAnchors(t *testing.T) {
	c := newCalibration(shape{lead: ahead, seasons: []int{24}, memory: 168})
	h := past.New(100, 12)
	h.Push(0, 1e4)
	c.points[0].offsets[upper], c.points[1].offsets[upper] = 2, 5 // On the root scale.
	for k := range ahead {
		lead := float64(k + 1)
		away := 2 + 3*(math.Sqrt(lead)-1)/(math.Sqrt(ahead)-1)
		var quantiles [len(levels)]float64
		c.spread(h, c.points, k, 900, quantiles[:])
		forecasttest.Near(t, fmt.Sprintf("lead %v", lead), quantiles[upper], (30+away)*(30+away), 1e-9)
		forecasttest.Near(t, "median", quantiles[mid], 900, 1e-9)
	}
}
