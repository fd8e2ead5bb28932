package frontier

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/foresail/foresail/forecast/replay"
)

// What choosing goes by. Costs that differ by less than near are as good as equal: of those, the safest is taken. A forecast has to be
// cheaper than no forecast by worth, and so from day to day that with a chance of sure it is no accident of those days.
const (
	near  = .02
	worth = .02
	sure  = .95
	// An objective that leaves fewer short minutes than few on the first part is hardly seen to be at risk there: an outage of one
	// step is all of it. Then the target of a forecast is set lower by caution.
	few     = 30.
	caution = .05
	// The cheapest of a thousand settings that keep an objective keeps it by luck more often than the cheapest of a few reactive targets
	// does, so that one with a forecast has to keep this share of it. See docs/BENCHMARKS.md for where it is from.
	spare = .85
)

// Cheapest is the trial of a kind with the fewest pods among those that were short for at most slo minutes a day on the first part; of
// several that cost nearly the same, the one that was short least. It is nil where no trial was.
func Cheapest(trials []Trial, slo float64, kinds ...Kind) (best *Trial) {
	var keep []*Trial
	least := math.Inf(1)
	for i := range trials {
		if t := &trials[i]; slices.Contains(kinds, t.Setting.Kind) && t.First.ShortPerDay() <= slo {
			keep = append(keep, t)
			least = min(least, t.First.MeanPods)
		}
	}
	for _, t := range keep {
		if t.First.MeanPods > (1+near)*least {
			continue
		}
		if best == nil || t.First.ShortMinutes < best.First.ShortMinutes || t.First.ShortMinutes == best.First.ShortMinutes && t.First.MeanPods < best.First.MeanPods {
			best = t
		}
	}
	return best
}

// Choose is the cheapest trial without a forecast, and the one to recommend: with a forecast only where that is clearly cheaper, and is so
// whatever the days bring. Either is nil where there is none.
func Choose(trials []Trial, slo float64) (reactive, chosen *Trial) {
	reactive, chosen = Cheapest(trials, slo, Reactive), Cheapest(trials, spare*slo, Foresail)
	if chosen == nil && reactive == nil {
		chosen = Cheapest(trials, slo, Foresail)
	}
	if chosen == nil {
		return reactive, reactive
	}
	if slo*chosen.First.Days < few {
		chosen = safer(trials, chosen)
	}
	if reactive != nil && (chosen.First.MeanPods > (1-worth)*reactive.First.MeanPods || !cheaper(chosen, reactive)) {
		chosen = reactive
	}
	return reactive, chosen
}

// cheaper says whether a has surely fewer pods than b on days like those of the first part, by Student's one-sided test of the days' differences,
// each over the pods of both: a day of little load counts as much as one of a lot, for nobody knows of which there will be more. Days whose
// differences tell nothing, because there are fewer than two of them, are taken at their sum.
func cheaper(a, b *Trial) bool {
	if len(a.Before) < 2 {
		return a.First.MeanPods < b.First.MeanPods
	}
	differences := make([]float64, len(a.Before))
	for i := range differences {
		if both := a.Before[i].MeanPods + b.Before[i].MeanPods; both > 0 {
			differences[i] = (b.Before[i].MeanPods - a.Before[i].MeanPods) / both
		}
	}
	mean, deviation := stat.MeanStdDev(differences, nil)
	days := float64(len(differences))
	return mean > distuv.StudentsT{Sigma: 1, Nu: days - 1}.Quantile(sure)*deviation/math.Sqrt(days)
}

// safer is the same setting with a target that is lower by caution, or by as much as there is.
func safer(trials []Trial, t *Trial) *Trial {
	best := t
	for i := range trials {
		s := trials[i].Setting
		target := s.Target
		s.Target = t.Setting.Target
		lower := t.Setting.Target-caution-1e-9 <= target && target < best.Setting.Target
		if s == t.Setting && lower {
			best = &trials[i]
		}
	}
	return best
}

// Frontier are the trials that no other one beats in both cost and short minutes, the cheapest first.
func Frontier(trials []Trial, kinds ...Kind) []Trial {
	var sorted, out []Trial
	for _, t := range trials {
		if slices.Contains(kinds, t.Setting.Kind) {
			sorted = append(sorted, t)
		}
	}
	slices.SortStableFunc(sorted, func(a, b Trial) int {
		switch {
		case a.First.MeanPods < b.First.MeanPods:
			return -1
		case a.First.MeanPods > b.First.MeanPods:
			return 1
		}
		return a.First.ShortMinutes - b.First.ShortMinutes
	})
	for _, t := range sorted {
		if len(out) == 0 || t.First.ShortMinutes < out[len(out)-1].First.ShortMinutes {
			out = append(out, t)
		}
	}
	return out
}

// Interval has the middle 90 % of what measure may be on days like those: the days are drawn anew a thousand times, together for all
// trials (Efron's percentile bootstrap).
func Interval(measure func(parts ...replay.Outcome) float64, trials ...*Trial) (low, high float64) {
	const draws = 1000
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // The same every time.
	days := len(trials[0].Days)
	results := make([]float64, draws)
	drawn := make([]replay.Outcome, days)
	sums := make([]replay.Outcome, len(trials))
	for d := range results {
		picks := make([]int, days)
		for i := range picks {
			picks[i] = random.IntN(days)
		}
		for k, t := range trials {
			for i, pick := range picks {
				drawn[i] = t.Days[pick]
			}
			sums[k] = replay.Sum(drawn...)
		}
		results[d] = measure(sums...)
	}
	slices.Sort(results)
	return results[draws/20], results[draws-1-draws/20]
}

// Saving is how much fewer pods b has than a, in percent.
func Saving(a, b replay.Outcome) float64 {
	if a.MeanPods == 0 {
		return 0
	}
	return 100 * (1 - b.MeanPods/a.MeanPods)
}
