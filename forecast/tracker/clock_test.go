package tracker

import (
	"testing"
	"time"
)

// The clock jumps an hour ahead, and back. What comes before it has caught up is refused and counted, and changes nothing: the outlooks
// are those of a tracker that was told nothing in that time.
func TestTheClockJumpsByAnHour(t *testing.T) {
	jumped, registry, _ := newTracker(t, spec)
	quiet, _, _ := newTracker(t, spec)
	const interval = 5 * time.Second
	now := begin.Add(2 * time.Hour)
	for _, tr := range []*Tracker{jumped, quiet} {
		observe(tr, 1, begin, now, interval)
		observe(tr, 1, now.Add(time.Hour), now.Add(time.Hour+time.Minute), interval)
	}
	ahead := get(t, jumped, 0)
	if got := ahead.Outlook.Issued.Sub(now.Add(time.Hour)); got < 0 || got > time.Minute {
		t.Errorf("an hour ahead the outlook is of %v", ahead.Outlook.Issued)
	}

	observe(jumped, 1, now, now.Add(59*time.Minute), interval)
	if e := get(t, jumped, 0); e.Outlook != ahead.Outlook || e.Last != ahead.Last {
		t.Errorf("set back it learns: an outlook of %v, last %v", e.Outlook.Issued, e.Last)
	}
	// 12 a minute, the first beside them.
	if got := gathered(t, registry, "foresail_forecast_rejected_samples_total", "reason", "past"); got != 59*12+1 {
		t.Errorf("%v samples were refused, want %d", got, 59*12+1)
	}

	for _, tr := range []*Tracker{jumped, quiet} {
		observe(tr, 1, now.Add(time.Hour+2*time.Minute), now.Add(time.Hour+10*time.Minute), interval)
	}
	if e := get(t, jumped, 0); !e.Outlook.Issued.After(ahead.Outlook.Issued) {
		t.Errorf("it does not go on once the clock has caught up: an outlook of %v", e.Outlook.Issued)
	}
	sameOutlook(t, get(t, jumped, 0).Outlook, get(t, quiet, 0).Outlook)
}
