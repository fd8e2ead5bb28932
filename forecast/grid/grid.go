// Package grid averages samples on a regular grid.
package grid

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/snapshot"
)

// ErrPast is the error of a sample that is older than the grid slot being filled: its clock jumped back, or it came
// too late to count.
var ErrPast = errors.New("older than the current grid slot")

// ErrTime is the error of a time that the grid cannot hold: before 1970 or after 2262.
var ErrTime = errors.New("time outside of 1970 to 2262")

// limit is the largest magnitude that counts as a value. No load is larger, and squares of it stay finite in float64 and
// its square root in float32; anything beyond is missing.
const limit = 1e70

// Grid averages the samples of one series into slots of equal length, counted from the Unix epoch: the value of slot k
// is the mean of the samples in [k*step, (k+1)*step), and is known at its end.
type Grid struct {
	step   time.Duration
	slot   int64 // The slot being filled.
	newest int64 // Unix nanoseconds of the newest sample in it.
	count  int
	mean   float64
}

// New returns an empty grid; step must be positive.
func New(step time.Duration) *Grid { return &Grid{step: step} }

// Add takes one sample. If the sample lies beyond the slot being filled, that slot is closed: Add returns its mean,
// stamped with the slot's end, and true. Slots without a sample are skipped: the next end is simply later. A NaN or infinite value,
// or one beyond 1e70, is missing and changes nothing; neither does a second sample at the time of the newest one.
// The errors are ErrPast, which leaves the grid unchanged, and ErrTime.
func (g *Grid) Add(s series.Sample) (closed series.Sample, ok bool, err error) {
	at, err := Nanoseconds(s.Time)
	if err != nil {
		return series.Sample{}, false, err
	}
	if Missing(s.Value) {
		return series.Sample{}, false, nil
	}
	slot := at / int64(g.step)
	switch {
	case g.count > 0 && slot < g.slot:
		return series.Sample{}, false, fmt.Errorf("sample at %v, slot since %v: %w",
			s.Time.UTC(), time.Unix(0, g.slot*int64(g.step)).UTC(), ErrPast)
	case g.count > 0 && slot == g.slot && at == g.newest:
		return series.Sample{}, false, nil
	case g.count > 0 && slot > g.slot:
		closed, ok = series.Sample{Time: End(g.slot, g.step), Value: g.mean}, true
	}
	if g.count == 0 || slot != g.slot {
		g.slot, g.count, g.mean, g.newest = slot, 0, 0, at
	}
	g.count++
	g.mean += (s.Value - g.mean) / float64(g.count)
	g.newest = max(g.newest, at)
	return closed, ok, nil
}

// End returns the end of a slot.
func End(slot int64, step time.Duration) time.Time {
	return time.Unix(0, (slot+1)*int64(step)).UTC()
}

// Nanoseconds is t.UnixNano with its undefined results as ErrTime. The margins leave room for a slot's end.
func Nanoseconds(t time.Time) (int64, error) {
	if seconds := t.Unix(); seconds < 0 || seconds > math.MaxInt64/int64(time.Second)-int64(1000*time.Hour/time.Second) {
		return 0, fmt.Errorf("%v: %w", t, ErrTime)
	}
	return t.UnixNano(), nil
}

// Missing tells whether v is no value: NaN, infinite or beyond the limit.
func Missing(v float64) bool { return !(math.Abs(v) <= limit) }

// Snap writes or reads the state; the error is that it was damaged.
func (g *Grid) Snap(c *snapshot.Codec) error {
	c.Int64(&g.slot)
	c.Int64(&g.newest)
	c.Count(&g.count)
	c.Float(&g.mean)
	if !c.Check(g.slot >= 0 && !Missing(g.mean)) {
		return fmt.Errorf("cannot resume a grid: %w", snapshot.ErrDamaged)
	}
	return nil
}
