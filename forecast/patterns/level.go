package patterns

import (
	"math"
	"slices"
)

// levels is the load without its cycle: levels that shift, on one slope.
type levels struct {
	cuts []int     // First index of every step after the first one, rising.
	at   []float64 // By index.
	told []Shift
}

const (
	maxShifts = 5
	// lasts is how long the level must have been there, before and after, to have shifted.
	lasts = 3 * day
)

// level finds level shifts by moving sums (MOSUM; Bauer & Hackl 1978, Eichinger & Kirch 2018): where the mean of three days and that of
// the three before differ most, without the mean week. It counts if it is four times what the means of neighbouring days differ by, a tenth
// of the level, abrupt (a trend differs by less over a day than over three), and there on each of the days (a holiday is not). Found
// shifts are taken out before the next is sought.
func (a *axis) level() levels {
	l := levels{at: make([]float64, len(a.values))}
	if a.span < 2*a.perWeek {
		fill(l.at, mean(a.values))
		return l
	}
	for {
		plain := a.fit(&l)
		if len(l.cuts) == maxShifts {
			break
		}
		cut := a.shift(plain, l)
		if cut < 0 {
			break
		}
		l.cuts = append(l.cuts, cut)
		slices.Sort(l.cuts)
	}
	plain := a.fit(&l)
	for i, cut := range l.cuts {
		from, to := 0, len(plain)
		if i > 0 {
			from = l.cuts[i-1]
		}
		if i+1 < len(l.cuts) {
			to = l.cuts[i+1]
		}
		l.told = append(l.told, Shift{
			At:     begin(a.slots[cut], a.step),
			Before: mean(plain[max(from, cut-a.perWeek):cut]), After: mean(plain[cut:min(to, cut+a.perWeek)]),
		})
	}
	return l
}

// fit sets the levels between cuts and returns the load without its mean week, both by least squares in turns (backfitting). The mean
// week has a mean of 0. The slope is the median change from one week to the next, which a shift changes a third of in four weeks:
// without a slope, a trend would be a stair with steps where weeks begin.
func (a *axis) fit(l *levels) []float64 {
	const turns = 30
	rest := make([]float64, len(a.values))
	plain := make([]float64, len(a.values))
	slope := median(a.slopes(l.cuts, 1)) / float64(a.perWeek)
	setLevel(l.at, a.values, 0, slope)
	for range turns {
		for i, v := range a.values {
			rest[i] = v - l.at[i]
		}
		season := a.profile(rest, a.perWeek)
		offset := mean(season)
		for i, v := range a.values {
			plain[i] = v - (season[a.phase(i, a.perWeek)] - offset)
		}
		from := 0
		for _, to := range append(slices.Clone(l.cuts), len(plain)) {
			setLevel(l.at[from:to], plain[from:to], from, slope)
			from = to
		}
		if len(l.cuts) == 0 {
			break
		}
	}
	return plain
}

// setLevel sets the line of a slope through the mean of the values; first is the index of the first of them.
func setLevel(at, values []float64, first int, slope float64) {
	flat := make([]float64, len(values))
	for i, v := range values {
		flat[i] = v - slope*float64(first+i)
	}
	level := mean(flat)
	for i := range at {
		at[i] = level + slope*float64(first+i)
	}
}

// shift returns the index of the largest shift that counts; -1 without one.
func (a *axis) shift(plain []float64, l levels) int {
	rest := make([]float64, len(plain))
	for i, v := range plain {
		rest[i] = v - l.at[i]
	}
	s, load := newSums(rest), newSums(plain)
	noise := s.noise(a.perDay)
	width := int(lasts / a.step)
	best, cut := 0., -1
	for i := width; i+width <= len(rest); i++ {
		if math.IsNaN(rest[i]) || slices.ContainsFunc(l.cuts, func(c int) bool { return i > c-width && i < c+width }) {
			continue
		}
		contrast := s.contrast(i, width)
		around := max(math.Abs(load.mean(i-width, i)), math.Abs(load.mean(i, i+width)))
		if math.Abs(contrast) > best*(1+1e-12) && math.Abs(contrast) >= max(4*noise, .1*around) && s.lasting(i, a.perDay, contrast) {
			best, cut = math.Abs(contrast), i
		}
	}
	return cut
}

// lasting tells whether a contrast is abrupt, and every day after it differs from those before, and every day before from those after.
func (s *sums) lasting(i, perDay int, contrast float64) bool {
	width := int(lasts/day) * perDay
	if !(s.contrast(i, perDay)/contrast >= .6) {
		return false
	}
	before, after := s.mean(i-width, i), s.mean(i, i+width)
	for d := 0; d < width; d += perDay {
		if (s.mean(i+d, i+d+perDay)-before)/contrast < .5 || (after-s.mean(i-d-perDay, i-d))/contrast < .5 {
			return false
		}
	}
	return true
}

// sums answers the mean of any range at once.
type sums struct {
	total []float64
	count []int
}

func newSums(values []float64) sums {
	s := sums{make([]float64, len(values)+1), make([]int, len(values)+1)}
	for i, v := range values {
		s.total[i+1], s.count[i+1] = s.total[i], s.count[i]
		if !math.IsNaN(v) {
			s.total[i+1] += v
			s.count[i+1]++
		}
	}
	return s
}

// mean is that of [from, to); NaN where less than a third is known.
func (s *sums) mean(from, to int) float64 {
	n := s.count[to] - s.count[from]
	if 3*n < to-from || n == 0 {
		return math.NaN()
	}
	return (s.total[to] - s.total[from]) / float64(n)
}

// contrast is the mean of the steps from i less that of those before.
func (s *sums) contrast(i, width int) float64 { return s.mean(i, i+width) - s.mean(i-width, i) }

// noise is the robust deviation of a day's mean: of the differences of neighbours, each of which holds two.
func (s *sums) noise(perDay int) float64 {
	var differences []float64
	for i := perDay; i+perDay < len(s.total); i += perDay {
		if d := s.contrast(i, perDay); !math.IsNaN(d) {
			differences = append(differences, math.Abs(d))
		}
	}
	return madToDeviation * median(differences) / math.Sqrt2
}

// trendOf returns the seasonal Kendall slope (Hirsch, Slack & Smith 1982, eq. 10): the median of the change per week over all pairs of
// values at the same local time of the week, leaving out pairs with a level shift between them. It is nil with fewer pairs than
// half the steps of a week.
func (a *axis) trendOf(cuts []int) *Trend {
	slopes := a.slopes(cuts, len(a.values)/a.perWeek)
	if 2*len(slopes) < a.perWeek {
		return nil
	}
	t := &Trend{PerWeek: median(slopes)}
	agree := 0.
	for _, s := range slopes {
		switch {
		case s == 0 || t.PerWeek == 0:
			agree += .5
		case s > 0 == (t.PerWeek > 0):
			agree++
		}
	}
	t.Agreement = agree / float64(len(slopes))
	return t
}

// slopes are the changes per week of all pairs at the same local time up to so many weeks apart, without a cut between them.
func (a *axis) slopes(cuts []int, most int) []float64 {
	segment := make([]int, len(a.values))
	for _, cut := range cuts {
		for i := cut; i < len(segment); i++ {
			segment[i]++
		}
	}
	var slopes []float64
	for weeks := 1; weeks <= most; weeks++ {
		for i := weeks * a.perWeek; i < len(a.values); i++ {
			then := i - weeks*a.perWeek
			if d := a.values[i] - a.values[then]; !math.IsNaN(d) && segment[i] == segment[then] {
				slopes = append(slopes, d/float64(weeks))
			}
		}
	}
	return slopes
}

// strengths returns Hyndman's strength of seasonality of each cycle, max(0, 1 - Var(R)/Var(S+R)), where S is the mean cycle, that of the
// week without that of the day, and R what remains without both and without level and trend (Wang, Smith & Hyndman 2006; Hyndman &
// Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., section 4.3). Var(R) is divided by its degrees
// of freedom, and what R adds to the squares of S is taken out of Var(S), so that mere noise has a strength of about 0 and not of one through the number of cycles. A constant load has none. The
// cycles are fixed, so that one which wanders over the day is weak.
func (a *axis) strengths(l levels) (daily, weekly *float64) {
	flat := make([]float64, len(a.values))
	for i, v := range a.values {
		flat[i] = v - l.at[i]
	}
	days := a.profile(flat, a.perDay)
	perDay := known(days)
	if a.span < 2*a.perDay || a.known < 2*perDay {
		return nil, nil
	}
	noise := 1e-9 * math.Sqrt(meanSquare(a.values)) // Of rounding.
	withoutDays := a.without(flat, days)
	weeks := a.profile(withoutDays, a.perWeek)
	perWeek := known(weeks)
	if a.span < 2*a.perWeek || a.known < 2*perWeek {
		f := a.ratio(squares(withoutDays), a.known-perDay, squares(flat), a.known-1, noise)
		return &f, nil
	}
	withoutWeeks := a.without(flat, weeks)
	rest := squares(a.without(withoutDays, weeks))
	freedom := a.known - perWeek
	d := a.ratio(rest, freedom, squares(withoutWeeks), a.known-1-perWeek+perDay, noise)
	w := a.ratio(rest, freedom, squares(withoutDays), a.known-perDay, noise)
	return &d, &w
}

// ratio is the strength of what is in all and not in the rest, of sums of squares with their degrees of freedom.
func (a *axis) ratio(rest float64, restFreedom int, all float64, allFreedom int, noise float64) float64 {
	if all <= noise*noise*float64(a.known) {
		return 0
	}
	remainder := rest / float64(restFreedom)
	season := (all - rest - float64(allFreedom-restFreedom)*remainder) / float64(a.known)
	return max(0, season/(season+remainder))
}

// profile is the mean of each position of a cycle; NaN where none is known.
func (a *axis) profile(values []float64, cycle int) []float64 {
	sum, count := make([]float64, cycle), make([]float64, cycle)
	for i, v := range values {
		if !math.IsNaN(v) {
			p := a.phase(i, cycle)
			count[p]++
			sum[p] += v
		}
	}
	for p := range sum {
		sum[p] /= count[p]
	}
	return sum
}

func (a *axis) without(values, profile []float64) []float64 {
	rest := make([]float64, len(values))
	for i, v := range values {
		rest[i] = v - profile[a.phase(i, len(profile))]
	}
	return rest
}

func known(values []float64) int {
	n := 0
	for _, v := range values {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// mean is that of the known values; NaN of none.
func mean(values []float64) float64 {
	sum, n := 0., 0.
	for _, v := range values {
		if !math.IsNaN(v) {
			n++
			sum += v
		}
	}
	return sum / n
}

func meanSquare(values []float64) float64 {
	sum, n := 0., 0.
	for _, v := range values {
		if !math.IsNaN(v) {
			n++
			sum += v * v
		}
	}
	return sum / n
}

// squares is the sum of the squared distances from the mean.
func squares(values []float64) float64 {
	center, sum := mean(values), 0.
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += (v - center) * (v - center)
		}
	}
	return sum
}

// madToDeviation makes the median of absolute deviations the standard deviation of a normal distribution: 1/Phi^-1(3/4).
const madToDeviation = 1.4826

// median sorts its values; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func fill(values []float64, v float64) {
	for i := range values {
		values[i] = v
	}
}
