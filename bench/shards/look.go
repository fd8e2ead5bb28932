package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/foresail/foresail/bench/figures"
	"github.com/foresail/foresail/cmd/foresail/app/inspect"
	"github.com/foresail/foresail/forecast"
)

// tally counts what reads of forecasts were told.
type tally struct {
	reads, told, own, held, lost, stale, twice, wrong, failed int
	// between are those whose outlook came after the value was told, in the same answer: it is not what the value is of.
	between int
	oldest  time.Duration // Since the issue of what was served.
	example string        // Of what is bad.
}

// add looks at one series of a read: whether its forecast is served, from which shard and how old it is. More than step, maxAge and what
// telling others takes is old, and allowed in a gap only; beyond the window nothing is. What is served is compared with what comes.
func (b *bench) add(t *tally, shard int, v *inspect.Value, seen map[string]bool, now time.Time) {
	bad := func(count *int, what string) {
		*count++
		t.example = fmt.Sprintf("shard %d: %s: %+v %+v", shard, what, *v, v.Forecast)
		if v.Forecast != nil {
			t.example += fmt.Sprintf(" %+v", v.Forecast.Path)
		}
	}
	t.told++
	if seen[v.Series] {
		bad(&t.twice, "told twice")
	}
	seen[v.Series] = true
	f := v.Forecast
	switch {
	case f == nil || f.Path == nil:
		bad(&t.lost, "no forecast")
		return
	case f.State == string(forecast.Gap):
		t.held++
	case f.State != string(forecast.Trusted):
		bad(&t.lost, "not trusted")
		return
	}
	if f.From == "" {
		t.own++
	}
	age := now.Sub(f.Path.Issued)
	t.oldest = max(t.oldest, age)
	if age > b.lead || f.State == string(forecast.Trusted) && age > b.step+5*time.Minute+30*time.Second+2*b.ask {
		bad(&t.stale, "stale")
	}
	served, err := resource.ParseQuantity(v.Told)
	var app, part, pod int
	if _, e := fmt.Sscanf(v.Series, `load_%d{app="%d",block="%d",pod="%d"}`, &app, &app, &part, &pod); err != nil || e != nil {
		bad(&t.wrong, "not a value of a series")
		return
	}
	told := served.AsApproximateFloat64()
	if f.State == string(forecast.Trusted) && math.Abs(told-f.Path.Most) > .01 { // A quantity is rounded to thousandths.
		t.between++
		return
	}
	// The values may be of a later issue than it says: what has passed since need not be in them, and what comes after its window may be.
	var most, left float64
	for at := f.Path.Issued; !at.After(now.Add(b.lead)); at = at.Add(b.step) {
		v := b.value(app, pod, at)
		if most = max(most, v); !at.Before(now) && !at.After(f.Path.Issued.Add(b.lead)) {
			left = max(left, v)
		}
	}
	if told < .8*left || told > 1.4*most { // Twice would be 2.
		bad(&t.wrong, fmt.Sprintf("%v where %v comes, of %v since it was issued", served.String(), left, most))
	}
}

// look reads blocks of every metric from shards, a different one each time, and pauses.
func (b *bench) look(ctx context.Context, t *tally, of ...int) error {
	for _, i := range of {
		for metric := range b.metrics {
			if err := b.read(ctx, t, i, metric, t.reads%(b.series/block)); err != nil {
				return err
			}
		}
	}
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bench) read(ctx context.Context, t *tally, shard, metric, part int) error {
	p := b.shards[shard]
	body, err := get(ctx, fmt.Sprintf("%s/api/v1alpha/explain?namespace=default&metric=load_%d_forecast&selector=%s",
		p.web, metric, url.QueryEscape("block="+strconv.Itoa(part))))
	if err != nil {
		return fmt.Errorf("cannot read from shard %d: %w", shard, err)
	}
	now := time.Now()
	var answer inspect.Answer
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Ways) != 1 {
		return fmt.Errorf("shard %d answers %.300s: %w", shard, body, err)
	}
	t.reads++
	if got := len(answer.Ways[0].Values); got != block {
		t.failed++
		t.example = fmt.Sprintf("shard %d: %d series: %s", shard, got, answer.Ways[0].Value)
	}
	seen := map[string]bool{}
	for i := range answer.Ways[0].Values {
		b.add(t, shard, &answer.Ways[0].Values[i], seen, now)
	}
	return nil
}

// hold adds a tally to the report: nothing may be lost, stale, twice or wrong.
func (b *bench) hold(when string, t *tally) {
	b.report.Told(when+": values read", float64(t.told), "")
	b.report.Told(when+": of an older path", float64(t.held), "")
	b.report.Held(when+": not judged, as a newer outlook came in between", 100*float64(t.between)/float64(max(t.told, 1)), "%", figures.AtMost, 1)
	b.report.Told(when+": oldest that was served", t.oldest.Seconds(), "s")
	for _, c := range []struct {
		what string
		n    int
	}{{"forecast lost", t.lost}, {"stale", t.stale}, {"told twice", t.twice}, {"wrong", t.wrong}, {"reads without all series", t.failed}} {
		b.report.Held(when+": "+c.what, float64(c.n), "", figures.AtMost, 0)
	}
	if t.example != "" {
		fmt.Println(when+":", t.example)
	}
}

// settle waits until every shard serves a trusted forecast of every series, and holds that each is known to one of them.
func (b *bench) settle(ctx context.Context, what string, since time.Time, of []int) error {
	var t tally
	for begun := time.Now(); ; {
		t = tally{}
		for _, i := range of {
			if err := b.shards[i].ready(ctx, b.limit); err != nil {
				return err
			}
			for metric := range b.metrics {
				for part := range b.series / block {
					if err := b.read(ctx, &t, i, metric, part); err != nil {
						return err
					}
				}
			}
		}
		if t.lost+t.held+t.failed == 0 && t.own == b.metrics*b.series {
			break
		}
		if time.Since(begun) > b.limit {
			fmt.Println(what+": not settled:", t.example)
			break
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.report.Told(what+": settled after", time.Since(since).Seconds(), "s")
	b.hold(what, &t)
	b.report.Held(what+": series with one owner", float64(t.own), "", figures.AtLeast, float64(b.metrics*b.series))
	b.report.Held(what+": series with an owner", float64(t.own), "", figures.AtMost, float64(b.metrics*b.series))
	return nil
}
