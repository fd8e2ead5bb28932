package shards

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// longest is how long a process that has begun waits at most for what it takes over: one shard's share of series is learnt in a quarter of an hour, and
// what cannot be learnt must not hold up a rollout for ever.
const longest = 30 * time.Minute

// Handover has a process be ready only once it forecasts the series of its own that other shards still forecast, as they do where there have become
// more of them. A StatefulSet ends those others then: before, the series would be without a forecast from the end of the others' last paths on. Nothing
// is waited for where no other process forecasts them, as at an install, or where all had ended. It is safe for concurrent use.
type Handover struct {
	begun time.Time
	log   *slog.Logger

	mu   sync.Mutex
	left time.Time // When something was left to learn last.
	over bool
}

// NewHandover returns that of a process that has begun at a time. It logs that there is something to wait for.
func NewHandover(begun time.Time, log *slog.Logger) *Handover {
	return &Handover{begun: begun, log: log}
}

// Ready says what is waited for; nil, once and for all, when that is there or half an hour is over. What has just been learnt is in doubt with processes
// that begin now, as they hear of what this one said before.
func (h *Handover) Ready(o Outlooks, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over = h.over || o.Peers == nil || now.Sub(h.begun) >= longest; h.over {
		return nil
	}
	if n := o.foreign(now); n > 0 {
		if h.left.IsZero() {
			h.log.Info("ready once it has learnt what another shard still forecasts for it", "series", n, "atMost", longest)
		}
		h.left = now
		return fmt.Errorf("this shard has yet to learn %d series that another still forecasts", n)
	}
	if now.Sub(h.left) <= doubt {
		return fmt.Errorf("this shard has just learnt series that another forecasts, and is not believed for %v", doubt)
	}
	h.over = true
	return nil
}

// foreign counts the series of this shard that another one forecasts by now, and this one does not.
func (o Outlooks) foreign(now time.Time) int {
	n, own := 0, strconv.Itoa(o.Peers.member.Shard)
	for metric, m := range o.Peers.metrics {
		left := map[string]bool{}
		for name, of := range *m.told.Load() { // A series is split by its metric and this name of it.
			if of.shard != own && now.Sub(of.Issued) <= o.Peers.delay(m) && good(of.State.Reason) && o.Peers.member.Split.Owns(metric+name) {
				left[name] = true
			}
		}
		if len(left) == 0 {
			continue
		}
		for _, e := range o.Tracker.Table().List(metric) {
			if own := o.own(metric, e.Key, now); own != nil && !ignorant(own.State.Reason) {
				delete(left, e.Key.WithMetric("").String())
			}
		}
		n += len(left)
	}
	return n
}
