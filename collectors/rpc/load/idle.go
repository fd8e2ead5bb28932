package load

import (
	"slices"
	"time"
)

const (
	// watched is how far back the share of readings that succeeded is looked at.
	watched = 5 * time.Minute
	// covered is the least share of them, for it to be known that nothing was called.
	covered = 0.9
)

// Idle tells how long nothing has been called on a set of servers. The zero value knows nothing yet.
type Idle struct {
	since    time.Time // nothing has been called from here on; zero before the first reading
	readings []reading
}

// reading is how many of the servers that should answer were read.
type reading struct {
	at         time.Time
	read, want int
}

// Seen is what one collection saw of a set of servers.
type Seen struct {
	At time.Time
	// Read servers of Want were read: servers that are Ready. Without any, nothing can be told.
	Read, Want int
	// Busy is whether a call began, was in flight or may have been on a server, or whether a server is new: one that was
	// not read before may have had calls.
	Busy bool
	// Knows is whether the servers say what is in flight: without that a long call cannot be told from none.
	Knows bool
}

// Update takes a collection and returns for how many seconds nothing has been called, and whether that is known: not
// without a server; and unless something was called just now, not before a second collection, and not with fewer than
// nine tenths of the readings of 5 minutes.
func (i *Idle) Update(s Seen) (float64, bool) {
	i.readings = append(i.readings, reading{at: s.At, read: s.Read, want: s.Want})
	i.readings = slices.DeleteFunc(i.readings, func(r reading) bool { return s.At.Sub(r.at) > watched })
	if s.Busy || !s.Knows || i.since.IsZero() || s.Want == 0 {
		i.since = s.At
	}
	read, want := 0, 0
	for _, r := range i.readings {
		read, want = read+r.read, want+r.want
	}
	watched := s.Busy || len(i.readings) > 1 && float64(read) >= covered*float64(want)
	return s.At.Sub(i.since).Seconds(), s.Knows && s.Want > 0 && watched
}
