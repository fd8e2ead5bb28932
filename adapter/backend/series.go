package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	"github.com/foresail/foresail/adapter/backend/wire"
	"github.com/foresail/foresail/forecast/series"
)

// Series hands the series that the selector matches and that have samples since then to each, one by one and in any
// order. Where it returns an error, which is an *Error, those were not all. It takes as long as ctx allows.
func (p *Prometheus) Series(ctx context.Context, selector string, since time.Time, each func(series.Key)) (err error) {
	defer p.metrics.track(p.name, "series")(&err)
	return p.client.Series(ctx, selector, since, each)
}

// Series hands the series that the selector matches and that have samples since then to each, one by one and in any
// order. Where it returns an error, which is an *Error, those were not all.
func (s *Store) Series(ctx context.Context, selector string, since time.Time, each func(series.Key)) (err error) {
	defer s.metrics.track(s.name, "series")(&err)
	start := time.Now()
	matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(selector)
	if err != nil {
		return &Error{Backend: s.name, Kind: Rejected, Message: wire.OneLine(err.Error()) + ": correct the selector", Err: err}
	}
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return &Error{Backend: s.name, Kind: Unreachable, Message: err.Error(), Err: err}
	}
	defer leave()
	from, to := since.UnixMilli(), time.Now().Add(time.Hour).UnixMilli()
	querier, err := s.db.Querier(from, to)
	if err != nil {
		return s.engineError(ctx, fmt.Errorf("cannot read: %w", err), time.Since(start))
	}
	defer func() { _ = querier.Close() }()
	set := querier.Select(ctx, false, &storage.SelectHints{Start: from, End: to, Func: "series"}, matchers...)
	for set.Next() {
		if ctx.Err() != nil {
			break
		}
		each(keyOfLabels(set.At().Labels()))
	}
	if err := errors.Join(set.Err(), ctx.Err()); err != nil {
		return s.engineError(ctx, err, time.Since(start))
	}
	return nil
}
