package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/foresail/foresail/bench/figures"
)

// rulesFile returns a prometheus-adapter file with twenty metrics; more is what each rule says beside.
func rulesFile(more string) string {
	return fmt.Sprintf(`
rules:
  - seriesQuery: '{__name__=~"pods_.*",namespace!="",pod!=""}'%[1]s
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
    metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
externalRules:
  - seriesQuery: '{__name__=~"external_.*"}'%[1]s
    resources: {overrides: {namespace: {resource: namespace}}}
    metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'
`, more)
}

// shortFile is what Foresail's file has beside: the same two kinds of metrics in its own form.
const shortFile = `
web: {listen: ""}
metrics:
  - {name: queue, interval: %[1]v, query: 'sum(pods_0) by (namespace, pod)', pods: {}}
  - {name: orders, interval: %[1]v, query: 'sum(external_0)', external: {}}
`

// file is Foresail's.
func (b *bench) file() string {
	return rulesFile("\n    interval: "+b.every.String()) + fmt.Sprintf(shortFile, b.every)
}

// reads measures how fast one metric is read, and what that costs the backend.
func (b *bench) reads(ctx context.Context) error {
	if err := b.namespace(ctx, "shop"); err != nil {
		return err
	}
	if err := b.deployment(ctx, "shop", "web", b.pods); err != nil {
		return err
	}
	pods, err := b.ready(ctx, "shop", b.pods)
	if err != nil {
		return err
	}
	b.backend.has(pods)
	ours, err := b.foresailWith(ctx, "foresail", b.file())
	if err != nil {
		return err
	}
	defer ours.Stop()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	constant, err := b.server(ctx, "constants", self, "constant", fmt.Sprintf("--pods=%d", b.pods))
	if err != nil {
		return err
	}
	defer constant.Stop()
	if err := b.warm(ctx, ours); err != nil {
		return err
	}
	settled := settled(b.every)
	if err := b.incumbent(ctx, pods); err != nil { // it has a backend of its own
		return err
	}
	if err := pause(ctx, settled.Add(b.quiet)); err != nil {
		return err
	}
	without := b.perInterval(settled, b.every)
	busy := time.Now()
	if err := b.speed(ctx, ours, constant); err != nil {
		return err
	}
	b.report.Held("backend queries caused by reads of warm metrics", float64(b.backend.extra(busy, b.every)), "", figures.AtMost, 0)
	b.report.Told("backend queries per interval without reads", without, "")
	b.report.Told("backend queries per interval while read at full speed", b.perInterval(busy, b.every), "")
	return nil
}

// settled is when the queries that there are now are evaluated at their distance: the second evaluation of each comes
// after half an interval to one and a half, so that they spread.
func settled(interval time.Duration) time.Time { return time.Now().Add(3 * interval / 2) }

// perInterval is how many queries the backend was asked per interval since then.
func (b *bench) perInterval(since time.Time, interval time.Duration) float64 {
	return float64(b.backend.taken(since)) * float64(interval) / float64(time.Since(since))
}

// warm reads all metrics once.
func (b *bench) warm(ctx context.Context, s *server) error {
	for _, metric := range []string{"queue", "pods_0", "pods_1", "pods_2", "pods_3", "pods_4", "pods_5", "pods_6", "pods_7", "pods_8", "pods_9"} {
		if err := s.has(ctx, podsPath(metric), b.pods); err != nil {
			return err
		}
	}
	for i := range metricsEach {
		if err := s.has(ctx, externalPath(fmt.Sprintf("external_%d", i)), 1); err != nil {
			return err
		}
	}
	return s.has(ctx, externalPath("orders"), 1)
}

// incumbent measures prometheus-adapter.
func (b *bench) incumbent(ctx context.Context, pods []pod) error {
	other := newBackend()
	defer other.Close()
	other.has(pods)
	file := filepath.Join(b.dir, "rules.yaml")
	if err := os.WriteFile(file, []byte(rulesFile("")), 0o600); err != nil {
		return err
	}
	theirs, err := b.server(ctx, "prometheus-adapter", b.adapter, "--config="+file, "--prometheus-url="+other.URL,
		"--prometheus-verb=POST", "--metrics-relist-interval=1m")
	if err != nil {
		return err
	}
	defer theirs.Stop()
	for _, k := range kinds {
		if err := theirs.has(ctx, k.path(k.rule), k.values(b.pods)); err != nil {
			return err
		}
		for _, clients := range []int{1, b.clients} {
			began := time.Now()
			l, err := load(ctx, theirs, k.path(k.rule), clients, 3*b.slice)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("prometheus-adapter: %s, %d clients", k.name, clients)
			b.report.Told(name, l.rate, "reads/s")
			b.report.Told(name+", p50", l.p50, "ms")
			b.report.Told(name+", backend queries per read", float64(other.taken(began))/float64(l.reads), "")
		}
	}
	return nil
}

// kind is one kind of metric and what is demanded of it.
type kind struct {
	name        string
	path        func(metric string) string
	rule, short string
	pods        bool
	rate, p50   float64
}

var kinds = []kind{
	{name: "Pods metric", path: podsPath, rule: "pods_0", short: "queue", pods: true, rate: 900, p50: 2},
	{name: "External metric", path: externalPath, rule: "external_0", short: "orders", rate: 2800},
}

func (k kind) values(pods int) int {
	if k.pods {
		return pods
	}
	return 1
}

// speed measures Foresail and the constants in turns, so that what else the machine does meets both.
func (b *bench) speed(ctx context.Context, ours, constant *server) error {
	type subject struct {
		name string
		*server
		path string
		got  []loaded
	}
	for _, k := range kinds {
		for _, clients := range []int{1, b.clients} {
			subjects := []subject{
				{name: "constant answers", server: constant, path: k.path(k.rule)},
				{name: "Foresail, metrics", server: ours, path: k.path(k.short)},
				{name: "Foresail, rules", server: ours, path: k.path(k.rule)},
			}
			for range b.slices {
				for i := range subjects {
					l, err := load(ctx, subjects[i].server, subjects[i].path, clients, b.slice)
					if err != nil {
						return err
					}
					subjects[i].got = append(subjects[i].got, l)
				}
			}
			var ceiling loaded
			for i, s := range subjects {
				name := fmt.Sprintf("%s: %s, %d clients", s.name, k.name, clients)
				l := median(s.got)
				b.report.Told(name+", CPU per read", l.cpu, "ms")
				switch {
				case i == 0:
					ceiling = l
					b.report.Told(name, l.rate, "reads/s")
					b.report.Told(name+", p50", l.p50, "ms")
				case clients == 1 && k.p50 > 0:
					b.report.Timed(name+", p50", l.p50, "ms", figures.AtMost, k.p50)
				case clients == 1:
					b.report.Told(name+", p50", l.p50, "ms")
				default:
					b.report.Timed(name, l.rate, "reads/s", figures.AtLeast, k.rate)
					b.report.Timed(name+", share of constant answers' rate", l.rate/ceiling.rate, "", figures.AtLeast, 0.9)
				}
			}
		}
	}
	return nil
}

// loaded is what came of reading for a while.
type loaded struct {
	reads int
	rate  float64 // a second
	p50   float64 // in ms
	cpu   float64 // of the server, in ms per read
}

// median returns the median of each field.
func median(all []loaded) loaded {
	of := func(field func(loaded) float64) float64 {
		values := make([]float64, len(all))
		for i, l := range all {
			values[i] = field(l)
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	return loaded{
		rate: of(func(l loaded) float64 { return l.rate }),
		p50:  of(func(l loaded) float64 { return l.p50 }),
		cpu:  of(func(l loaded) float64 { return l.cpu }),
	}
}

// load reads one path with so many clients, each of which asks again as soon as it is answered. A read that fails ends it.
func load(ctx context.Context, s *server, path string, clients int, length time.Duration) (loaded, error) {
	before, err := s.CPU()
	if err != nil {
		return loaded{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([][]time.Duration, clients)
	var running sync.WaitGroup
	began := time.Now()
	for i := range took {
		running.Go(func() {
			for time.Since(began) < length && ctx.Err() == nil {
				asked := time.Now()
				if _, err := s.get(ctx, path); err != nil {
					cancel(err)
				}
				took[i] = append(took[i], time.Since(asked))
			}
		})
	}
	running.Wait()
	lasted := time.Since(began)
	if ctx.Err() != nil {
		return loaded{}, context.Cause(ctx)
	}
	after, err := s.CPU()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	return loaded{
		reads: len(all),
		rate:  float64(len(all)) / lasted.Seconds(),
		p50:   float64(all[len(all)/2].Microseconds()) / 1000,
		cpu:   (after - before) * 1000 / float64(len(all)),
	}, err
}
