package replay

import "testing"

// A setting that came to more pods on the part held back is said to have more, not a negative number fewer.
func TestSaved(t *testing.T) {
	for _, c := range []struct {
		percent, least, most float64
		want                 string
	}{
		{12.34, 5, 20, "12.3 % fewer pods (5.0 to 20.0) than reactive"},
		{3, -1, 7, "3.0 % fewer pods (-1.0 to 7.0) than reactive"},
		{-4.5, -13.9, 1.6, "4.5 % more pods (-1.6 to 13.9) than reactive"},
	} {
		if got := saved(c.percent, c.least, c.most, "reactive"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
