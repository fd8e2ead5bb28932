// Package load is the arithmetic of gRPC servers' load: what two readings of one server say about the time between them, what
// several servers' readings say together, and how long nothing has been called. It asks nobody and reads no clock.
package load

import "github.com/foresail/foresail/collectors/rpc/page"

// Interval is what happened at one server between two readings, which are some seconds apart (above 0).
type Interval struct {
	Seconds float64
	// Started is how many calls began, Ended how many ended, and of these Faults were the server's fault and Overloads
	// turned away for want of resources.
	Started, Ended, Faults, Overloads float64
	// Busy is the time in seconds that ended calls had taken, without streams where kinds are known: divided by Seconds
	// it is the mean number of calls in flight (Little's law), exact over many intervals, and late for calls that take
	// longer than one.
	Busy float64
	// CountsStatus and CountsBusy tell whether Faults and Overloads, and Busy, are known.
	CountsStatus, CountsBusy bool
	// Latency holds how long the ended calls took, streams left out.
	Latency Latency
}

// Between returns what happened between two readings of one server, and whether that can be told. Where the server began
// anew in between, what it has counted since then counts; that of its predecessor's end is lost.
func Between(before, now *page.Page) (Interval, bool) {
	in := Interval{Seconds: now.At.Sub(before.At).Seconds(), CountsStatus: now.CountsStatus, CountsBusy: now.CountsSeconds}
	if now.Family == "" || in.Seconds <= 0 {
		return Interval{}, false
	}
	if now.Restarted(before) {
		before = new(page.Page)
	}
	measured := false
	for m, c := range now.Calls {
		then := before.Calls[m]
		in.Started += c.Started - then.Started
		in.Ended += c.Ended - then.Ended
		in.Faults += max(0, c.Faults-then.Faults)
		in.Overloads += max(0, c.Overloads-then.Overloads)
		if m.Kind != page.Stream {
			measured = true
			in.Busy += max(0, c.Seconds-then.Seconds)
		}
	}
	in.CountsBusy = in.CountsBusy && measured
	in.Latency = latencyBetween(before, now)
	return in, true
}

// Mean returns the mean number of calls in flight, and whether it is known.
func (in *Interval) Mean() (float64, bool) {
	return in.Busy / in.Seconds, in.CountsBusy
}

// Ratios returns which shares of the ended calls, 0 to 1, were the server's fault and were turned away for want of
// resources, and whether that is known.
func (in *Interval) Ratios() (faults, overloads float64, known bool) {
	if !in.CountsStatus || !(in.Ended > 0) {
		return 0, 0, false
	}
	return in.Faults / in.Ended, in.Overloads / in.Ended, true
}
