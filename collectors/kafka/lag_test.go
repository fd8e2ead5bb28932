package kafka

import (
	"errors"
	"math/rand/v2"
	"testing"
)

func TestLag(t *testing.T) {
	for _, tt := range []struct {
		name string
		offsets
		want int64
	}{
		{"caught up", offsets{start: 0, end: 100, commit: 100}, 0},
		{"behind", offsets{start: 0, end: 100, commit: 60}, 40},
		{"no commit: the whole log", offsets{start: 30, end: 100, commit: noCommit}, 70},
		{"no commit, empty log", offsets{start: 30, end: 30, commit: noCommit}, 0},
		// Offsets 20 to 49 were deleted and are no work any more: 100 - 50.
		{"deleted below the commit", offsets{start: 50, end: 100, commit: 20}, 50},
		{"all deleted", offsets{start: 100, end: 100, commit: 20}, 0},
		{"commit beyond the end", offsets{start: 0, end: 100, commit: 500}, 0},
		{"commit at the start", offsets{start: 50, end: 100, commit: 50}, 50},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.lag(); got != tt.want {
				t.Errorf("lag = %d, want %d", got, tt.want)
			}
		})
	}
}

// slowLag is the obvious twin: it counts the messages that are there and that the group has not read.
func slowLag(o offsets) int64 {
	var n int64
	for message := o.start; message < o.end; message++ {
		if message >= o.commit {
			n++
		}
	}
	return n
}

func TestLagAgreesWithSlowTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	partitions := make(map[int32]offsets)
	var sum int64
	for i := range int32(2000) {
		start := r.Int64N(50)
		o := offsets{start: start, end: start + r.Int64N(50), commit: noCommit + r.Int64N(120)}
		if got, want := o.lag(), slowLag(o); got != want {
			t.Fatalf("lag of %+v = %d, slow twin %d", o, got, want)
		}
		if err := o.check(); err != nil {
			t.Fatalf("check of %+v: %v", o, err)
		}
		partitions[i] = o
		sum += slowLag(o)
	}
	if got := sumLag(partitions); got != sum {
		t.Errorf("sum = %d, slow twin %d", got, sum)
	}
}

func TestCheck(t *testing.T) {
	for _, o := range []offsets{
		{start: -1, end: 5, commit: 0},
		{start: 0, end: -1, commit: 0},
		{start: 5, end: 4, commit: 4},
		{start: 0, end: 5, commit: -2},
	} {
		if err := o.check(); !errors.Is(err, errImpossible) {
			t.Errorf("check of %+v = %v, want errImpossible", o, err)
		}
	}
}

func TestFollows(t *testing.T) {
	before := offsets{start: 10, end: 100, commit: 50}
	for _, tt := range []struct {
		name string
		now  offsets
		want bool
	}{
		{"nothing happened", before, true},
		{"produced and consumed", offsets{start: 10, end: 150, commit: 90}, true},
		{"retention behind the commit", offsets{start: 50, end: 100, commit: 50}, true},
		{"retention beyond the commit", offsets{start: 51, end: 100, commit: 50}, false},
		{"rewound", offsets{start: 10, end: 100, commit: 49}, false},
		{"end went back", offsets{start: 10, end: 99, commit: 50}, false},
		{"commit is gone", offsets{start: 10, end: 100, commit: noCommit}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.now.follows(before); got != tt.want {
				t.Errorf("follows = %v, want %v", got, tt.want)
			}
		})
	}
	if (offsets{end: 10, commit: 0}).follows(offsets{end: 10, commit: noCommit}) {
		t.Error("the first commit follows from none: the lag of a partition without a commit is a guess")
	}
}
