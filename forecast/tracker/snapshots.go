package tracker

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// kind is the first line of a snapshot; the number is the version of what its records begin with.
const kind = "foresail forecasts 4\n"

// forgetting is how long the record of a series is kept that is not forecast at present but may be again.
const forgetting = 7 * 24 * time.Hour

// record is a series in a snapshot, without its length and checksum.
type record struct {
	key    series.Key
	source string
	learnt bool // Whether the past of its metric was learnt.
	seen   time.Time
	data   []byte // All of it.
	state  []byte // What follows these.
}

// snap writes or reads all but the state.
func (r *record) snap(c *snapshot.Codec) {
	metric := r.key.Metric
	c.Text(&metric)
	c.Text(&r.source)
	labels := slices.Clone(r.key.Labels())
	n := c.Length(len(labels), max(len(labels), 1000))
	if c.Reading() {
		labels = make([]series.Label, n)
	}
	for i := range labels {
		c.Text(&labels[i].Name)
		c.Text(&labels[i].Value)
	}
	if c.Reading() {
		r.key = series.NewKey(metric, labels...)
	}
	c.Bool(&r.learnt)
	c.Time(&r.seen)
}

// Save writes what all series have learnt. Series are taken one after the other, so that samples wait for one of them at most.
func (t *Tracker) Save(w io.Writer) error {
	out, err := snapshot.NewFile(w, kind)
	if err != nil {
		return fmt.Errorf("cannot save forecasts: %w", err)
	}
	var buffer []byte
	for _, m := range *t.metrics.Load() {
		for _, key := range m.keys() {
			if buffer, err = m.record(key, buffer[:0]); err != nil {
				return fmt.Errorf("cannot save the forecast of %v: %w", key, err)
			}
			if len(buffer) == 0 { // Gone meanwhile.
				continue
			}
			if err := out.Add(buffer); err != nil {
				return fmt.Errorf("cannot save forecasts: %w", err)
			}
		}
	}
	var problems []error
	for _, r := range t.notYet() {
		problems = append(problems, out.Add(r.data))
	}
	if err := errors.Join(append(problems, out.End())...); err != nil {
		return fmt.Errorf("cannot save forecasts: %w", err)
	}
	return nil
}

// notYet returns the records of metrics that nobody has tracked yet, and forgets those whose series are long gone.
func (t *Tracker) notYet() []record {
	t.specs.Lock()
	defer t.specs.Unlock()
	var all []record
	for name, records := range t.later {
		records = slices.DeleteFunc(records, func(r record) bool { return t.now().Sub(r.seen) > forgetting })
		if t.later[name] = records; len(records) == 0 {
			delete(t.later, name)
		}
		all = append(all, records...)
	}
	return all
}

func (m *metric) keys() []series.Key {
	m.Lock()
	defer m.Unlock()
	keys := make([]series.Key, 0, len(m.series))
	for key := range m.series {
		keys = append(keys, key)
	}
	return keys
}

// record appends the record of a series; nothing where it is gone or has not learnt anything.
func (m *metric) record(key series.Key, buffer []byte) ([]byte, error) {
	m.Lock()
	defer m.Unlock()
	s := m.series[key]
	if s == nil || s.values == 0 {
		return buffer, nil
	}
	c := snapshot.Writer(buffer)
	r := record{key: key, source: m.spec.Source, learnt: m.learnt, seen: s.seen}
	r.snap(c)
	err := s.snap(c)
	return c.Bytes(), err
}

// snap writes or reads the state.
func (s *tracked) snap(c *snapshot.Codec) error {
	c.Time(&s.newest)
	c.Count(&s.values)
	s.ledger.Snap(c)
	c.Float(&s.live)
	s.peaks.Snap(c)
	s.nowcast.Snap(c)
	return errors.Join(s.grid.Snap(c), s.forecaster.Snap(c))
}
