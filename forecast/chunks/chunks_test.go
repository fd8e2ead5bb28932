package chunks

import (
	"math/rand/v2"
	"testing"
)

// What is missing and what is there are, together, each slot once: against a twin that marks slots one by one.
func TestMissing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var f Fetched
		first, last := random.Int64N(50), 50+random.Int64N(9000)
		longest := int64(Longest)
		for range random.IntN(3) {
			f.Shorten()
			longest /= 2
		}
		known := map[int64]bool{}
		for range random.IntN(4) {
			missing := f.Missing(first, last)
			if len(missing) == 0 {
				break
			}
			s := missing[random.IntN(len(missing))]
			f.Add(Part{Span: s})
			for i := s.First; i <= s.Last; i++ {
				known[i] = true
			}
		}
		before := last + 1
		for _, s := range f.Missing(first, last) {
			if s.Last >= before || s.First > s.Last || s.First < first || s.Last-s.First >= longest {
				t.Fatalf("span %v after %d, of %d to %d", s, before, first, last)
			}
			before = s.First
			for i := s.First; i <= s.Last; i++ {
				if known[i] {
					t.Fatalf("slot %d is known and asked for", i)
				}
				known[i] = true
			}
		}
		if int64(len(known)) != last-first+1 {
			t.Fatalf("%d slots are known or missing, of %d", len(known), last-first+1)
		}
	}
}

// 2,016 points may be halved six times: 1,008, 504, 252, 126, 63, 31.
func TestShorten(t *testing.T) {
	var f Fetched
	for i, most := range []int64{2016, 1008, 504, 252, 126, 63, 31} {
		if got := f.Missing(0, 9999)[0]; got != (Span{10_000 - most, 9999}) {
			t.Errorf("shortened %d times: %v, of %d points", i, got, most)
		}
		if more := f.Shorten(); more != (i < 6) {
			t.Errorf("shortened %d times: %v", i+1, more)
		}
	}
}
