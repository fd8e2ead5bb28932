package past

import "math"

// Half is a number in 16 bits, the upper half of a float32: good for what is noise itself, such as errors. Its relative error is at most
// 2^-8.
type Half uint16

// ToHalf rounds to the nearest Half, ties to even. NaN stays NaN; what is beyond the range of float32 becomes infinite.
func ToHalf(v float64) Half {
	bits := math.Float32bits(float32(v))
	if v != v {
		return Half(bits>>16 | 1)
	}
	return Half((bits + 0x7fff + bits>>16&1) >> 16)
}

// Value returns the number.
func (h Half) Value() float64 { return float64(math.Float32frombits(uint32(h) << 16)) }
