package page

import (
	"context"
	"net/http"
	"slices"

	"github.com/foresail/foresail/cmd/foresail/app/readers"
)

// mostNames is how many autoscalers are named that ask for the same.
const mostNames = 20

// Autoscalers knows the cluster's HorizontalPodAutoscalers.
type Autoscalers interface {
	// Asks returns the names of autoscalers by what they ask for, as Read.Ask has it. It may wait for the cluster, for some
	// seconds. An error says in a line which autoscalers are not known: all where the map is nil.
	Asks(ctx context.Context) (map[readers.Read][]string, error)
}

// readersAnswer is a part of the readers that match.
type readersAnswer struct {
	Total   int      `json:"total"`
	Matched int      `json:"matched"`
	Offset  int      `json:"offset"`
	Readers []reader `json:"readers"`
	// Unkept is how many reads were of more readers than can be remembered.
	Unkept uint64 `json:"unkept"`
	// Named tells that autoscalers are named, and Unnamed why not all of them.
	Named   bool   `json:"named"`
	Unnamed string `json:"unnamed,omitempty"`
	// Unread are the first of what matches and is served, and some autoscaler asks for without having read it in the last hour.
	Unread        []unread `json:"unread"`
	UnreadMatched int      `json:"unreadMatched"`
}

// reader is who has read, and which autoscalers ask for just that.
type reader struct {
	readers.Reader
	named
}

// unread is what autoscalers ask for that nobody has read.
type unread struct {
	readers.Read
	named
}

// named are autoscalers of the namespace in which something is read.
type named struct {
	Autoscalers []string `json:"autoscalers,omitempty"`
	// More is how many there are beside.
	More int `json:"moreAutoscalers,omitempty"`
}

func nameOf(autoscalers []string) named {
	first := autoscalers[:min(mostNames, len(autoscalers))]
	return named{first, len(autoscalers) - len(first)}
}

// readers tells who has read, of those that match. What autoscalers ask for is known before it is the answer's turn, because
// that may wait for the cluster.
func (p *page) readers(w http.ResponseWriter, r *http.Request) {
	var asks map[readers.Read][]string
	var err error
	if p.Autoscalers != nil {
		asks, err = p.Autoscalers.Asks(r.Context())
	}
	p.answer(func(r request) (any, error) {
		told := p.whoReads(r, asks)
		if err != nil {
			told.Unnamed = err.Error()
		}
		return told, nil
	})(w, r)
}

func (p *page) whoReads(r request, asks map[readers.Read][]string) readersAnswer {
	list, unkept := p.Readers.List(r.now)
	told := readersAnswer{Total: len(list), Offset: r.offset, Unkept: unkept, Named: asks != nil}
	var all []reader
	read := map[readers.Read]bool{}
	for _, one := range list {
		ask := one.Ask()
		read[ask] = true
		if r.matchesRead(one.Read, asks[ask]) {
			all = append(all, reader{one, nameOf(asks[ask])})
		}
	}
	told.Matched, told.Readers = len(all), cut(all, r.offset)
	var missing []unread
	served := r.served()
	for ask, names := range asks {
		if !read[ask] && served[id(ask.Metric, ask.Resource)] && r.matchesRead(ask, names) {
			missing = append(missing, unread{ask, nameOf(names)})
		}
	}
	slices.SortFunc(missing, func(a, b unread) int { return a.Compare(b.Read) })
	told.UnreadMatched, told.Unread = len(missing), cut(missing, 0)
	return told
}

func (r request) matchesRead(read readers.Read, autoscalers []string) bool {
	return r.matches(append([]string{read.Metric, read.Namespace, read.Resource, read.User}, autoscalers...)...)
}

// served has the id of every metric that the API lists, as many as there are.
func (s State) served() map[string]bool {
	served := map[string]bool{}
	for _, info := range s.Listed.ListAllExternalMetrics() {
		served[id(info.Metric, "")] = true
	}
	for _, info := range s.Listed.ListAllMetrics() {
		served[id(info.Metric, info.GroupResource.String())] = true
	}
	return served
}
