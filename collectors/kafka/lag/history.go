package lag

import (
	"slices"
	"time"
)

const (
	// remembered is how far back the ends of a topic's logs are known.
	remembered = 6 * time.Hour
	// spacing is how far apart snapshots older than the window are, as a share of their age: a time that is read off
	// between two of them is right to a fraction of that.
	spacing = 4
	// heldBack is how long an end that went back a little may stay behind before it is believed.
	heldBack = 2
)

// History is where the logs of one topic's partitions ended, over time. The zero History is empty and ready for use.
type History struct {
	id    TopicID
	snaps []snapshot // oldest first
	back  map[int]int
}

type snapshot struct {
	at   time.Time
	ends []int64 // by partition
}

// Observe enters the ends of all partitions, which it keeps and returns. The new leader of a partition can be behind for
// a moment: an end that went back by less than a second's messages is held where it was, in two readings at most. One
// that went back further begins the history anew, as does another topic of the same name. A partition that is new
// counts from here on.
func (h *History) Observe(at time.Time, id TopicID, ends []int64) []int64 {
	if h.id != id {
		*h = History{id: id}
	}
	if n := len(h.snaps); n > 0 {
		if !at.After(h.snaps[n-1].at) {
			return ends
		}
		if !h.hold(h.snaps[n-1].ends, ends) {
			h.snaps = nil
		}
	}
	h.snaps = append(h.snaps, snapshot{at, ends})
	h.thin(at)
	return ends
}

// Ends returns the newest ends by partition, nil before the first reading. They must not be changed.
func (h *History) Ends() []int64 {
	if len(h.snaps) == 0 {
		return nil
	}
	return h.snaps[len(h.snaps)-1].ends
}

// hold lifts ends that went back a little, and tells whether now can be compared with last.
func (h *History) hold(last, now []int64) bool {
	if len(now) < len(last) {
		return false
	}
	for i, before := range last {
		if now[i] >= before {
			delete(h.back, i)
			continue
		}
		if h.back[i] >= heldBack || float64(before-now[i]) >= h.partitionRate(i) {
			return false
		}
		if h.back == nil {
			h.back = make(map[int]int)
		}
		h.back[i]++
		now[i] = before
	}
	return true
}

// thin drops snapshots that are not needed: the rates need those of the window and one before it, the times of messages
// need older ones further and further apart.
func (h *History) thin(at time.Time) {
	drop := 0
	for drop+1 < len(h.snaps) && at.Sub(h.snaps[drop+1].at) > remembered {
		drop++
	}
	h.snaps = slices.Delete(h.snaps, 0, drop)
	for i := 1; i+1 < len(h.snaps); {
		age := at.Sub(h.snaps[i+1].at)
		if age < Window {
			return
		}
		if gap := h.snaps[i+1].at.Sub(h.snaps[i-1].at); gap < age/spacing {
			h.snaps = slices.Delete(h.snaps, i, i+1)
			continue
		}
		i++
	}
}

// base returns the index of the snapshot from which rates are measured: the newest that is as old as the window, else
// the oldest.
func (h *History) base() int {
	newest := h.snaps[len(h.snaps)-1].at
	for i := len(h.snaps) - 2; i > 0; i-- {
		if newest.Sub(h.snaps[i].at) >= Window {
			return i
		}
	}
	return 0
}

// partitionRate returns the messages per second that were written to a partition, 0 where that is not known.
func (h *History) partitionRate(partition int) float64 {
	rates := h.Rates()
	if partition >= len(rates) {
		return 0
	}
	return rates[partition]
}

// Rates returns the messages per second that were written to each partition over the window, at least 0; nil before there
// are two readings. Transaction markers and, in a compacted topic, messages that are gone count like all offsets do.
func (h *History) Rates() []float64 {
	if len(h.snaps) < 2 {
		return nil
	}
	base, newest := h.base(), h.snaps[len(h.snaps)-1]
	span := newest.at.Sub(h.snaps[base].at).Seconds()
	rates := make([]float64, len(newest.ends))
	for i, end := range newest.ends {
		first := base
		for i >= len(h.snaps[first].ends) {
			first++
		}
		rates[i] = float64(end-h.snaps[first].ends[i]) / span
	}
	return rates
}

// Age returns how long ago the message at an offset of a partition was written, read off the ends of the log at known
// times; 0 for one that is not written yet. False: it was written before the history begins, or so long ago that it is
// not remembered.
func (h *History) Age(partition int, offset int64) (time.Duration, bool) {
	n := len(h.snaps)
	if n == 0 || partition >= len(h.snaps[n-1].ends) {
		return 0, false
	}
	newest := h.snaps[n-1]
	if offset >= newest.ends[partition] {
		return 0, true
	}
	for i := n - 2; i >= 0 && partition < len(h.snaps[i].ends); i-- {
		if before := h.snaps[i].ends[partition]; before <= offset {
			// Between these two readings the end passed the offset.
			after := h.snaps[i+1]
			share := float64(offset-before) / float64(after.ends[partition]-before)
			passed := time.Duration(share * float64(after.at.Sub(h.snaps[i].at)))
			return newest.at.Sub(h.snaps[i].at.Add(passed)), true
		}
	}
	return 0, false
}

// Hot returns the rate of the partition that is written to most over the mean of all: 1 where they are alike, as many as
// there are partitions where one has everything. False where nothing is written.
func Hot(rates []float64) (float64, bool) {
	var sum, most float64
	for _, r := range rates {
		sum, most = sum+r, max(most, r)
	}
	if sum <= 0 {
		return 0, false
	}
	return most * float64(len(rates)) / sum, true
}
