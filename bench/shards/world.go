package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/foresail/foresail/bench/ask"
	"github.com/foresail/foresail/bench/child"
)

// block is how many series of a metric one read is for.
const block = 50

// value is what a series is at a time: a cycle of the season around a level of its own, and a little that nobody can know.
func (s *size) value(metric, i int, at time.Time) float64 {
	k := float64(metric*s.series + i)
	phase := math.Mod(k*.618034, 1)
	noise := math.Mod(math.Abs(math.Sin(k+float64(at.Unix())*12.9898))*43758.5453, 1) - .5
	return (20 + math.Mod(k, 200)) * (1 + .6*math.Sin(2*math.Pi*(float64(at.UnixNano())/float64(s.season)+phase)) + .05*noise)
}

// samples writes one sample of all series at a time, as Prometheus' pages have it.
func (s *size) samples(w *bytes.Buffer, metric int, at time.Time) {
	for i := range s.series {
		fmt.Fprintf(w, "load{app=\"%d\",block=\"%d\",pod=\"%d\"} %.4f %d\n", metric, i/block, i, s.value(metric, i, at), at.UnixMilli())
	}
}

// remember tells the engine the past, at the middle of the steps.
func (b *bench) remember(ctx context.Context, now time.Time) error {
	for metric := range b.metrics {
		var page bytes.Buffer
		for at := now.Add(-(seasons + 1) * b.season); at.Before(now); at = at.Add(b.step / 2) {
			b.samples(&page, metric, at)
			if page.Len() > 8<<20 {
				if err := b.post(ctx, &page); err != nil {
					return err
				}
			}
		}
		if err := b.post(ctx, &page); err != nil {
			return err
		}
	}
	_, err := get(ctx, b.engine+"/internal/force_flush") // Or it is read a few seconds later.
	return err
}

// live tells the engine what is, until the context is done.
func (b *bench) live(ctx context.Context) error {
	tick := time.NewTicker(b.feed)
	defer tick.Stop()
	for {
		var page bytes.Buffer
		now := time.Now()
		for metric := range b.metrics {
			b.samples(&page, metric, now)
		}
		if err := b.post(ctx, &page); err != nil && ctx.Err() == nil {
			return fmt.Errorf("cannot tell the engine what is: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (b *bench) post(ctx context.Context, page *bytes.Buffer) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.engine+"/api/v1/import/prometheus", page)
	if err != nil {
		return err
	}
	_, err = ask.Do(http.DefaultClient, r)
	page.Reset()
	return err
}

func get(ctx context.Context, address string) ([]byte, error) {
	return ask.Get(ctx, http.DefaultClient, address)
}

// owners asks the engine which shard tells of each series: the one with the newest issue.
func (b *bench) owners(ctx context.Context) (map[string]string, error) {
	of := map[string]string{}
	for metric := range b.metrics {
		query := fmt.Sprintf(`foresail_forecast_issued_timestamp_seconds{metric="load_%d"}`, metric)
		body, err := get(ctx, b.engine+"/api/v1/query?query="+url.QueryEscape(query))
		if err != nil {
			return nil, err
		}
		var answer struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  [2]any
				}
			}
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, err
		}
		newest := map[string]float64{}
		for _, r := range answer.Data.Result {
			id := r.Metric["metric"] + r.Metric["series"]
			v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64)
			if err != nil {
				return nil, err
			}
			if v >= newest[id] {
				newest[id], of[id] = v, r.Metric["shard"]
			}
		}
	}
	return of, nil
}

// process is one shard.
type process struct {
	*child.Process
	begun time.Time
	web   string
	total int
}

// sent is what other shards ask for, half of what is said of a forecast.
const sent = `{sourceLabels: [__name__], regex: "foresail_forecast(|_window_max|_state|_issued_timestamp_seconds)", action: keep}`

// start runs a shard, in the place of the one of that number before.
func (b *bench) start(index, total int) error {
	address, err := free()
	if err != nil {
		return err
	}
	name := "foresail-" + strconv.Itoa(index)
	text := &bytes.Buffer{}
	fmt.Fprintf(text, "standalone: true\nbackends: [{name: main, prometheus: {url: %q, timeout: 30s}}]\nremoteWrite: [{url: %q, writeRelabel: [%s]}]\nshards: {backend: main, interval: %s}\n",
		b.engine, b.engine+"/api/v1/write", sent, b.ask)
	fmt.Fprintf(text, "store: {path: %q}\nsnapshots: {interval: 5m}\nweb: {listen: %q}\nmetrics:\n", filepath.Join(b.dir, name), address)
	for metric := range b.metrics {
		fmt.Fprintf(text, "  - {name: load_%d, query: 'load{app=\"%d\"}', interval: %s, maxAge: 5m, external: {}, forecast: {step: %s, lead: %s, seasons: [%s], history: %s}}\n",
			metric, metric, b.feed, b.step, b.lead, b.season, seasons*b.season)
	}
	config := filepath.Join(b.dir, name+".yaml")
	if err := os.WriteFile(config, text.Bytes(), 0o600); err != nil {
		return err
	}
	p, err := child.Start(b.dir, fmt.Sprintf("%s-of-%d-%d", name, total, time.Now().Unix()), b.foresail, "serve", "--config="+config,
		"--total-shards="+strconv.Itoa(total), "--pod="+name)
	if err != nil {
		return err
	}
	started := &process{p, time.Now(), "http://" + address, total}
	if index < len(b.shards) {
		b.shards[index] = started
	} else {
		b.shards = append(b.shards, started)
	}
	return nil
}

func (p *process) ready(ctx context.Context, limit time.Duration) error {
	return p.Wait(ctx, "it is ready", limit, p.asked)
}

// asked says why it is not ready.
func (p *process) asked(ctx context.Context) error {
	_, err := get(ctx, p.web+"/-/ready")
	return err
}
