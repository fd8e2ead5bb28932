package page

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/cmd/foresail/app/inspect"
	"github.com/foresail/foresail/forecast/ledger"
	"github.com/foresail/foresail/forecast/patterns"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

// seriesAnswer is a part of the series of a metric that match.
type seriesAnswer struct {
	Metric  row         `json:"metric"`
	Total   int         `json:"total"`
	Matched int         `json:"matched"`
	Offset  int         `json:"offset"`
	Series  []oneSeries `json:"series"`
}

type oneSeries struct {
	Series   string            `json:"series"`
	Value    *float64          `json:"value"`
	Problem  string            `json:"problem,omitempty"`
	Forecast *inspect.Forecast `json:"forecast,omitempty"`

	entry *tracker.Entry
}

// find returns the row of a metric that was named, and of which resource.
func (p *page) find(r request) (row, error) {
	for _, m := range p.rows(r.State) {
		if m.Name == r.FormValue("metric") && m.Resource == r.FormValue("resource") {
			m.fill(p.Past.Table(), r.now)
			return m, nil
		}
	}
	return row{}, errUnknown
}

// series tells of the series of a metric.
func (p *page) series(r request) (any, error) {
	m, err := p.find(r)
	if err != nil {
		return nil, err
	}
	m.read(p.reads(r.now))
	all := p.seriesOf(&m, r.now)
	told := seriesAnswer{Metric: m, Total: len(all), Offset: r.offset}
	all = slices.DeleteFunc(all, func(s oneSeries) bool { return !r.matches(s.Series) })
	told.Matched, told.Series = len(all), cut(all, r.offset)
	for i := range told.Series {
		if s := &told.Series[i]; s.entry != nil {
			s.Forecast = inspect.ForecastOf(s.entry, r.now, pointOf(s.entry))
			s.Forecast.Metric = m.Forecast.Name
		}
	}
	return told, nil
}

// seriesOf lists the series of a metric in their order: those of its newest answer, and those that are forecast.
func (p *page) seriesOf(m *row, now time.Time) []oneSeries {
	byKey := map[series.Key]oneSeries{}
	for _, e := range p.Past.Table().List(m.subject) {
		s := oneSeries{Series: labelsOf(e.Key), entry: &e}
		if now.Sub(e.Last.Time) <= e.MaxAge {
			s.Value = known(e.Last.Value)
		} else {
			s.Problem = "no recent sample"
		}
		byKey[e.Key.WithMetric("")] = s
	}
	if m.result != nil {
		for _, point := range m.result.Points {
			key := point.Key.WithMetric("")
			byKey[key] = oneSeries{Series: labelsOf(key), Value: known(point.Value), entry: byKey[key].entry}
		}
		for _, d := range m.result.Dropped {
			key := d.Key.WithMetric("")
			byKey[key] = oneSeries{Series: labelsOf(key), Problem: string(d.Reason), entry: byKey[key].entry}
		}
	}
	all := make([]oneSeries, 0, len(byKey))
	for _, s := range byKey {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b oneSeries) int { return strings.Compare(a.Series, b.Series) })
	return all
}

// pointOf is the point of the outlook that is served: its end.
func pointOf(e *tracker.Entry) adapter.Forecast {
	return adapter.Forecast{Lead: time.Duration(len(e.Outlook.Points)) * e.Outlook.Step, Quantile: e.Quantile}
}

// historyAnswer is what came of a series, what had been forecast of it, and what is ahead, by grid step. Lists have a
// value for each time, null where it is not known.
type historyAnswer struct {
	Metric   string            `json:"metric"`
	Series   string            `json:"series"`
	Step     float64           `json:"stepSeconds"`
	Forecast *inspect.Forecast `json:"forecast"`
	// Times are ends of steps, in seconds since the Unix epoch.
	Times []int64    `json:"times"`
	Came  []*float64 `json:"came"`
	// Said are the quantiles .1, .5 and .9 of what had been forecast a lead before.
	Said [3][]*float64 `json:"said"`
	// Ahead are the same of what is to come.
	Ahead [3][]*float64 `json:"ahead"`
	// Most is the quantile of the window maximum that is served where the forecast is trusted.
	Most []*float64 `json:"windowMax"`
	// Leads are the accuracies by lead.
	Leads    []lead   `json:"leads"`
	Patterns []string `json:"patterns,omitempty"`
}

type lead struct {
	Ahead string  `json:"lead"`
	Count float64 `json:"count"`
	// Error is the mean absolute error of the median, Still that of saying that nothing changes.
	Error   *float64 `json:"error"`
	Still   *float64 `json:"errorOfLiveValue"`
	Covered *float64 `json:"covered"`
}

// history tells of one series that is forecast, a day of 5m back.
func (p *page) history(r request) (any, error) {
	m, err := p.find(r)
	if err != nil || m.subject == "" {
		return nil, errUnknown
	}
	entries := p.Past.Table().List(m.subject)
	i := slices.IndexFunc(entries, func(e tracker.Entry) bool { return labelsOf(e.Key) == r.FormValue("series") })
	if i < 0 {
		return nil, errUnknown
	}
	e := &entries[i]
	past, ok := p.Past.Past(m.subject, e.Key)
	if !ok {
		return nil, errUnknown
	}
	told := historyAnswer{Metric: m.Name, Series: labelsOf(e.Key), Step: past.Step.Seconds(), Forecast: inspect.ForecastOf(e, r.now, pointOf(e))}
	told.Forecast.Metric = m.Forecast.Name
	told.Times, told.Came, told.Most, told.Leads = []int64{}, []*float64{}, []*float64{}, []lead{} // JSON calls nil null
	for i := range 3 {
		told.Said[i], told.Ahead[i] = []*float64{}, []*float64{}
	}
	told.came(&past)
	told.ahead(e)
	for _, l := range past.Leads {
		one := lead{Ahead: l.Ahead.String(), Count: math.Round(l.Count)}
		if l.Count > 0 {
			one.Error, one.Still, one.Covered = known(l.Error), known(l.Still), known(l.Covered)
		}
		told.Leads = append(told.Leads, one)
	}
	if found, err := patterns.Of(past.Series); err == nil && found.Mean != nil { // An odd step has none.
		told.Patterns = strings.Split(found.String(), "\n")
	}
	return told, nil
}

// came adds the newest steps, and what had been forecast for them.
func (h *historyAnswer) came(past *tracker.Past) {
	said := map[int64]ledger.Said{}
	for _, s := range past.Said {
		said[s.At.Unix()] = s
	}
	for i := max(0, len(past.Values)-ledger.Recall); i < len(past.Values); i++ {
		end := time.Unix(0, (past.First+int64(i)+1)*int64(past.Step)).Unix()
		var quantiles [3]*float64
		if s, ok := said[end]; ok {
			quantiles = [3]*float64{known(s.Low), known(s.Median), known(s.Upper)}
		}
		h.add(end, known(past.Values[i]), quantiles, [3]*float64{}, nil)
	}
}

// ahead adds the steps that the outlook is of.
func (h *historyAnswer) ahead(e *tracker.Entry) {
	o := e.Outlook
	for k := range o.Points {
		at := time.Duration(k+1) * o.Step
		var quantiles [3]*float64
		for i, tau := range []float64{.1, .5, .9} {
			if v, err := o.Point(at, tau); err == nil {
				quantiles[i] = known(v)
			}
		}
		var most *float64
		if v, err := o.Window(at, e.Quantile); err == nil {
			most = known(v)
		}
		h.add(o.Issued.Add(at).Unix(), nil, [3]*float64{}, quantiles, most)
	}
}

func (h *historyAnswer) add(end int64, came *float64, said, ahead [3]*float64, most *float64) {
	h.Times = append(h.Times, end)
	h.Came = append(h.Came, came)
	for i := range 3 {
		h.Said[i] = append(h.Said[i], said[i])
		h.Ahead[i] = append(h.Ahead[i], ahead[i])
	}
	h.Most = append(h.Most, most)
}
