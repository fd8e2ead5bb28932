package tracker

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// Loaded counts the series of a snapshot.
type Loaded struct {
	Series  int // That go on as they were.
	Later   int // That are kept until their metric is tracked.
	Foreign int // That are not forecast any more, or in another way or from another source: left out.
	Moved   int // That belong to another process: left out.
}

func (l *Loaded) add(o Loaded) {
	l.Series += o.Series
	l.Later += o.Later
	l.Foreign += o.Foreign
	l.Moved += o.Moved
}

// Loading says what of a snapshot is of use.
type Loading struct {
	// Later tells whether a metric that is not tracked may be in future.
	Later func(metric string) bool
	// Owns tells whether a series is this process's; nil where all are.
	Owns func(series.Key) bool
	// Resharded tells that series which the snapshot does not have may be this process's now. Their past is asked for, and so that of all.
	Resharded bool
}

// Load takes in the series of a snapshot whose metric is forecast in the same way and from the same source, and keeps those of metrics
// that may be tracked later; a week after they were last seen they are forgotten. Series are published as they were. Until
// the next Backfill of their metric, which asks only for what they have not seen, live samples wait; but where the past of a metric was not
// learnt, as it was being asked for, it is asked for as a whole. Load is to be called before the first Observe. The error says what is wrong
// with the snapshot, and wraps snapshot.ErrVersion, snapshot.ErrDamaged or that of r; the series before that are taken.
func (t *Tracker) Load(r io.Reader, l Loading) (n Loaded, err error) {
	t.specs.Lock()
	defer t.specs.Unlock()
	metrics := *t.metrics.Load()
	defer func() {
		for name, m := range metrics {
			m.Lock()
			t.publishRows(name, m)
			m.Unlock()
		}
	}()
	var mu sync.Mutex // Of n and t.later.
	err = snapshot.Read(r, kind, func(data []byte) {
		of := t.take(metrics, data, &l, &mu)
		mu.Lock()
		defer mu.Unlock()
		n.add(of)
	})
	if err != nil {
		err = fmt.Errorf("cannot load forecasts: %w", err)
	}
	return n, err
}

// take takes in a record, or keeps it for later, which mu guards, and counts it.
func (t *Tracker) take(metrics map[string]*metric, data []byte, l *Loading, mu *sync.Mutex) Loaded {
	c := snapshot.Reader(data)
	var r record
	r.snap(c)
	r.state = c.Bytes()
	r.learnt = r.learnt && !l.Resharded
	m := metrics[r.key.Metric]
	switch {
	case !c.Check(true):
	case l.Owns != nil && !l.Owns(r.key):
		return Loaded{Moved: 1}
	case m != nil && m.resume(r):
		return Loaded{Series: 1}
	case m == nil && l.Later(r.key.Metric) && t.now().Sub(r.seen) <= forgetting:
		r.data = slices.Clone(data)
		r.state = r.data[len(data)-len(r.state):]
		mu.Lock()
		defer mu.Unlock()
		t.later[r.key.Metric] = append(t.later[r.key.Metric], r)
		return Loaded{Later: 1}
	}
	return Loaded{Foreign: 1}
}

// fresh returns a metric that goes on from what was loaded of it, if anything was; t.specs is locked.
func (t *Tracker) fresh(s Spec) *metric {
	m := t.newMetric(s)
	for _, r := range t.later[s.Metric] {
		m.resume(r)
	}
	delete(t.later, s.Metric)
	return m
}

// resume takes in the series of a record, unless it is forecast differently.
func (m *metric) resume(r record) bool {
	m.Lock()
	spec := m.spec
	m.Unlock()
	if spec.Source != r.source {
		return false
	}
	s, err := newTracked(r.key, spec, m.refits)
	if err != nil {
		return false
	}
	c := snapshot.Reader(r.state)
	if s.snap(c) != nil || c.End() != nil {
		return false
	}
	s.spread() // A record may have been written under another name.
	s.outlook, s.bounds = s.outlookToServe()
	s.shift()
	s.seen, s.held = r.seen, r.learnt
	m.Lock()
	defer m.Unlock()
	if len(m.series) >= m.spec.MaxSeries || m.series[r.key] != nil {
		return false
	}
	m.series[r.key], m.index = s, nil
	if r.learnt {
		m.learnt, m.resuming = true, true
		if m.filling == nil {
			m.filling = map[series.Key][]series.Sample{}
		}
	}
	return true
}
