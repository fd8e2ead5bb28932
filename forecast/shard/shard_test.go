package shard

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"testing"
)

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("requests{pod=%q}", fmt.Sprint("web-", i))
	}
	return all
}

// slow is the same by the words of the papers: every weight, from the standard library's hash and SplitMix64 as a generator, and then the
// first of the largest.
func slow(name string, total int) int {
	f := fnv.New64a()
	f.Write([]byte(name))
	h := f.Sum64()
	swapped := binary.BigEndian.AppendUint32(nil, uint32(h))
	swapped = binary.BigEndian.AppendUint32(swapped, uint32(h>>32))
	state := binary.BigEndian.Uint64(swapped)
	weights := make([]uint64, total)
	for i := range weights { // The generator's i-th number from that state on.
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb
		weights[i] = z ^ (z >> 31)
	}
	best := 0
	for i := range weights {
		if weights[i] > weights[best] {
			best = i
		}
	}
	return best
}

func TestOfIsRendezvous(t *testing.T) {
	for _, name := range names(2000) {
		for _, total := range []int{1, 2, 3, 4, 7, 64} {
			if got, want := Of(name, total), slow(name, total); got != want {
				t.Fatalf("%s of %d: shard %d, want %d", name, total, got, want)
			}
		}
	}
}

// Each shard has its share, within five standard deviations: of 30,000 names at 3 shards sqrt(30000 * 1/3 * 2/3) = 82.
func TestSharesAreEven(t *testing.T) {
	const n = 30_000
	for _, total := range []int{2, 3, 4, 10, 33} {
		counts := make([]int, total)
		for _, name := range names(n) {
			counts[Of(name, total)]++
		}
		p := 1 / float64(total)
		for i, c := range counts {
			if off := math.Abs(float64(c) - n*p); off > 5*math.Sqrt(n*p*(1-p)) {
				t.Errorf("shard %d of %d has %d names, %.0f off its share", i, total, c, off)
			}
		}
	}
}

// From 3 to 4 a quarter moves, all of it to the new shard; from 4 to 3 only what the last one had.
func TestFewMove(t *testing.T) {
	const n = 30_000
	moved := 0
	for _, name := range names(n) {
		three, four := Of(name, 3), Of(name, 4)
		if three != four {
			moved++
			if four != 3 {
				t.Fatalf("%s moves from shard %d to %d, which is not the new one", name, three, four)
			}
		}
	}
	if off := math.Abs(float64(moved) - n/4.); off > 5*math.Sqrt(n*3./16) {
		t.Errorf("%d of %d moved, want a quarter", moved, n)
	}
}

// What was split by one version belongs to the same shard in the next.
func TestOfNeverChanges(t *testing.T) {
	for _, c := range []struct {
		name        string
		total, want int
	}{{"", 3, 2}, {"requests", 3, 0}, {`requests{pod="web-1"}`, 4, 1}, {`lag{consumergroup="invoicing"}`, 16, 7}} {
		if got := Of(c.name, c.total); got != c.want {
			t.Errorf("%q of %d: shard %d, want %d", c.name, c.total, got, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, name := range names(100) {
		owners := 0
		for i := range 3 {
			if (Split{i, 3}).Owns(name) {
				owners++
			}
		}
		if owners != 1 || !(Split{}).Owns(name) || !(Split{0, 1}).Owns(name) {
			t.Errorf("%s has %d owners of 3", name, owners)
		}
	}
	if (Split{1, 3}).Whole() || !(Split{}).Whole() || (Split{1, 3}).String() != "1 of 3" || (Split{}).String() != "0 of 1" {
		t.Error("a split does not know how much it is")
	}
}
