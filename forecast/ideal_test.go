package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// daily has one season of 96 steps, and a lead of six.
var daily = Config{Step: time.Minute, Lead: ahead * time.Minute, Seasons: []time.Duration{day * time.Minute}}

const (
	ahead = 6
	day   = 96
)

// ideal is a load whose best forecast is known.
type ideal struct {
	values []float64
	// best are, by the step that it is said at, the median and the .9 quantile of what comes a lead later, and the .9 quantile of the largest up to
	// then; NaN where there is no closed form.
	best [][3]float64
}

func (k *ideal) add(value, median, upper, window float64) {
	k.values, k.best = append(k.values, value), append(k.best, [3]float64{median, upper, window})
}

// z90 is the .9 quantile of the normal distribution, z90of6 that of the largest of six independent ones: of probability .9^(1/6) each.
var z90, z90of6 = math.Sqrt2 * math.Erfinv(.8), math.Sqrt2 * math.Erfinv(2*math.Pow(.9, 1./ahead)-1)

// curve is a load by the time of day.
func curve(i int) float64 { return 100 + 40*math.Sin(2*math.Pi*float64(i)/day) }

// poisson draws a count.
func poisson(random *rand.Rand, rate float64) float64 {
	n, p := 0., random.Float64()
	for limit := math.Exp(-rate); p > limit; n++ {
		p *= random.Float64()
	}
	return n
}

// poissonQuantile is the smallest count that as many independent counts of some rates are not above with probability tau.
func poissonQuantile(tau float64, rates ...float64) float64 {
	terms, sums := make([]float64, len(rates)), make([]float64, len(rates))
	for q := 0.; ; q++ {
		all := 1.
		for i, rate := range rates {
			if terms[i] *= rate / q; q == 0 {
				terms[i] = math.Exp(-rate)
			}
			sums[i] += terms[i]
			all *= sums[i]
		}
		if all >= tau {
			return q
		}
	}
}

// counts are independent counts of a rate by the time of day, and their best forecast.
func counts(random *rand.Rand, n int, rate func(i int) float64) (k ideal) {
	best := make([][3]float64, day)
	for i := range best {
		rates := make([]float64, ahead)
		for lead := range rates {
			rates[lead] = rate(i + lead + 1)
		}
		last := rates[ahead-1]
		best[i] = [3]float64{poissonQuantile(.5, last), poissonQuantile(.9, last), poissonQuantile(.9, rates...)}
	}
	for i := range n {
		b := best[i%day]
		k.add(poisson(random, rate(i)), b[0], b[1], b[2])
	}
	return k
}

// judged is how a forecast did, as loss over that of the best forecast, and how often both covered.
type judged struct {
	count, covered, within, bestCovered, bestWithin float64
	losses, best                                    [3]float64
}

// judge compares the outlooks of a load from a step on with the best forecasts.
func judge(outlooks []Outlook, k ideal, start int) judged {
	var j judged
	share := func(ok bool) float64 {
		if ok {
			return 1
		}
		return 0
	}
	for i := start; i+ahead < len(k.values); i++ {
		o, came := outlooks[i], k.values[i+ahead]
		top := came
		for _, v := range k.values[i+1 : i+ahead] {
			top = max(top, v)
		}
		said := [3]float64{o.Points[ahead-1][mid], o.Points[ahead-1][upper], o.Windows[ahead-1][upper]}
		for m, tau := range [3]float64{.5, .9, .9} {
			y := came
			if m == 2 {
				y = top
			}
			loss := func(q float64) float64 { return max(tau*(y-q), (tau-1)*(y-q)) }
			j.losses[m] += loss(said[m])
			j.best[m] += loss(k.best[i][m])
		}
		// Where it forecasts just what comes, a root and its square may lie between.
		const rounding = 1e-6
		j.count++
		j.covered += share(came <= said[1]+rounding)
		j.within += share(top <= said[2]+rounding)
		j.bestCovered += share(came <= k.best[i][1])
		j.bestWithin += share(top <= k.best[i][2])
	}
	return j
}

// check holds the coverages of the value and of the window maximum to .9 within Monte Carlo error, or where values are counts to what
// lies between that and the best forecast's, and the losses to so many times the best forecast's.
func (j *judged) check(t *testing.T, name string, allowed [3]float64) {
	t.Helper()
	ratio := func(m int) float64 { return j.losses[m] / j.best[m] }
	covered, within, bestCovered, bestWithin := j.covered/j.count, j.within/j.count, j.bestCovered/j.count, j.bestWithin/j.count
	t.Logf("%s: losses %.3f, %.3f and %.3f of the best; covers %.3f (%.3f) and %.3f (%.3f)", name, ratio(0), ratio(1), ratio(2), covered, bestCovered, within, bestWithin)
	for m, most := range allowed {
		if !math.IsNaN(j.best[m]) && !(ratio(m) <= most && ratio(m) > .97) {
			t.Errorf("%s: loss %d is %.3f of the best, at most %.3f", name, m, ratio(m), most)
		}
	}
	slack := 4 * math.Sqrt(.9*.1/(j.count/ahead)) // Windows that overlap count once.
	if covered < .9-slack || covered > max(.9, bestCovered)+slack {
		t.Errorf("%s: %.3f of values not above their .9 quantile", name, covered)
	}
	if math.IsNaN(j.best[2]) {
		bestWithin = 0
	}
	if within < .9-slack || within > max(.9, bestWithin)+slack {
		t.Errorf("%s: %.3f of window maxima not above their .9 quantile", name, within)
	}
}

// Loads whose best forecast is known in closed form, once there are four weeks of them.
func TestAgainstTheBestForecast(t *testing.T) {
	const n, start = 12000, 28 * day
	unknown := math.NaN()
	for _, c := range []struct {
		name    string
		load    func(random *rand.Rand) ideal
		allowed [3]float64 // Over the losses of the best median, .9 quantile and .9 quantile of the window maximum.
	}{
		{"a constant with noise", func(random *rand.Rand) (k ideal) {
			for range n {
				k.add(100+5*random.NormFloat64(), 100, 100+5*z90, 100+5*z90of6)
			}
			return k
		}, [3]float64{1.02, 1.02, 1.05}},
		// The past tells nothing of the six steps to come, which have a variance of 6.
		{"a random walk", func(random *rand.Rand) (k ideal) {
			level := 1000.
			for range n {
				level += random.NormFloat64()
				k.add(level, level, level+z90*math.Sqrt(ahead), unknown)
			}
			return k
		}, [3]float64{1.02, 1.03}},
		// Of an AR(1) e with phi = .9 and steps of 2, after six .9^6 e is left, with a variance of 4 (1-.9^12)/(1-.9^2) = 15.1. The best forecast knows
		// the shape; ours has seen each time of day 28 times with noise of a variance of 21.
		{"a shape with autocorrelated noise", func(random *rand.Rand) (k ideal) {
			const phi, sigma = .9, 2.
			deviation := sigma * math.Sqrt((1-math.Pow(phi, 2*ahead))/(1-phi*phi))
			e := 0.
			for i := range n {
				e = phi*e + sigma*random.NormFloat64()
				best := curve(i+ahead) + math.Pow(phi, ahead)*e
				k.add(curve(i)+e, best, best+z90*deviation, unknown)
			}
			return k
		}, [3]float64{1.09, 1.10}},
		{"a shape with noise in proportion", func(random *rand.Rand) (k ideal) {
			for i := range n {
				k.add(curve(i)*(1+.05*random.NormFloat64()), curve(i+ahead), curve(i+ahead)*(1+.05*z90), unknown)
			}
			return k
		}, [3]float64{1.03, 1.04}},
		{"counts of 10 to 70 a step", func(random *rand.Rand) ideal {
			return counts(random, n, func(i int) float64 { return curve(i)/2 - 20 + 20*math.Cos(2*math.Pi*float64(i)/day) + 10 })
		}, [3]float64{1.03, 1.04, 1.07}},
	} {
		k := c.load(rand.New(rand.NewPCG(91, 92)))
		j := judge(play(t, daily, monday, k.values), k, start)
		j.check(t, c.name, c.allowed)
	}
}
