package forecast

// Model is one way of forecasting a series. The mixture weighs several of them, so that each may be simple. A model
// allocates nothing after it has warmed up, except where it seeds itself anew.
type Model interface {
	// Update learns from the newest step of h, which may be missing; it is called once after every step.
	Update(h *History)
	// Path writes the forecasts 1..len(dst) steps after the newest one of h, in units of the series: NaN where the model
	// cannot know, and is then left out of the mixture (it is asleep).
	Path(h *History, dst []float64)
}

// newModels lists the models; a new one is a file and a line here. The first naives of them are those that the gate measures
// the mixture against.
func newModels(s shape) (models []Model, naives int) {
	models = append(models, lastValue{})
	for _, season := range s.seasons {
		models = append(models, seasonAgo(season))
	}
	naives = len(models)
	models = append(models, newMedian(4*s.lead), newMedian(s.seasons[0]))
	// Parameters that held on all traces tried, so that no optimiser need run; see TestFixedParametersHold.
	for _, p := range []smoothing{
		{level: .3, short: .1, long: .05, phi: .7},
		{level: .01, short: .2, long: .2, phi: .97},
		{level: .05, short: .1, long: .1, phi: .9},
		{level: .02, short: .05, long: .02, phi: .3},
	} {
		models = append(models, newHoltWinters(p, s.seasons))
	}
	return models, naives
}
