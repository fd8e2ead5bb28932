// Package readers remembers who reads which metric: autoscalers are known by what they ask for.
package readers

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// most is how many readers are remembered: two for each of 2,500 autoscalers.
	most = 5000
	// silent is how long one is remembered after its last read.
	silent = time.Hour
	// longest is how much of a text that the reader chose is kept.
	longest = 500
)

// Read is what was asked for, and by whom.
type Read struct {
	// Namespace is where the metric was asked for, "" for objects that are in none.
	Namespace string `json:"namespace"`
	Metric    string `json:"metric"`
	// Resource is whose metric it is, "" for external ones; Object names one of them, and Objects is the selector of
	// several.
	Resource string `json:"resource,omitempty"`
	Object   string `json:"object,omitempty"`
	Objects  string `json:"objects,omitempty"`
	// Selector is that of the metric.
	Selector string `json:"selector,omitempty"`
	// User is the name that the API server has for the reader; all HPAs share that of their controller.
	User string `json:"user"`
}

// short returns what is kept of a read.
func (r Read) short() Read {
	for _, text := range []*string{&r.Namespace, &r.Metric, &r.Resource, &r.Object, &r.Objects, &r.Selector, &r.User} {
		*text = short(*text)
	}
	return r
}

// Ask returns what of a read an autoscaler says itself: not the user, which all share, nor the selector of objects, which is that
// of what it scales. Case is nothing to the API in a metric's name, which is in lower case here.
func (r Read) Ask() Read {
	r.User, r.Objects, r.Metric = "", "", strings.ToLower(r.Metric)
	return r.short()
}

// Compare orders reads by namespace, metric and resource, and where those are the same by the rest.
func (r Read) Compare(o Read) int {
	return cmp.Or(
		cmp.Compare(r.Namespace, o.Namespace), cmp.Compare(r.Metric, o.Metric), cmp.Compare(r.Resource, o.Resource), cmp.Compare(r.Object, o.Object),
		cmp.Compare(r.Objects, o.Objects), cmp.Compare(r.Selector, o.Selector), cmp.Compare(r.User, o.User))
}

// Reader is who has read in the last hour.
type Reader struct {
	Read
	Last  time.Time `json:"last"`
	Count uint64    `json:"count"`
	// Problem is why the last read told nothing; "" where it told something.
	Problem string `json:"problem,omitempty"`
}

// Book remembers readers. Its methods are safe for concurrent use.
type Book struct {
	readers sync.Map // of Read to *note, so that reads take no lock
	mu      sync.Mutex
	kept    int
	swept   time.Time
	unkept  atomic.Uint64
}

type note struct {
	last    atomic.Int64 // in nanoseconds since the Unix epoch
	count   atomic.Uint64
	problem atomic.Pointer[string]
}

// Note takes a read, which had this error if any.
func (b *Book) Note(r Read, at time.Time, err error) {
	r = r.short()
	known, ok := b.readers.Load(r)
	if !ok {
		if known, ok = b.add(r, at); !ok {
			b.unkept.Add(1)
			return
		}
	}
	n := known.(*note)
	n.last.Store(at.UnixNano())
	n.count.Add(1)
	if err == nil {
		n.problem.Store(nil)
		return
	}
	text := short(err.Error())
	n.problem.Store(&text)
}

// add remembers a new reader, where there is room.
func (b *Book) add(r Read, at time.Time) (any, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.readers.Load(r); ok {
		return known, true
	}
	if b.kept >= most && at.Sub(b.swept) > time.Minute {
		b.sweep(at)
	}
	if b.kept >= most {
		return nil, false
	}
	n := &note{}
	b.kept++
	n.last.Store(at.UnixNano())
	b.readers.Store(r, n)
	return n, true
}

// sweep forgets who has not read for long; the lock is held.
func (b *Book) sweep(at time.Time) {
	b.swept = at
	b.readers.Range(func(key, value any) bool {
		if at.UnixNano()-value.(*note).last.Load() > int64(silent) {
			b.readers.Delete(key)
			b.kept--
		}
		return true
	})
}

// List returns who has read in the hour before now, by namespace, metric and resource, and how many reads were of readers
// beyond those that can be remembered.
func (b *Book) List(now time.Time) (readers []Reader, unkept uint64) {
	b.readers.Range(func(key, value any) bool {
		n := value.(*note)
		r := Reader{Read: key.(Read), Last: time.Unix(0, n.last.Load()), Count: n.count.Load()}
		if problem := n.problem.Load(); problem != nil {
			r.Problem = *problem
		}
		if now.Sub(r.Last) <= silent {
			readers = append(readers, r)
		}
		return true
	})
	slices.SortFunc(readers, func(x, y Reader) int { return x.Compare(y.Read) })
	return readers, b.unkept.Load()
}

func short(text string) string {
	if len(text) <= longest {
		return text
	}
	return text[:longest] + "..."
}
