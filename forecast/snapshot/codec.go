// Package snapshot turns the states of models into bytes and back. A type says once what its state is, and the same words write it
// and read it, so that the two cannot disagree.
package snapshot

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// ErrDamaged is the error of bytes that are no state of the type that reads them.
var ErrDamaged = errors.New("not a state of this kind")

// Codec writes a state or reads one. Slices have the lengths that the type has given them, and reading into them one of another
// length is an error. After the first error reading leaves everything as it is.
type Codec struct {
	data    []byte
	reading bool
	bad     bool
}

// Writer returns a codec that appends to buffer.
func Writer(buffer []byte) *Codec { return &Codec{data: buffer} }

// Reader returns a codec that reads data.
func Reader(data []byte) *Codec { return &Codec{data: data, reading: true} }

// Bytes returns what has been written.
func (c *Codec) Bytes() []byte { return c.data }

// Reading tells whether the codec reads.
func (c *Codec) Reading() bool { return c.reading }

// End returns ErrDamaged if what was read is not a state, or if there is more than that.
func (c *Codec) End() error {
	if c.bad || c.reading && len(c.data) > 0 {
		return ErrDamaged
	}
	return nil
}

// Check makes reading fail where something that was read cannot be, and tells whether all is well so far.
func (c *Codec) Check(ok bool) bool {
	c.bad = c.bad || c.reading && !ok
	return !c.bad
}

// take returns the next n bytes to be read; nil where there are fewer.
func (c *Codec) take(n int) []byte {
	if c.bad || n > len(c.data) {
		c.bad = true
		return nil
	}
	out := c.data[:n]
	c.data = c.data[n:]
	return out
}

// Uint64 is a whole number.
func (c *Codec) Uint64(v *uint64) {
	if !c.reading {
		c.data = binary.LittleEndian.AppendUint64(c.data, *v)
	} else if b := c.take(8); b != nil {
		*v = binary.LittleEndian.Uint64(b)
	}
}

// Int64 is a whole number.
func (c *Codec) Int64(v *int64) {
	u := uint64(*v)
	c.Uint64(&u)
	*v = int64(u)
}

// Count is a whole number that is not negative.
func (c *Codec) Count(v *int) {
	n := int64(*v)
	c.Int64(&n)
	if c.Check(n >= 0) {
		*v = int(n)
	}
}

// Bool is true or false.
func (c *Codec) Bool(v *bool) {
	b := []byte{0}
	if *v {
		b[0] = 1
	}
	c.raw(b)
	if c.Check(b[0] <= 1) {
		*v = b[0] == 1
	}
}

// raw is bytes of a number that both sides know.
func (c *Codec) raw(v []byte) {
	if !c.reading {
		c.data = append(c.data, v...)
	} else if b := c.take(len(v)); b != nil {
		copy(v, b)
	}
}

// Length is that of something of at most most elements; it is 0 after an error.
func (c *Codec) Length(n, most int) int {
	c.Count(&n)
	if !c.Check(n <= most) {
		return 0
	}
	return n
}

// Float is a number, NaN and infinite ones included.
func (c *Codec) Float(v *float64) {
	bits := math.Float64bits(*v)
	c.Uint64(&bits)
	*v = math.Float64frombits(bits)
}

// Time is a time to the nanosecond, not before 1970; it is read in UTC. The zero one stays that.
func (c *Codec) Time(t *time.Time) {
	n := int64(-1)
	if !t.IsZero() {
		n = t.UnixNano()
	}
	c.Int64(&n)
	if c.Reading() && n >= 0 {
		*t = time.Unix(0, n).UTC()
	}
}

// Floats are numbers.
func (c *Codec) Floats(v []float64) {
	if c.Length(len(v), len(v)) != len(v) {
		c.Check(false)
		return
	}
	if !c.reading {
		for _, x := range v {
			c.data = binary.LittleEndian.AppendUint64(c.data, math.Float64bits(x))
		}
	} else if b := c.take(8 * len(v)); b != nil {
		for i := range v {
			v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
	}
}

// Singles are numbers of single precision.
func (c *Codec) Singles(v []float32) {
	if c.Length(len(v), len(v)) != len(v) {
		c.Check(false)
		return
	}
	if !c.reading {
		for _, x := range v {
			c.data = binary.LittleEndian.AppendUint32(c.data, math.Float32bits(x))
		}
	} else if b := c.take(4 * len(v)); b != nil {
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
}

// Small are numbers of a byte.
func (c *Codec) Small(v []uint8) {
	if c.Length(len(v), len(v)) != len(v) {
		c.Check(false)
		return
	}
	c.raw(v)
}

// Words are whole numbers of two or four bytes.
func Words[T ~uint16 | ~uint32](c *Codec, v []T) {
	if c.Length(len(v), len(v)) != len(v) {
		c.Check(false)
		return
	}
	size := 2
	if ^T(0) > math.MaxUint16 {
		size = 4
	}
	if !c.reading {
		for _, x := range v {
			c.data = binary.LittleEndian.AppendUint32(c.data, uint32(x))
			c.data = c.data[:len(c.data)-4+size]
		}
	} else if b := c.take(size * len(v)); b != nil {
		for i := range v {
			var word [4]byte
			copy(word[:], b[size*i:size*i+size])
			v[i] = T(binary.LittleEndian.Uint32(word[:]))
		}
	}
}

// Text is a text of at most 64 kB.
func (c *Codec) Text(v *string) {
	const most = 1 << 16
	n := c.Length(len(*v), most)
	if !c.reading {
		c.data = append(c.data, *v...)
	} else if b := c.take(n); b != nil {
		*v = string(b)
	}
}
