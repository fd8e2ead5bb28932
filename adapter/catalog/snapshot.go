package catalog

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
)

// snapshot is the catalog as of one moment; immutable but for its cache.
type snapshot struct {
	custom, external legacy.Table
	rules            map[*legacy.Compiled]*rule
	customList       []provider.CustomMetricInfo
	externalList     []provider.ExternalMetricInfo

	// plans keeps how metrics are read, by planKey. It is lost with the snapshot, because rules are compiled anew.
	plans   sync.Map
	planned atomic.Int64
}

// publish takes what searches came to for the rules and replaces the snapshot. A rule that failed keeps what was found
// for it before; where there was nothing, it takes what the failed search found.
func (c *Catalog) publish(rules []*rule, outcomes []outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range rules {
		c.note(r, outcomes[i].failure)
		if f := outcomes[i].found; outcomes[i].failure == nil || r.found.compiled == nil && f.compiled != nil {
			r.found = f
		}
	}
	s := &snapshot{rules: make(map[*legacy.Compiled]*rule)}
	for _, r := range c.rules {
		if r.found.compiled == nil {
			continue
		}
		s.rules[r.found.compiled] = r
		if r.external {
			s.external.Add(r.found.compiled, c.free(r))
		} else {
			s.custom.Add(r.found.compiled, c.free(r))
		}
	}
	c.reportShadows(s, s.custom.Shadowed())
	c.reportShadows(s, s.external.Shadowed())
	for _, f := range s.custom.All() {
		s.customList = append(s.customList, provider.CustomMetricInfo{
			GroupResource: f.Resource, Metric: f.Metric, Namespaced: f.Namespaced,
		})
		if name, served := s.forecastOf(f); served && !c.opts.Served.ServesCustom(f.Resource, name) {
			s.customList = append(s.customList, provider.CustomMetricInfo{GroupResource: f.Resource, Metric: name, Namespaced: f.Namespaced})
		}
	}
	for _, f := range s.external.All() {
		s.externalList = append(s.externalList, provider.ExternalMetricInfo{Metric: f.Metric})
		if name, served := s.forecastOf(f); served && !c.opts.Served.ServesExternal(name) {
			s.externalList = append(s.externalList, provider.ExternalMetricInfo{Metric: name})
		}
	}
	old := c.current.Swap(s)
	if !slices.Equal(old.customList, s.customList) || !slices.Equal(old.externalList, s.externalList) {
		select {
		case c.changed <- struct{}{}:
		default: // there is a value already
		}
	}
}

// note logs once that a rule begins to fail and once that it works again.
func (c *Catalog) note(r *rule, failure error) {
	c.metrics.searched(r, failure)
	switch {
	case failure != nil && r.failing == nil:
		c.opts.Logger.Warn("cannot find the metrics of a rule; those found before stay",
			"rule", r.name, "backend", r.Backend, "known", len(r.found.entries), "err", failure)
	case failure == nil && r.failing != nil:
		c.opts.Logger.Info("the metrics of a rule are found again", "rule", r.name, "backend", r.Backend)
	}
	r.failing = failure
}

// free returns a rule's entries without those that are served otherwise.
func (c *Catalog) free(r *rule) []legacy.Entry {
	return slices.DeleteFunc(slices.Clone(r.found.entries), func(e legacy.Entry) bool {
		taken := r.external && c.opts.Served.ServesExternal(e.Metric) || !r.external && c.opts.Served.ServesCustom(e.Resource, e.Metric)
		if taken {
			c.report(r, "metrics", e)
		}
		return taken
	})
}

func (c *Catalog) reportShadows(s *snapshot, shadows []legacy.Shadow) {
	for _, shadow := range shadows {
		c.report(s.rules[shadow.Hidden.Rule], s.rules[shadow.By.Rule].name, shadow.Hidden.Entry)
	}
}

// report logs that something takes metrics from a rule, once with the first of them as an example.
func (c *Catalog) report(r *rule, by string, e legacy.Entry) {
	if what := r.name + " " + by; !c.reported[what] {
		c.reported[what] = true
		c.opts.Logger.Warn("a rule is shadowed: some of its metrics are served by another",
			"rule", r.name, "by", by, "metric", e.Metric, "resource", e.Resource.String())
	}
}

// age is how long ago a rule's metrics were found; false where they never were.
func (c *Catalog) age(r *rule) (time.Duration, int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(r.found.at), len(r.found.entries), r.found.compiled != nil
}

// forecastOf returns the name of an entry's forecast, where its rule has one and no rule serves a metric of that name.
func (s *snapshot) forecastOf(f legacy.Found) (name string, served bool) {
	if s.rules[f.Rule].Forecast == nil {
		return "", false
	}
	name = f.Metric + rules.ForecastSuffix
	if f.Resource.Empty() {
		_, served = s.external.External(name)
	} else {
		_, served = s.custom.Custom(f.Resource, name)
	}
	return name, !served
}

// entry returns the entry of a metric, or the one whose forecast it is.
func (c *Catalog) entry(s *snapshot, resource schema.GroupResource, metric string) (found legacy.Found, ahead, ok bool) {
	look := func(metric string) (legacy.Found, bool) {
		if resource.Empty() {
			return s.external.External(metric)
		}
		return c.customEntry(s, resource, metric)
	}
	if found, ok = look(metric); ok {
		return found, false, true
	}
	base := len(metric) - len(rules.ForecastSuffix)
	if base <= 0 || !strings.EqualFold(metric[base:], rules.ForecastSuffix) {
		return legacy.Found{}, false, false
	}
	if found, ok = look(metric[:base]); !ok || s.rules[found.Rule].Forecast == nil {
		return legacy.Found{}, false, false
	}
	found.Metric += rules.ForecastSuffix
	return found, true, true
}

// customEntry returns the entry of a metric of a resource in any spelling that the cluster understands.
func (c *Catalog) customEntry(s *snapshot, resource schema.GroupResource, metric string) (legacy.Found, bool) {
	if f, ok := s.custom.Custom(resource, metric); ok {
		return f, true
	}
	if len(s.customList) == 0 {
		return legacy.Found{}, false
	}
	full, err := c.opts.Mapper.ResourceFor(resource)
	if err != nil || full.GroupResource == resource {
		return legacy.Found{}, false
	}
	return s.custom.Custom(full.GroupResource, metric)
}

// merge returns the lists of discovery: what is served otherwise, and what the rules serve. All entries of a resource
// have the same scope, that of the first.
func merge(served, found []provider.CustomMetricInfo) []provider.CustomMetricInfo {
	all := slices.Concat(served, found)
	scope := make(map[schema.GroupResource]bool)
	for i := range all {
		namespaced, known := scope[all[i].GroupResource]
		if !known {
			scope[all[i].GroupResource], namespaced = all[i].Namespaced, all[i].Namespaced
		}
		all[i].Namespaced = namespaced
	}
	slices.SortFunc(all, func(a, b provider.CustomMetricInfo) int {
		return cmp.Or(strings.Compare(a.GroupResource.String(), b.GroupResource.String()), strings.Compare(a.Metric, b.Metric))
	})
	return all
}
