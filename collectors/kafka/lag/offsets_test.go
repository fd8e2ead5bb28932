package lag

import (
	"errors"
	"math/rand/v2"
	"testing"
)

func TestLag(t *testing.T) {
	for _, tt := range []struct {
		name string
		Offsets
		want int64
	}{
		{"caught up", Offsets{Start: 0, End: 100, Commit: 100}, 0},
		{"behind", Offsets{Start: 0, End: 100, Commit: 60}, 40},
		{"no Commit: the whole log", Offsets{Start: 30, End: 100, Commit: NoCommit}, 70},
		{"no commit, empty log", Offsets{Start: 30, End: 30, Commit: NoCommit}, 0},
		// Offsets 20 to 49 were deleted and are no work any more: 100 - 50.
		{"deleted below the commit", Offsets{Start: 50, End: 100, Commit: 20}, 50},
		{"all deleted", Offsets{Start: 100, End: 100, Commit: 20}, 0},
		{"commit beyond the end", Offsets{Start: 0, End: 100, Commit: 500}, 0},
		{"commit at the start", Offsets{Start: 50, End: 100, Commit: 50}, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.Lag(); got != tt.want {
				t.Errorf("lag = %d, want %d", got, tt.want)
			}
		})
	}
}

// slowLag is the obvious twin: it counts the messages that are there and that the group has not read.
func slowLag(o Offsets) int64 {
	var n int64
	for message := o.Start; message < o.End; message++ {
		if message >= o.Commit {
			n++
		}
	}
	return n
}

func TestLagAgreesWithSlowTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	partitions := make([]Offsets, 2000)
	var sum int64
	for i := range int32(2000) {
		start := r.Int64N(50)
		o := Offsets{Start: start, End: start + r.Int64N(50), Commit: NoCommit + r.Int64N(120)}
		if got, want := o.Lag(), slowLag(o); got != want {
			t.Fatalf("lag of %+v = %d, slow twin %d", o, got, want)
		}
		if err := o.Check(); err != nil {
			t.Fatalf("check of %+v: %v", o, err)
		}
		partitions[i] = o
		sum += slowLag(o)
	}
	if got := Sum(partitions); got != sum {
		t.Errorf("sum = %d, slow twin %d", got, sum)
	}
}

func TestCheck(t *testing.T) {
	for _, o := range []Offsets{
		{Start: -1, End: 5, Commit: 0},
		{Start: 0, End: -1, Commit: 0},
		{Start: 5, End: 4, Commit: 4},
		{Start: 0, End: 5, Commit: -3},
	} {
		if err := o.Check(); !errors.Is(err, ErrImpossible) {
			t.Errorf("check of %+v = %v, want ErrImpossible", o, err)
		}
	}
}

func TestFollows(t *testing.T) {
	before := Offsets{Start: 10, End: 100, Commit: 50}
	for _, tt := range []struct {
		name string
		now  Offsets
		want bool
	}{
		{"nothing happened", before, true},
		{"produced and consumed", Offsets{Start: 10, End: 150, Commit: 90}, true},
		{"retention behind the commit", Offsets{Start: 50, End: 100, Commit: 50}, true},
		{"retention beyond the commit", Offsets{Start: 51, End: 100, Commit: 50}, false},
		{"rewound", Offsets{Start: 10, End: 100, Commit: 49}, false},
		{"end went back", Offsets{Start: 10, End: 99, Commit: 50}, false},
		{"commit is gone", Offsets{Start: 10, End: 100, Commit: NoCommit}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.now.follows(before); got != tt.want {
				t.Errorf("follows = %v, want %v", got, tt.want)
			}
		})
	}
	if (Offsets{End: 10, Commit: 0}).follows(Offsets{End: 10, Commit: NoCommit}) {
		t.Error("the first commit follows from none: the lag of a partition without a commit is a guess")
	}
}
