// Package autoscalers tells what the cluster's HorizontalPodAutoscalers ask of the metrics APIs.
package autoscalers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	client "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/cmd/foresail/app/readers"
)

const (
	// kept is how long what the cluster said is told before it is asked again.
	kept = time.Minute
	// patience bounds the request, and largest its answer: whoever may write autoscalers writes a part of it.
	patience = 5 * time.Second
	largest  = 32 << 20
	// most is how many autoscalers are looked at.
	most = 5000
)

// Options are the collaborators of a List.
type Options struct {
	// Config reaches the cluster's API server.
	Config *rest.Config
	// Mapper knows the cluster's resources.
	Mapper meta.RESTMapper
}

// List is what the autoscalers of a cluster ask for. Its methods are safe for concurrent use.
type List struct {
	client client.HorizontalPodAutoscalersGetter
	mapper meta.RESTMapper

	mu   sync.Mutex // held while the cluster is asked, so that many readers ask it once
	at   time.Time
	asks map[readers.Read][]string
	err  error
}

// New returns a list that has not asked the cluster yet.
func New(o Options) (*List, error) {
	config := rest.CopyConfig(o.Config)
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON // half the bytes, and less to decode
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next} })
	c, err := client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of autoscalers: %w", err)
	}
	return &List{client: c, mapper: o.Mapper}, nil
}

// bounded ends answers that are too large.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, largest)
	}
	return response, err
}

// Asks returns the names of autoscalers, sorted, by what they ask for, as Read.Ask has it; their namespace is that of the read, or
// its object. It is up to a minute old, the error too. An error says which autoscalers are not known: all where the map is nil.
func (l *List) Asks(ctx context.Context) (map[readers.Read][]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() || time.Since(l.at) >= kept {
		l.asks, l.err = l.list(context.WithoutCancel(ctx)) // What one reader does not wait for is kept for the next.
		l.at = time.Now()
	}
	return l.asks, l.err
}

func (l *List) list(ctx context.Context) (map[readers.Read][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Version 0 is what the API server has in memory, however old; some then give all there is whatever the limit.
	list, err := l.client.HorizontalPodAutoscalers(metav1.NamespaceAll).List(ctx, metav1.ListOptions{ResourceVersion: "0", Limit: most})
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		err = fmt.Errorf("the answer has more than %d MiB", largest>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the autoscalers: %w", err)
	}
	if len(list.Items) > most || list.Continue != "" {
		err = fmt.Errorf("there are more than %d autoscalers, and the others are not looked at", most)
	}
	asks := map[readers.Read][]string{}
	for i := range list.Items[:min(most, len(list.Items))] {
		hpa := &list.Items[i]
		reads, unreadable := Reads(hpa, l.mapper)
		if err == nil {
			err = unreadable
		}
		for _, r := range reads {
			ask := r.Ask()
			if names := asks[ask]; len(names) == 0 || names[len(names)-1] != hpa.Name {
				asks[ask] = append(names, hpa.Name)
			}
		}
	}
	for _, names := range asks {
		slices.Sort(names)
	}
	return asks, err
}

// Reads returns what the controller reads of custom and external metrics for an autoscaler, but for the user and the selector of
// objects, which no autoscaler says. An error says what cannot be read; the rest is returned all the same. The plural of a kind
// that the mapper does not have is guessed.
func Reads(hpa *autoscaling.HorizontalPodAutoscaler, mapper meta.RESTMapper) (reads []readers.Read, err error) {
	for _, m := range hpa.Spec.Metrics {
		var id autoscaling.MetricIdentifier
		r := readers.Read{Namespace: hpa.Namespace}
		switch {
		case m.Pods != nil:
			id, r.Resource = m.Pods.Metric, "pods"
		case m.Object != nil:
			id = m.Object.Metric
			r.Resource, r.Object = resourceOf(m.Object.DescribedObject, mapper), m.Object.DescribedObject.Name
			if r.Resource == "namespaces" {
				r.Namespace, r.Object = "", hpa.Namespace // whichever it names: the controller asks for its own
			}
		case m.External != nil:
			id = m.External.Metric
		default:
			continue
		}
		// Without a selector it is one of nothing, which the controller sends as the empty text that means everything.
		selector, wrong := metav1.LabelSelectorAsSelector(id.Selector)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("cannot read the selector of %s in the autoscaler %s/%s: %w", id.Name, hpa.Namespace, hpa.Name, wrong))
			continue
		}
		r.Metric, r.Selector = id.Name, selector.String()
		reads = append(reads, r)
	}
	return reads, err
}

func resourceOf(o autoscaling.CrossVersionObjectReference, mapper meta.RESTMapper) string {
	kind := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind)
	if mapping, err := mapper.RESTMapping(kind.GroupKind()); err == nil {
		return mapping.Resource.GroupResource().String()
	}
	plural, _ := meta.UnsafeGuessKindToResource(kind)
	return plural.GroupResource().String()
}
