package snapshot

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// state holds one of everything.
type state struct {
	u      uint64
	i      int64
	count  int
	yes    bool
	float  float64
	floats [3]float64
	single [2]float32
	small  [5]uint8
	words  [4]uint16
	text   string
	rest   []float64
}

func (s *state) snap(c *Codec) {
	c.Uint64(&s.u)
	c.Int64(&s.i)
	c.Count(&s.count)
	c.Bool(&s.yes)
	c.Float(&s.float)
	c.Floats(s.floats[:])
	c.Singles(s.single[:])
	c.Small(s.small[:])
	Words(c, s.words[:])
	c.Text(&s.text)
	n := c.Length(len(s.rest), 10)
	if c.Reading() {
		s.rest = make([]float64, n)
	}
	c.Floats(s.rest)
}

var full = state{
	u: math.MaxUint64, i: math.MinInt64, count: 7, yes: true, float: math.Inf(-1), floats: [3]float64{1, -0., 5e-324}, single: [2]float32{-1.5, 3e38},
	small: [5]uint8{0, 255, 1, 2, 3}, words: [4]uint16{0, 65535, 256, 1}, text: "\x00 übermäßig", rest: []float64{.1, math.MaxFloat64},
}

func written(s state) []byte {
	c := Writer([]byte("before"))
	s.snap(c)
	return c.Bytes()[len("before"):]
}

func read(data []byte) (s state, err error) {
	c := Reader(data)
	s.snap(c)
	return s, c.End()
}

// What is written is read, to the last bit.
func TestReadsWhatIsWritten(t *testing.T) {
	for _, want := range []state{full, {}} {
		data := written(want)
		got, err := read(data)
		if err != nil || !slices.Equal(written(got), data) || got.text != want.text || got.u != want.u || got.i != want.i {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	var nan float64
	w := Writer(nil)
	odd := math.Float64frombits(0x7ff8dead00000001)
	w.Float(&odd)
	r := Reader(w.Bytes())
	if r.Float(&nan); math.Float64bits(nan) != math.Float64bits(odd) || r.End() != nil {
		t.Errorf("NaN became %x", math.Float64bits(nan))
	}
}

// Cut off anywhere, or longer than it is, it is damaged.
func TestNoPartIsAWhole(t *testing.T) {
	data := written(full)
	for n := range data {
		if _, err := read(data[:n]); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	if _, err := read(append(slices.Clone(data), 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a byte more: %v", err)
	}
}

// Numbers that cannot be are damage, and change nothing of what they are read into.
func TestImpossibleNumbers(t *testing.T) {
	number := func(v int64) []byte {
		c := Writer(nil)
		c.Int64(&v)
		return c.Bytes()
	}
	for name, read := range map[string]func(c *Codec){
		"negative count":  func(c *Codec) { n := 5; c.Count(&n); keeps(t, n == 5) },
		"length":          func(c *Codec) { keeps(t, c.Length(0, 10) == 0) },
		"longer floats":   func(c *Codec) { v := []float64{5}; c.Floats(v); keeps(t, v[0] == 5) },
		"longer singles":  func(c *Codec) { v := []float32{5}; c.Singles(v); keeps(t, v[0] == 5) },
		"longer words":    func(c *Codec) { v := []uint16{5}; Words(c, v); keeps(t, v[0] == 5) },
		"longer bytes":    func(c *Codec) { v := []uint8{5}; c.Small(v); keeps(t, v[0] == 5) },
		"text of a world": func(c *Codec) { v := "5"; c.Text(&v); keeps(t, v == "5") },
	} {
		for _, n := range []int64{-1, math.MinInt64, math.MaxInt64, 1 << 40} {
			if name == "negative count" && n > 0 {
				continue
			}
			c := Reader(append(number(n), make([]byte, 64)...))
			read(c)
			if c.End() == nil || c.Check(true) {
				t.Errorf("%s of %d is read", name, n)
			}
		}
	}
	c := Reader([]byte{2})
	yes := true
	if c.Bool(&yes); c.End() == nil || !yes {
		t.Error("2 is a truth")
	}
	if w := Writer(nil); !w.Check(false) || w.End() != nil {
		t.Error("writing fails")
	}
}

func keeps(t *testing.T, ok bool) {
	t.Helper()
	if !ok {
		t.Error("what was there has changed")
	}
}

// Any bytes are read without harm, and what is read whole is written as the same bytes.
func FuzzRead(f *testing.F) {
	f.Add(written(full))
	f.Add(written(state{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := read(data)
		if err != nil {
			return
		}
		if again := written(got); !slices.Equal(again, data) {
			t.Errorf("%x became %x", data, again)
		}
	})
}
