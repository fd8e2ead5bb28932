package main

import (
	"math"
	"math/rand/v2"
	"time"
)

// All scenarios begin on a Monday at midnight and have three weeks of history, by the minute.
var monday = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

const (
	perDay  = 24 * 60
	history = 21 * perDay
	// A pod carries ten requests a second.
	capacity = 10.
)

// shape is a load in requests a second in minute m since the scenario began, before noise.
type shape func(m int) float64

// clock is the minute of a day.
func clock(hour, minute int) int { return 60*hour + minute }

// steadily is the same all the time.
func steadily(level float64) shape { return func(int) float64 { return level } }

// daily swings between low, at 3 in the morning, and high, at 3 in the afternoon; weekends have half of it, and begin and end within six hours.
func daily(low, high float64) shape {
	return func(m int) float64 {
		v := (low+high)/2 - (high-low)/2*math.Cos(2*math.Pi*float64(m%perDay-clock(3, 0))/perDay)
		const monday, saturday = 0, 5
		night := min(1, float64(m%perDay)/360)
		switch m / perDay % 7 {
		case saturday:
			v *= 1 - night/2
		case saturday + 1:
			v /= 2
		case monday:
			v *= .5 + night/2
		}
		return v
	}
}

// late is by how many minutes a day's events are late, up to four, or early; not on every day alike.
func late(day int) int {
	return rand.New(rand.NewPCG(3, uint64(day))).IntN(9) - 4 //nolint:gosec // The same every time.
}

// climbing goes every day from low to high in so many minutes from about a time on, stays for four hours and goes back in two.
func climbing(low, high float64, from, minutes int) shape {
	return func(m int) float64 {
		since := float64(m%perDay - from - late(m/perDay))
		up := since / float64(minutes)
		down := (since - float64(minutes) - 240) / 120
		return low + (high-low)*(min(max(up, 0), 1)-min(max(down, 0), 1))
	}
}

// nightly is level from about one time of the day to another, and nothing else.
func nightly(level float64, from, to int) shape {
	return func(m int) float64 {
		if at := m%perDay - late(m/perDay); at >= from && at < to {
			return level
		}
		return 0
	}
}

// times multiplies a load by what a function makes of the minutes since the history ended, from 0 on.
func (s shape) times(factor func(m int) float64) shape {
	return func(m int) float64 {
		if m < history {
			return s(m)
		}
		return s(m) * factor(m-history)
	}
}

// crowd is 1, from a minute on within two minutes four, for twenty minutes, and then falls by half in seven minutes.
func crowd(from int) func(int) float64 {
	return func(m int) float64 {
		since := float64(m - from)
		return 1 + 3*min(max(since/2, 0), 1)*min(math.Exp2((20-since)/7), 1)
	}
}

// between is a factor from one minute to another.
func between(from, to int, factor float64) func(int) float64 {
	return func(m int) float64 {
		if m >= from && m < to {
			return factor
		}
		return 1
	}
}

// minutes makes a load by the minute, the same every time: each value is the shape's, but for noise of three percent that lasts for some minutes, and days
// that are a few percent better or worse.
func (s shape) minutes(days int) []float64 {
	random := rand.New(rand.NewPCG(7, 12)) //nolint:gosec // The same every time.
	out := make([]float64, history+days*perDay)
	const stays = .6
	drift, yesterday, today := 0., 0., 0.
	for m := range out {
		if m%perDay == 0 {
			yesterday, today = today, .04*random.NormFloat64()
		}
		drift = stays*drift + math.Sqrt(1-stays*stays)*random.NormFloat64()
		passed := float64(m%perDay) / perDay
		out[m] = max(0, s(m)*(1+.03*drift)*(1+yesterday*(1-passed)+today*passed))
	}
	return out
}
