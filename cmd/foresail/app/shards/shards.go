// Package shards splits forecasting and collecting over several processes, and has each of them serve the forecasts of all.
package shards

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/learning"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/shard"
)

// Member is one process of those that share the work.
type Member struct {
	shard.Split
	// Replica tells this process from others of the same shard.
	Replica string
}

// ordinal is how the names of a StatefulSet's pods end.
var ordinal = regexp.MustCompile(`-(\d+)$`)

// NewMember returns the process by what its flags say: --shard, which is below 0 where it was not given, --total-shards and --pod, without
// which it is the host's name. The shard that was not given is the ordinal in the pod's name. Errors name the flag that is wrong.
func NewMember(index, total int, pod string) (Member, error) {
	if total < 1 {
		return Member{}, fmt.Errorf("--total-shards is %d: give 1, which is no sharding, or more", total)
	}
	if total == 1 && index <= 0 {
		return Member{}, nil
	}
	if pod == "" {
		name, err := os.Hostname()
		if err != nil {
			return Member{}, fmt.Errorf("cannot find the name of this replica, give it with --pod: %w", err)
		}
		pod = name
	}
	from := "--shard"
	if index < 0 {
		from = fmt.Sprintf("the ordinal of the pod %q", pod)
		found := ordinal.FindStringSubmatch(pod)
		if found == nil {
			return Member{}, fmt.Errorf("--total-shards is %d and which one this is is not known: give --shard, or run it as a StatefulSet's pod, "+
				"whose name ends in an ordinal (it is %q; --pod names another)", total, pod)
		}
		var err error
		if index, err = strconv.Atoi(found[1]); err != nil {
			return Member{}, fmt.Errorf("%s is no number of a shard: %w", from, err)
		}
	}
	if index >= total {
		return Member{}, fmt.Errorf("%s is %d and must be below --total-shards, which is %d: the first shard is 0", from, index, total)
	}
	return Member{shard.Split{Shard: index, Total: total}, pod}, nil
}

// Check says what a config file lacks to be split; what cannot be in one that has shards.backend is refused as it is read.
func (m Member) Check(file *config.File) error {
	if !m.Whole() && file.Shards.Backend == "" {
		return fmt.Errorf("--total-shards is %d: shards.backend is missing: name the backend that has the series of all shards", m.Total)
	}
	return nil
}

// Owns tells whether a series of a metric is forecast here. Metrics of rules, which are forecast because they were read here, are not split.
func (m Member) Owns(key series.Key) bool {
	return m.Whole() || learning.OnDemand(key.Metric) || m.Split.Owns(key.String())
}

// Own is Owns where there is something to split, else nil.
func (m Member) Own() func(series.Key) bool {
	if m.Whole() {
		return nil
	}
	return m.Owns
}

// Labels registers what is told of forecasts with the labels of the process, so that those of several are kept apart where they meet.
func (m Member) Labels(reg prometheus.Registerer) prometheus.Registerer {
	if m.Whole() {
		return reg
	}
	return prometheus.WrapRegistererWith(prometheus.Labels{shardLabel: strconv.Itoa(m.Shard), replicaLabel: m.Replica}, reg)
}

// Register adds the metrics that say which shard this is.
func (m Member) Register(reg prometheus.Registerer) error {
	ordinal := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "foresail_shard_ordinal",
		Help: "Which of the shards this process is, from 0 on.",
	})
	total := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "foresail_total_shards",
		Help: "Number of shards that forecasts and collectors are split over, as this process knows it; the same everywhere, but for the time in which it is changed.",
	})
	ordinal.Set(float64(m.Shard))
	total.Set(float64(max(m.Total, 1)))
	if err := errors.Join(reg.Register(ordinal), reg.Register(total)); err != nil {
		return fmt.Errorf("cannot register the metrics of shards: %w", err)
	}
	return nil
}
