// Package expert holds the single ways of forecasting a series that the forecaster mixes, one file each, so that each may be simple.
package expert

import (
	"github.com/foresail/foresail/forecast/past"
	"github.com/foresail/foresail/forecast/snapshot"
)

// Model is one way of forecasting a series. A model allocates nothing after it has warmed up, except where it seeds itself
// anew.
type Model interface {
	// Update learns from the newest step of h, which may be missing; it is called once after every step.
	Update(h *past.History)
	// Path writes the forecasts 1..len(dst) steps after the newest one of h, in units of the series: NaN where the model
	// cannot know, and is then left out of the mixture (it is asleep).
	Path(h *past.History, dst []float64)
	// Keep writes or reads the state.
	Snap(c *snapshot.Codec)
}

// Options say what models are for.
type Options struct {
	Lead    int   // Steps.
	Seasons []int // In steps, rising.
	Trees   bool  // Whether a refit of boosted trees once a season is worth its time.
	Zoned   bool  // Whether local time may differ from UTC.
	Analogs bool  // Whether nearest past moments are worth their time.
}

// Set is a list of models. Models further down may read the states of those above: they are to be updated in this order.
type Set struct {
	Models []Model
	// Naives is how many of the first models the gate measures the mixture against; the first of all repeats the last value.
	Naives int
	// Boosted is the one of the models that is to be refitted; nil without trees.
	Boosted *Boosted
	// Pooled is the one of the models that is lent what other series taught; nil without trees.
	Pooled *Pooled
	// Voices are the models that know quantiles, too; at most MostVoices.
	Voices []Voice
}

// MostVoices is the largest number of voices.
const MostVoices = 2

// Voice is a model that knows quantiles, too.
type Voice interface {
	// Upper returns the .9 quantiles of the value at the longest lead and of the window maximum, in units of the series; NaN where unknown.
	Upper() (point, window float64)
}

// New lists the models; a new one is a file and a line here.
func New(o Options) Set {
	lead, seasons := o.Lead, o.Seasons
	short, long := seasons[0], seasons[len(seasons)-1]
	models := []Model{lastValue{}}
	for _, season := range seasons {
		models = append(models, seasonAgo(season))
	}
	naives := len(models)
	models = append(models, newMedian(4*lead), newMedian(short))
	models = append(models, slotMean{season: short, cycles: 2}, slotMean{season: long, cycles: 4}, slotMean{season: long, cycles: 4, ratio: true})
	var profiles []*Profile
	for i, season := range seasons {
		gain := .3
		if i == 0 {
			gain = .2
		}
		p := newProfile(season, short, gain)
		profiles, models = append(profiles, p), append(models, p)
	}
	// Parameters that held on all traces tried, so that no optimiser need run; see TestFixedParametersHold.
	var bank []*HoltWinters
	for _, p := range []Smoothing{
		{Level: .01, Short: .2, Long: .2, Phi: .97},
		{Level: .02, Short: .05, Long: .02, Phi: .3},
	} {
		hw := NewHoltWinters(p, seasons)
		bank, models = append(bank, hw), append(models, hw)
	}
	models = append(models, newRidge(lead, seasons, profiles, bank[0]))
	if o.Zoned {
		models = append(models, inUTC{seasonAgo(short)}, inUTC{NewHoltWinters(bank[0].Smoothing, seasons)})
	}
	set := Set{Naives: naives}
	if o.Analogs {
		a := newAnalogs(lead, seasons)
		models, set.Voices = append(models, a), append(set.Voices, a)
	}
	if o.Trees {
		set.Pooled, set.Boosted = newPooled(lead, short), newBoosted(lead, seasons)
		models, set.Voices = append(models, set.Pooled, set.Boosted), append(set.Voices, relay{set.Boosted, set.Pooled})
	}
	set.Models = models
	return set
}

// Anchors returns up to most leads that are spread evenly from 1 to lead, both included; of one it is lead itself.
func Anchors(lead, most int) []int {
	n := min(lead, most)
	anchors := make([]int, n)
	for i := range anchors {
		anchors[i] = lead
		if n > 1 {
			anchors[i] = 1 + (i*(lead-1)+(n-1)/2)/(n-1)
		}
	}
	return anchors
}
