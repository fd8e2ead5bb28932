package shards

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/rpc"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/shard"
)

func TestNewMember(t *testing.T) {
	for _, c := range []struct {
		index, total int
		pod          string
		want         Member
		err          string
	}{
		{-1, 1, "", Member{}, ""},
		{0, 1, "x", Member{}, ""},
		{1, 1, "x", Member{}, "--shard is 1 and must be below --total-shards, which is 1: the first shard is 0"},
		{-1, 0, "x", Member{}, "--total-shards is 0: give 1, which is no sharding, or more"},
		{2, 3, "x", Member{shard.Split{Shard: 2, Total: 3}, "x"}, ""},
		{3, 3, "x", Member{}, "--shard is 3 and must be below --total-shards, which is 3: the first shard is 0"},
		{-1, 3, "foresail-2", Member{shard.Split{Shard: 2, Total: 3}, "foresail-2"}, ""},
		{0, 3, "foresail-2", Member{shard.Split{Shard: 0, Total: 3}, "foresail-2"}, ""},
		{-1, 3, "foresail-3", Member{}, `the ordinal of the pod "foresail-3" is 3 and must be below --total-shards, which is 3: the first shard is 0`},
		{-1, 3, "foresail-7d9-x2", Member{}, "--total-shards is 3 and which one this is is not known: give --shard, or run it as a StatefulSet's pod, " +
			`whose name ends in an ordinal (it is "foresail-7d9-x2"; --pod names another)`},
		{-1, 3, "a-99999999999999999999", Member{}, `the ordinal of the pod "a-99999999999999999999" is no number of a shard: strconv.Atoi: parsing "99999999999999999999": value out of range`},
	} {
		got, err := NewMember(c.index, c.total, c.pod)
		if got != c.want || fmt.Sprint(err) != c.err && (err != nil || c.err != "") {
			t.Errorf("%d of %d, %q: %+v, %v", c.index, c.total, c.pod, got, err)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := two.Check(parse(t, file)); err != nil {
		t.Error(err)
	}
	bare := parse(t, "metrics: [{name: load, query: x, external: {}}]")
	if err := (Member{}).Check(bare); err != nil {
		t.Error(err)
	}
	if err := two.Check(bare); err == nil || !strings.Contains(err.Error(), "--total-shards is 3: shards.backend is missing") {
		t.Error(err)
	}
}

func all() config.Collectors {
	var c config.Collectors
	for i := range 3 {
		k := kafka.Config{Name: fmt.Sprint("cluster-", i)}
		for j := range 20 {
			k.Groups = append(k.Groups, kafka.Group{Group: fmt.Sprint("group-", j)})
		}
		c.Kafka = append(c.Kafka, k)
	}
	for i := range 12 {
		c.GRPC = append(c.GRPC, rpc.Config{Name: fmt.Sprint("servers-", i)})
		c.NodeMemory = append(c.NodeMemory, nodemem.Config{Source: nodemem.Kubelet, Name: fmt.Sprint("nodes-", i)})
	}
	c.NodeMemory = append(c.NodeMemory, nodemem.Config{Source: nodemem.Proc, Name: "proc"})
	return c
}

// Each group, and each collector that is not of groups, is one shard's; the host's memory is everyone's. What is split is not changed.
func TestCollectorsAreSplit(t *testing.T) {
	owners := map[string]int{}
	for i := range 3 {
		m := Member{shard.Split{Shard: i, Total: 3}, "x"}
		config := all()
		mine := m.Collectors(config)
		for _, k := range mine.Kafka {
			if len(k.Groups) == 0 {
				t.Errorf("shard %d has a cluster without groups", i)
			}
			for _, g := range k.Groups {
				owners[k.Name+g.Group]++
			}
		}
		for _, g := range mine.GRPC {
			owners[g.Name]++
		}
		for _, n := range mine.NodeMemory {
			owners[n.Name]++
		}
		if len(config.Kafka[0].Groups) != 20 || config.Kafka[0].Groups[19].Group != "group-19" || config.GRPC[11].Name != "servers-11" {
			t.Error("the config has changed")
		}
	}
	if owners["proc"] != 3 || len(owners) != 60+12+12+1 {
		t.Errorf("%d are collected, proc by %d", len(owners), owners["proc"])
	}
	delete(owners, "proc")
	for name, n := range owners {
		if n != 1 {
			t.Errorf("%s is collected by %d shards", name, n)
		}
	}
}

type fixed []series.Point

func (f fixed) Collect(context.Context) ([]series.Point, error) { return f, nil }

func TestTopicsAreKeptApart(t *testing.T) {
	group := series.NewKey("lag", series.Label{Name: "consumergroup", Value: "g"}, series.Label{Name: "topic", Value: "t"})
	topic := series.NewKey("rate", series.Label{Name: "topic", Value: "t"})
	points, err := two.Kafka(fixed{{Key: group}, {Key: topic}}).Collect(t.Context())
	if err != nil || points[0].Key != group || points[1].Key.String() != `rate{shard="2",topic="t"}` {
		t.Errorf("%v, %v", points, err)
	}
	if points, _ := (Member{}).Kafka(fixed{{Key: topic}}).Collect(t.Context()); points[0].Key != topic {
		t.Errorf("unsplit: %v", points)
	}
}

// Series of listed metrics have one owner; those of rules are forecast where they are read.
func TestOwns(t *testing.T) {
	for i := range 100 {
		owners := 0
		key := series.NewKey("load", series.Label{Name: "pod", Value: fmt.Sprint(i)})
		for shardOf := range 3 {
			m := Member{shard.Split{Shard: shardOf, Total: 3}, "x"}
			if m.Own()(key) {
				owners++
			}
			if !m.Owns(key.WithMetric("namespaces/shop/pods/load")) {
				t.Error("a metric of rules is split")
			}
		}
		if owners != 1 {
			t.Errorf("%v has %d owners", key, owners)
		}
	}
	if (Member{}).Own() != nil {
		t.Error("there is something to split among one")
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	if err := two.Register(reg); err != nil {
		t.Fatal(err)
	}
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "foresail_forecast_x", Help: "X."})
	two.Labels(reg).MustRegister(gauge)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP foresail_forecast_x X.
# TYPE foresail_forecast_x gauge
foresail_forecast_x{replica="foresail-2",shard="2"} 0
# HELP foresail_shard_ordinal Which of the shards this process is, from 0 on.
# TYPE foresail_shard_ordinal gauge
foresail_shard_ordinal 2
# HELP foresail_total_shards Number of shards that forecasts and collectors are split over, as this process knows it; the same everywhere, but for the time in which it is changed.
# TYPE foresail_total_shards gauge
foresail_total_shards 3
`)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
	if err := two.Register(reg); err == nil {
		t.Error("two processes in one registry")
	}
}
