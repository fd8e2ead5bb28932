package config

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/foresail/foresail/adapter/rules"
)

// Shards say how the processes that forecasts are split over, by --shard and --total-shards, learn of each other's. Without these flags they
// mean nothing.
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
