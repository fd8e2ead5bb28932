package resource

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/metrics/pkg/apis/metrics"

	"github.com/foresail/foresail/adapter"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

// view is two results sorted the way that they are read. It is immutable.
type view struct {
	of [2]*standing.Result
	// uses are those of objects of which both resources are known.
	uses map[string]*use
	// named are the pods with a container that has a name: their samples without one are sums of the others'.
	named map[string]bool
}

// use is what one object uses.
type use struct {
	// at is the time of the oldest sample.
	at time.Time
	// containers are sorted by name. A resource that one of them does not have is not known. The use of a node is that of
	// one container without a name, and so is that of a pod of which no sample has one.
	containers []metrics.ContainerMetrics
	known      [2]bool // of any container
}

// newView sorts results. Of several samples of a container the last one counts, and of several of a node the first one,
// as prometheus-adapter has it.
func newView(parts *[2]part, results [2]*standing.Result) *view {
	v := &view{of: results, uses: make(map[string]*use, len(results[memory].Points)), named: make(map[string]bool)}
	for i := range parts {
		v.name(&parts[i], results[i])
	}
	for i := range parts {
		p, r := &parts[i], results[i]
		for _, point := range r.Points {
			u, c := v.container(p, point.Key)
			if c == nil || point.Value < 0 {
				continue
			}
			if _, again := c.Usage[resourceNames[i]]; again && !p.hasContainers {
				continue
			}
			c.Usage[resourceNames[i]] = amount(i, point.Value)
			u.known[i] = true
			at := point.Time
			if at.IsZero() {
				at = r.At
			}
			if u.at.IsZero() || at.Before(u.at) {
				u.at = at
			}
		}
		for _, drop := range r.Dropped {
			v.container(p, drop.Key)
		}
	}
	for name, u := range v.uses {
		if !u.known[cpu] || !u.known[memory] {
			delete(v.uses, name)
			continue
		}
		slices.SortFunc(u.containers, func(a, b metrics.ContainerMetrics) int { return strings.Compare(a.Name, b.Name) })
	}
	return v
}

// name finds the pods that a result has named containers of.
func (v *view) name(p *part, r *standing.Result) {
	if !p.hasContainers {
		return
	}
	for _, point := range r.Points {
		if point.Key.Get(p.container) != "" {
			v.named[point.Key.Get(p.object)] = true
		}
	}
	for _, drop := range r.Dropped {
		if drop.Key.Get(p.container) != "" {
			v.named[drop.Key.Get(p.object)] = true
		}
	}
}

// container returns the container that a sample is of, which is in the view from then on, whatever the sample's value;
// nil where the sample's labels do not say.
func (v *view) container(p *part, key series.Key) (*use, *metrics.ContainerMetrics) {
	object, name := key.Get(p.object), ""
	if p.hasContainers {
		name = key.Get(p.container)
	}
	if object == "" || name == "" && v.named[object] {
		return nil, nil
	}
	u := v.uses[object]
	if u == nil {
		u = &use{}
		v.uses[object] = u
	}
	i := slices.IndexFunc(u.containers, func(c metrics.ContainerMetrics) bool { return c.Name == name })
	if i < 0 {
		i = len(u.containers)
		u.containers = append(u.containers, metrics.ContainerMetrics{Name: name, Usage: make(corev1.ResourceList, 2)})
	}
	return u, &u.containers[i]
}

// amount is a use in cores or bytes, at least 0.
func amount(i int, value float64) resource.Quantity {
	q, _ := adapter.Quantity(value)
	if i == memory {
		q.Format = resource.BinarySI
	}
	return q
}
