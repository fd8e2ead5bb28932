package linear

// mostGrown is how much a sample may weigh in sums before they are scaled down.
const mostGrown = 1 << 12

// grow returns what the next sample weighs in sums whose earlier ones fade by rho each time, where the newest of those weighed grown, and
// what the sums are to be scaled by before it is added: 1 but for seldom.
func grow(grown, rho float64) (fade, next float64) {
	if next = grown / rho; next > 0 && next < mostGrown {
		return 1, next
	}
	return rho / max(grown, 1), 1
}

// scale multiplies all of dst.
func scale[T float32 | float64](dst []T, by float64) {
	for i := range dst {
		dst[i] *= T(by)
	}
}

// add adds w times x, as far as dst goes: four at a time, as the compiler does not.
func add(dst []float64, w float64, x []float64) {
	x = x[:len(dst)]
	for ; len(dst) >= 4 && len(x) >= 4; dst, x = dst[4:], x[4:] {
		dst[0] += w * x[0]
		dst[1] += w * x[1]
		dst[2] += w * x[2]
		dst[3] += w * x[3]
	}
	for i, v := range x {
		dst[i] += w * v
	}
}
