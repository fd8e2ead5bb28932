package tracker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// A snapshot is magic, a record for every series and an end: four bytes of length, four of checksum (CRC-32C) and the record. The end has
// length 0, and the number of records in the place of the checksum.
const (
	magic      = "foresail forecasts 2\n"
	recordMost = 16 << 20
)

// Save writes what all series have learnt. Series are taken one after the other, so that samples wait for one of them at most.
func (t *Tracker) Save(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<20)
	_, err := out.WriteString(magic)
	if err != nil {
		return fmt.Errorf("cannot save forecasts: %w", err)
	}
	count := uint32(0)
	var buffer []byte
	for _, m := range *t.metrics.Load() {
		for _, key := range m.keys() {
			var err error
			if buffer, err = m.record(key, buffer[:0]); err != nil {
				return fmt.Errorf("cannot save the forecast of %v: %w", key, err)
			}
			if len(buffer) == 0 { // Gone meanwhile.
				continue
			}
			if err := errors.Join(header(out, uint32(len(buffer)), crc32.Checksum(buffer, castagnoli())), second(out.Write(buffer))); err != nil {
				return fmt.Errorf("cannot save forecasts: %w", err)
			}
			count++
		}
	}
	if err := errors.Join(header(out, 0, count), out.Flush()); err != nil {
		return fmt.Errorf("cannot save forecasts: %w", err)
	}
	return nil
}

func second(_ int, err error) error { return err }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func header(w io.Writer, length, sum uint32) error {
	var b [8]byte
	binary.LittleEndian.PutUint32(b[:], length)
	binary.LittleEndian.PutUint32(b[4:], sum)
	_, err := w.Write(b[:])
	return err
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
	metric, source := key.Metric, m.spec.Source
	c.Text(&metric)
	c.Text(&source)
	labels := key.Labels()
	c.Length(len(labels), len(labels))
	for _, l := range labels {
		c.Text(&l.Name)
		c.Text(&l.Value)
	}
	err := s.snap(c)
	return c.Bytes(), err
}

// snap writes or reads the state.
func (s *tracked) snap(c *snapshot.Codec) error {
	moment(c, &s.newest)
	moment(c, &s.seen)
	c.Count(&s.values)
	for i := range s.pending {
		s.pending[i].snap(c)
	}
	due := s.due != nil
	if c.Bool(&due); due {
		d := Due{}
		if s.due != nil {
			d = *s.due
		}
		d.snap(c)
		s.due = &d
	}
	c.Uint64(&s.score.Matured)
	c.Uint64(&s.score.Covered)
	c.Float(&s.score.AbsError)
	c.Float(&s.live)
	s.peaks.Snap(c)
	return errors.Join(s.grid.Snap(c), s.forecaster.Snap(c))
}

func (d *Due) snap(c *snapshot.Codec) {
	moment(c, &d.At)
	c.Float(&d.Median)
	c.Float(&d.Upper)
	c.Float(&d.Came)
}

// moment is a time, to the nanosecond; the zero one is before all of them.
func moment(c *snapshot.Codec, t *time.Time) {
	n := int64(-1)
	if !t.IsZero() {
		n = t.UnixNano()
	}
	c.Int64(&n)
	if c.Reading() && n >= 0 {
		*t = time.Unix(0, n).UTC()
	}
}

// Load takes in the series of a snapshot whose metric is forecast in the same way and from the same source, and tells how many. They
// are published as they were. Until the next Backfill of their metric, which asks only for what they have not seen, live samples
// wait. It is to be called before the first Observe. The error says what is wrong with the snapshot; the series before that are taken.
func (t *Tracker) Load(r io.Reader) (taken int, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(in, start); err != nil || string(start) != magic {
		return 0, errors.New("cannot load forecasts: not a snapshot of this version")
	}
	metrics := *t.metrics.Load()
	defer func() {
		for name, m := range metrics {
			m.Lock()
			t.publishRows(name, m)
			m.Unlock()
		}
	}()
	var buffer []byte
	for count := uint32(0); ; count++ {
		var b [8]byte
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return taken, fmt.Errorf("cannot load forecasts: it ends after %d series: %w", count, err)
		}
		length, sum := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
		if length == 0 {
			if sum != count {
				return taken, fmt.Errorf("cannot load forecasts: it has %d of %d series", count, sum)
			}
			return taken, nil
		}
		if length > recordMost {
			return taken, fmt.Errorf("cannot load forecasts: series %d has %d bytes: %w", count, length, snapshot.ErrDamaged)
		}
		buffer = slices.Grow(buffer[:0], int(length))[:length]
		if _, err := io.ReadFull(in, buffer); err != nil {
			return taken, fmt.Errorf("cannot load forecasts: series %d: %w", count, err)
		}
		if crc32.Checksum(buffer, castagnoli()) != sum {
			return taken, fmt.Errorf("cannot load forecasts: series %d: wrong checksum: %w", count, snapshot.ErrDamaged)
		}
		if resume(metrics, buffer) {
			taken++
		}
	}
}

// resume takes in the series of a record, unless it is not forecast any more, or differently.
func resume(metrics map[string]*metric, record []byte) bool {
	c := snapshot.Reader(record)
	var name, source string
	c.Text(&name)
	c.Text(&source)
	labels := make([]series.Label, c.Length(0, 1000))
	for i := range labels {
		c.Text(&labels[i].Name)
		c.Text(&labels[i].Value)
	}
	m := metrics[name]
	if !c.Check(true) || m == nil {
		return false
	}
	m.Lock()
	defer m.Unlock()
	key := series.NewKey(name, labels...)
	if m.spec.Source != source || len(m.series) >= m.spec.MaxSeries || m.series[key] != nil {
		return false
	}
	s, err := newTracked(key, m.spec, m.refits)
	if err != nil || s.snap(c) != nil || c.End() != nil {
		return false
	}
	s.outlook, s.bounds = s.outlookToServe()
	s.held = true
	m.series[key], m.index = s, nil
	if m.filling == nil {
		m.filling = map[series.Key][]series.Sample{}
	}
	m.resuming = true
	return true
}
