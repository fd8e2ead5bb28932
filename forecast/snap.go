package forecast

import (
	"fmt"

	"github.com/foresail/foresail/forecast/slots"
	"github.com/foresail/foresail/forecast/snapshot"
)

// Snap writes the state, or reads that of a forecaster with the same config. Outlooks are the same from then on as those of the
// one that wrote it. With an error the forecaster must not be used.
func (f *Forecaster) Snap(c *snapshot.Codec) error {
	mark, want := f.config.mark(), f.config.mark()
	if c.Text(&mark); mark != want {
		return fmt.Errorf("cannot resume a forecast of config %.200q with %q", mark, want)
	}
	c.Uint64(&f.seed)
	f.history.Snap(c)
	if events := slots.Snap(c, slots.Join(f.config.Events, nil, f.oldest(), f.end())); c.Reading() && c.Check(true) {
		f.follow(events)
	}
	for _, m := range f.models {
		m.Snap(c)
	}
	for _, m := range f.mixes {
		m.Snap(c)
	}
	f.errors.snap(c)
	f.gate.snap(c)
	c.Floats(f.said)
	for i := range f.mixed {
		c.Floats(f.mixed[i])
	}
	c.Floats(f.points)
	c.Floats(f.windows)
	if !c.Check(true) {
		return fmt.Errorf("cannot resume a forecast: %w", snapshot.ErrDamaged)
	}
	return nil
}

// mark tells configs apart whose states do not fit each other, and versions of the state, which is the number.
func (c *Config) mark() string {
	return fmt.Sprintf("9 %v %v %v %v %v %v", c.Step, c.Lead, c.Seasons, c.Analogs, c.Zone, c.zoned())
}

func (r *residuals) snap(c *snapshot.Codec) {
	snapshot.Words(c, r.errors)
	c.Float(&r.size)
}

func (s *size) snap(c *snapshot.Codec) {
	means := []*mean{&s.usual, &s.lately, &s.justNow}
	for i := range s.byTime {
		means = append(means, &s.byTime[i])
	}
	for _, m := range means {
		m.snap(c)
	}
}

func (m *mean) snap(c *snapshot.Codec) {
	both := [2]float32{m.value, m.count}
	c.Singles(both[:])
	m.value, m.count = both[0], both[1]
}

func (t *target) snap(c *snapshot.Codec) {
	t.errors.Snap(c)
	if t.lead == t.shape.lead {
		t.around.snap(c)
	}
	for i := range t.sizes {
		t.sizes[i].snap(c)
	}
	for i := range t.regressed {
		t.regressed[i].Snap(c)
	}
	for l := range t.mixes {
		t.mixes[l].Snap(c)
	}
	c.Floats(t.shifts[:])
	for i := range t.issues {
		is := &t.issues[i]
		c.Float(&is.location)
		c.Float(&is.size)
		c.Floats(is.scale[:])
		for k := range is.features {
			c.Singles(is.features[k][:])
		}
		for l := range is.said {
			c.Floats(is.said[l][:])
		}
		c.Floats(is.heard[:])
		c.Floats(is.mixed[:])
		c.Floats(is.bounds[:])
	}
	c.Floats(t.offsets[:])
	c.Floats(t.heard[:])
}

func (c *calibration) snap(to *snapshot.Codec) {
	to.Count(&c.steps)
	to.Count(&c.stride)
	to.Bool(&c.keeps)
	to.Check(c.stride > 0)
	for i := range c.anchors {
		c.points[i].snap(to)
		if c.windows[i] != c.points[i] {
			c.windows[i].snap(to)
		}
	}
}

func (g *gate) snap(c *snapshot.Codec) {
	for i := range g.rivals {
		r := &g.rivals[i]
		r.errors.Snap(c)
		c.Floats(r.tops)
		c.Floats(r.bounds)
		c.Float(&r.own)
		c.Float(&r.naive)
	}
	c.Floats(g.bounds)
	c.Floats(g.tops)
	c.Float(&g.size)
	c.Count(&g.matured)
	for _, m := range []*mean{&g.covered, &g.below, &g.recent.own, &g.recent.live, &g.recent.error, &g.recent.size} {
		m.snap(c)
	}
	for _, b := range []*bool{&g.open, &g.blurred, &g.wide, &g.early, &g.recent.shifted} {
		c.Bool(b)
	}
}
