package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/forecast/series"
)

// search asks the backend once and publishes what that came to for each of the rules. It tells whether all is well.
func (c *Catalog) search(ctx context.Context, s *search) bool {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return false
	}
	at := time.Now()
	found, err := c.series(ctx, s, at)
	if ctx.Err() != nil { // the program ends: not the backend's fault
		return false
	}
	if err != nil {
		err = fmt.Errorf("cannot find the series %q: %w", s.selector, err)
	}
	good := true
	outcomes := make([]outcome, len(s.rules))
	for i, r := range s.rules {
		if outcomes[i].failure = err; err == nil {
			outcomes[i] = c.apply(r, found)
		}
		outcomes[i].found.at = at
		good = good && outcomes[i].failure == nil
	}
	c.publish(s.rules, outcomes)
	return good
}

// outcome is what a search came to for one rule.
type outcome struct {
	found   finding
	failure error
}

// apply tells which metrics a rule makes of series. The rule is compiled each time, because the cluster may have other
// resources than before.
func (c *Catalog) apply(r *rule, found []legacy.Series) outcome {
	compiled, err := legacy.Compile(r.Rule, legacy.Options{Mapper: c.opts.Mapper})
	if err != nil {
		return outcome{failure: err}
	}
	f := finding{compiled: compiled}
	if r.external {
		f.entries = compiled.ExternalEntries(found)
	} else {
		f.entries, err = compiled.Entries(found)
	}
	f.entries = slices.DeleteFunc(f.entries, func(e legacy.Entry) bool { return !servable(e.Metric) })
	return outcome{found: f, failure: err}
}

// servable tells whether a name can stand in the path of a request.
func servable(metric string) bool {
	return metric != "" && metric != "." && metric != ".." && metric != "*" && !strings.ContainsAny(metric, "/%?#\\ \t\r\n")
}

// maxDistinct bounds the names of series with the names of their labels that one search may find.
const maxDistinct = 100_000

// series returns the series that differ in their name or in the names of their labels, in the order in which the
// backend told the last one of each.
func (c *Catalog) series(ctx context.Context, s *search, now time.Time) ([]legacy.Series, error) {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	var id strings.Builder
	last := make(map[string]int)
	n := 0
	err := c.opts.Backends[s.backend].Finder.Series(ctx, s.selector, now.Add(-c.opts.MaxAge), func(k series.Key) {
		id.Reset()
		id.WriteString(k.Metric)
		for _, l := range k.Labels() {
			id.WriteString(separator)
			id.WriteString(l.Name)
		}
		if _, known := last[id.String()]; known || len(last) <= maxDistinct {
			last[id.String()] = n
			n++
		}
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("no whole answer within %v: %w", searchTimeout, err)
	}
	if err != nil {
		return nil, err
	}
	if len(last) > maxDistinct {
		return nil, fmt.Errorf("more than %d different names and labels: select fewer series", maxDistinct)
	}
	ids := make([]string, 0, len(last))
	for id := range last {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return last[a] - last[b] })
	found := make([]legacy.Series, len(ids))
	for i, id := range ids {
		parts := strings.Split(id, separator)
		found[i] = legacy.Series{Name: parts[0], Labels: parts[1:]}
	}
	return found, nil
}

// separator never occurs in valid UTF-8.
const separator = "\xff"
