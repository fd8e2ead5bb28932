// Package cloudwatch writes values of queries to Amazon CloudWatch, so that ECS services and Auto Scaling groups can scale
// on them.
package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/logging"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/foresail/foresail/forecast/series"
)

// attempts is how often one request is sent at most, with a growing pause in between.
const attempts = 5

// Querier is a backend that is asked for values.
type Querier interface {
	Query(ctx context.Context, promql string, at time.Time) ([]series.Point, error)
}

// Options are what an exporter is made of. All fields are required.
type Options struct {
	// Config has been defaulted and validated.
	Config Config
	// Backends are the backends by name.
	Backends   map[string]Querier
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Exporter writes the newest values at an interval. A value that is not known is not written: an alarm then goes by
// its own rule for missing data, and target tracking holds the size.
type Exporter struct {
	opts    Options
	client  *cloudwatch.Client
	metrics *metrics
	// failing are the reasons of what was not written last.
	failing string
}

// New returns an exporter that is ready to Run. It asks nobody; credentials are looked for when they are needed.
func New(ctx context.Context, opts Options) (*Exporter, error) {
	settings := []func(*awsconfig.LoadOptions) error{awsconfig.WithRetryMaxAttempts(attempts), awsconfig.WithLogger(libraryLogger(opts.Logger))}
	if opts.Config.Region != "" {
		settings = append(settings, awsconfig.WithRegion(opts.Config.Region))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, settings...)
	if err != nil {
		return nil, fmt.Errorf("cannot read the AWS configuration of this environment: %w", err)
	}
	if loaded.Region == "" {
		return nil, errors.New("cannot write to CloudWatch: no region is known: set cloudWatch.region or AWS_REGION")
	}
	for _, m := range opts.Config.Metrics {
		if opts.Backends[m.Backend] == nil {
			return nil, fmt.Errorf("cannot write %s to CloudWatch: there is no backend %q", m.Name, m.Backend)
		}
	}
	client := cloudwatch.NewFromConfig(loaded, func(o *cloudwatch.Options) {
		if opts.Config.Endpoint != "" {
			o.BaseEndpoint = &opts.Config.Endpoint
		}
	})
	return &Exporter{opts: opts, client: client, metrics: newMetrics(opts.Registerer)}, nil
}

// libraryLogger takes in what AWS' library says; its own errors are returned.
func libraryLogger(logger *slog.Logger) logging.Logger {
	return logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
		logger.Debug("AWS' library says something.", "text", fmt.Sprintf(format, args...))
	})
}

// Run writes at every full interval of the clock until ctx is done, so that each of CloudWatch's periods has one value,
// whatever was restarted when.
func (e *Exporter) Run(ctx context.Context) {
	for {
		now := time.Now()
		next := time.NewTimer(now.Truncate(e.opts.Config.Interval).Add(e.opts.Config.Interval).Sub(now))
		select {
		case <-ctx.Done():
			next.Stop()
			return
		case at := <-next.C:
			bounded, cancel := context.WithTimeout(ctx, e.opts.Config.Interval)
			failed := e.write(bounded, at)
			cancel()
			if ctx.Err() != nil {
				return
			}
			e.tell(ctx, failed)
		}
	}
}

// tell logs that writing began to fail, for which reasons, and that it works again; how often is for the metrics.
func (e *Exporter) tell(ctx context.Context, failed problems) {
	reasons := failed.reasons()
	switch {
	case reasons != "" && reasons != e.failing:
		e.opts.Logger.LogAttrs(ctx, slog.LevelError, "Writing to CloudWatch fails.", slog.Any("error", failed))
	case reasons == "" && e.failing != "":
		e.opts.Logger.LogAttrs(ctx, slog.LevelInfo, "Writing to CloudWatch works again.")
	}
	e.failing = reasons
}

// write writes the values of one time. What could not be had or written is returned; the rest has been written.
func (e *Exporter) write(ctx context.Context, at time.Time) (failed problems) {
	defer func() {
		for _, p := range failed {
			e.metrics.failed.WithLabelValues(p.reason).Add(float64(p.values))
		}
	}()
	var data []types.MetricDatum
	for _, m := range e.opts.Config.Metrics {
		found, missing := e.ask(ctx, m, at)
		data, failed = append(data, found...), append(failed, missing...)
	}
	for _, batch := range batches(data) {
		_, err := e.client.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: &e.opts.Config.Namespace, MetricData: batch})
		if err != nil {
			failed = append(failed, problem{reasonOf(ctx, err), fmt.Errorf("cannot write %d values to CloudWatch: %w", len(batch), err), len(batch)})
			continue
		}
		e.metrics.sent.Add(float64(len(batch)))
		e.metrics.last.SetToCurrentTime()
	}
	return failed
}

// ask returns the values of one metric, and why some are missing.
func (e *Exporter) ask(ctx context.Context, m Metric, at time.Time) ([]types.MetricDatum, problems) {
	points, err := e.opts.Backends[m.Backend].Query(ctx, m.Query, at)
	switch {
	case err != nil:
		return nil, problems{{"query", fmt.Errorf("cannot ask for %s: %w", m.Name, err), 1}}
	case len(points) == 0:
		return nil, problems{{"no_data", fmt.Errorf("cannot write %s: its query gives no series", m.Name), 1}}
	}
	return m.data(points, at, e.opts.Config.Interval < time.Minute)
}

// reasonOf sorts the errors of a request by what is to be done about them.
func reasonOf(ctx context.Context, err error) string {
	throttled := retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}
	answer, answered := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err)
	switch {
	case throttled.IsErrorThrottle(err) == aws.TrueTernary:
		return "throttled"
	case answered && answer.HTTPStatusCode() < http.StatusInternalServerError:
		return "rejected"
	case ctx.Err() != nil:
		return "timeout"
	}
	return "unreachable"
}

// metrics are what the exporter says of itself.
type metrics struct {
	sent   prometheus.Counter
	failed *prometheus.CounterVec
	last   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	auto := promauto.With(reg)
	return &metrics{
		sent: auto.NewCounter(prometheus.CounterOpts{
			Name: "foresail_cloudwatch_sent_total",
			Help: "Values that CloudWatch has taken.",
		}),
		failed: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "foresail_cloudwatch_failed_total",
			Help: "Values that were not written: queries that failed (query) or gave no series (no_data), values and dimensions that " +
				"CloudWatch does not take (value, dimension), series that differ in no dimension (duplicate), and requests that were " +
				"throttled, rejected, timeout or unreachable.",
		}, []string{"reason"}),
		last: auto.NewGauge(prometheus.GaugeOpts{
			Name: "foresail_cloudwatch_last_success_timestamp_seconds",
			Help: "Unix time at which CloudWatch last took values; 0 before.",
		}),
	}
}
