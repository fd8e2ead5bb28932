// Package shard splits what has a name over several processes: each name belongs to one of them, and where their number grows from n to
// n+1 only one name in n+1 moves, to the new one.
package shard

import (
	"fmt"
	"math/bits"
)

// Split is one of several shards. The zero Split, as any with a Total of 1, owns all names.
type Split struct {
	// Shard is from 0 to Total-1.
	Shard, Total int
}

// Whole tells whether nothing is split.
func (s Split) Whole() bool { return s.Total <= 1 }

// Owns tells whether a name belongs to the shard.
func (s Split) Owns(name string) bool { return s.Whole() || Of(name, s.Total) == s.Shard }

// String returns the shard as in "1 of 3".
func (s Split) String() string { return fmt.Sprintf("%d of %d", s.Shard, max(s.Total, 1)) }

// Of returns to which of the shards 0 to total-1 a name belongs: the one whose weight for the name is the largest (rendezvous hashing: Thaler
// and Ravishankar, 1998). Processes of different versions must agree on it, so it never changes. It takes time in proportion to total,
// which is at least 1.
func Of(name string, total int) int {
	h := hash(name)
	best, most := 0, weight(h, 0)
	for i := 1; i < total; i++ {
		if w := weight(h, i); w > most {
			best, most = i, w
		}
	}
	return best
}

// hash is FNV-1a with 64 bits, without the allocation of hash/fnv.
func hash(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	return h
}

// weight is that of a shard for a hash: SplitMix64's generator and its finalizer (Steele, Lea and Flood, 2014), so that weights of
// neighbouring shards have nothing to do with each other.
func weight(h uint64, shard int) uint64 {
	z := bits.RotateLeft64(h, 32) + uint64(shard+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
