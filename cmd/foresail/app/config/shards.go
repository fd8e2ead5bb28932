package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/foresail/foresail/adapter/rules"
)

// Shards say how the processes that forecasts are split over, by --shard and --total-shards, learn of each other's. Without these flags they
// mean nothing, but that no query may be of the embedded store.
type Shards struct {
	// Backend is the one that has the series foresail_forecast... of all shards: they write them there (remoteWrite), or it scrapes them.
	Backend string `yaml:"backend"`
	// Interval is how often it is asked for them. Default 30s.
	Interval time.Duration `yaml:"interval"`
}

// Every is the interval, or its default.
func (s Shards) Every() time.Duration { return cmp.Or(s.Interval, 30*time.Second) }

func (s Shards) validate(known []rules.Backend, report func(field, problem string)) {
	if s.Backend == StoreBackend || s.Backend != "" && !slices.ContainsFunc(known, func(b rules.Backend) bool { return b.Name == s.Backend }) {
		report("backend", fmt.Sprintf("%q is not one that all shards ask: name one of backends", s.Backend))
	}
	if s.Every() < time.Second {
		report("interval", fmt.Sprintf("%v is too short: use 1s or more", s.Interval))
	}
}

// split reports what reads the embedded store in a file of processes that share the work: each has a store of its own, with what it collects
// itself and nothing else, and of what is read there each would tell another value.
func (f *File) split(report func(field, problem string)) {
	if f.Shards.Backend == "" {
		return
	}
	asked := f.asked()
	for _, field := range slices.Sorted(maps.Keys(asked)) {
		if asked[field] == StoreBackend {
			report(field, fmt.Sprintf("with shards the embedded store has the series of one of them: "+
				"have them written to a server that all shards ask (remoteWrite), and name that, as %q", f.Shards.Backend))
		}
	}
}
