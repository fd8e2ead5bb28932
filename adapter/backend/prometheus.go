package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/api"
	apiv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/foresail/foresail/adapter/backend/wire"
	"github.com/foresail/foresail/forecast/series"
)

// Prometheus is a backend that answers over Prometheus' HTTP API. It is safe for concurrent use.
type Prometheus struct {
	name    string
	timeout time.Duration
	metrics *Metrics
	client  *wire.Client
	api     apiv1.API
	log     func(warning string)
}

// NewPrometheus returns the backend; it does not ask it anything yet. The config has been defaulted and validated. A
// CA or client certificate that cannot be read now is an error; one that cannot be read later fails the queries until
// it can.
func NewPrometheus(c Config, o Options) (*Prometheus, error) {
	o.fill()
	client := &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if o.Transport == nil {
		var err error
		if client, err = newHTTPClient(c); err != nil {
			return nil, fmt.Errorf("cannot set up backend %q: %w", o.Name, err)
		}
	}
	address, err := api.NewClient(api.Config{Address: c.URL, Client: client})
	if err != nil {
		return nil, fmt.Errorf("cannot set up backend %q: %w", o.Name, err)
	}
	bounded := &wire.Client{Client: address, HTTP: client, Backend: o.Name}
	return &Prometheus{
		name:    o.Name,
		timeout: c.Timeout,
		metrics: o.Metrics,
		client:  bounded,
		api:     apiv1.NewAPI(bounded),
		log: func(w string) {
			o.Logger.Debug("The backend remarks on a query.", "warning", wire.OneLine(w))
		},
	}, nil
}

func newHTTPClient(c Config) (*http.Client, error) {
	hc := promconfig.HTTPClientConfig{
		TLSConfig: promconfig.TLSConfig{
			CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile,
			ServerName: c.TLS.ServerName, InsecureSkipVerify: c.TLS.InsecureSkipVerify,
		},
		EnableHTTP2: true,
		// A redirected POST loses its body, and credentials would follow to who knows where: say where to instead.
		FollowRedirects: false,
		ProxyConfig:     promconfig.ProxyConfig{ProxyFromEnvironment: true},
	}
	if c.BearerTokenFile != "" {
		hc.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: c.BearerTokenFile}
	}
	if c.BasicAuth != (BasicAuth{}) {
		hc.BasicAuth = &promconfig.BasicAuth{Username: c.BasicAuth.Username, PasswordFile: c.BasicAuth.PasswordFile}
	}
	if len(c.Headers)+len(c.HeaderFiles) > 0 {
		headers := make(map[string]promconfig.Header, len(c.Headers)+len(c.HeaderFiles))
		for name, value := range c.Headers {
			headers[name] = promconfig.Header{Values: []string{value}}
		}
		for name, file := range c.HeaderFiles {
			headers[name] = promconfig.Header{Files: []string{file}}
		}
		hc.HTTPHeaders = &promconfig.Headers{Headers: headers}
	}
	return promconfig.NewClientFromConfig(hc, "foresail", promconfig.WithUserAgent("foresail"))
}

// Query evaluates the expression at one time and returns one point per series, in the backend's order; a scalar is one
// point whose key has no labels. The points' time is the evaluation's, unless the expression says otherwise. Values
// may be NaN or infinite. Every error is an *Error.
func (p *Prometheus) Query(ctx context.Context, expr string, at time.Time) (points []series.Point, err error) {
	defer p.metrics.track(p.name, "query")(&err)
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	a, err := p.client.Query(ctx, url.Values{
		"query": {expr}, "timeout": {p.timeout.String()}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', -1, 64)},
	})
	switch {
	case err != nil:
		return nil, err
	case a.Status == "error":
		return nil, &Error{Backend: p.name, Kind: Rejected, Message: wire.OneLine(a.ErrorType + ": " + a.Error)}
	case a.IsPartial:
		return nil, wire.PartialError(p.name, "isPartial is true")
	}
	if err := p.remarks(a.Warnings); err != nil {
		return nil, err
	}
	switch {
	case a.Histogram != nil:
		return nil, histogramError(p.name, a.Histogram.Metric)
	case a.Status != "success" || a.Type == "":
		return nil, noResult(p.name)
	case a.Type != "vector" && a.Type != "scalar":
		return nil, typeError(p.name, a.Type)
	}
	return a.Points, nil
}

// QueryRange evaluates the expression at from, from+step, ... up to and including to, and returns one run per series;
// times at which a series has no value are absent from its run. Servers refuse more than 11,000 times in one query.
// Every error is an *Error.
func (p *Prometheus) QueryRange(ctx context.Context, expr string, from, to time.Time, step time.Duration) (runs []series.Run, err error) {
	defer p.metrics.track(p.name, "query_range")(&err)
	if err := checkRange(p.name, from, to, step); err != nil {
		return nil, err
	}
	value, err := p.ask(ctx, func(ctx context.Context) (model.Value, apiv1.Warnings, apiv1.Infos, error) {
		return p.api.QueryRange(ctx, expr, apiv1.Range{Start: from, End: to, Step: step}, apiv1.WithTimeout(p.timeout))
	})
	if err != nil {
		return nil, err
	}
	matrix, ok := value.(model.Matrix)
	if !ok {
		return nil, &Error{Backend: p.name, Kind: BadData, Message: "a range query was answered with a " + value.Type().String() + ": check that the url is a PromQL server's"}
	}
	return p.runs(matrix)
}

// Close lets go of idle connections; queries under way end by themselves.
func (p *Prometheus) Close() { p.client.HTTP.CloseIdleConnections() }

// ask sends one query within the timeout and returns a value that is not nil, or an *Error.
func (p *Prometheus) ask(ctx context.Context, send func(context.Context) (model.Value, apiv1.Warnings, apiv1.Infos, error)) (model.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	value, warnings, _, err := send(ctx)
	if e, ok := errors.AsType[*Error](err); ok {
		return nil, e
	}
	if err != nil {
		return nil, p.answerError(err)
	}
	if err := p.remarks(warnings); err != nil {
		return nil, err
	}
	if value == nil {
		return nil, noResult(p.name)
	}
	return value, nil
}

// remarks logs what a backend remarks on a query. It is an error where data is missing.
func (p *Prometheus) remarks(warnings []string) error {
	if missing := wire.MissingData(warnings); missing != "" {
		return wire.PartialError(p.name, missing)
	}
	for _, w := range warnings {
		p.log(w)
	}
	return nil
}

func noResult(backend string) error {
	return &Error{Backend: backend, Kind: BadData, Message: "the answer holds no result: check that the url is a PromQL server's"}
}

// answerError is the error of an answer that came with status 2xx and yet is none.
func (p *Prometheus) answerError(err error) error {
	refused, ok := errors.AsType[*apiv1.Error](err)
	if ok && refused.Type != apiv1.ErrBadResponse {
		return &Error{Backend: p.name, Kind: Rejected, Message: wire.OneLine(string(refused.Type) + ": " + refused.Msg), Err: err}
	}
	return wire.FormatError(p.name, err)
}

func (p *Prometheus) runs(m model.Matrix) ([]series.Run, error) {
	runs := make([]series.Run, len(m))
	for i, s := range m {
		if s == nil {
			return nil, &Error{Backend: p.name, Kind: BadData, Message: "the answer holds an empty series: check that the url is a PromQL server's"}
		}
		if len(s.Histograms) > 0 {
			return nil, histogramError(p.name, string(s.Metric[model.MetricNameLabel]))
		}
		samples := make([]series.Sample, len(s.Values))
		for j, v := range s.Values {
			samples[j] = series.Sample{Time: v.Timestamp.Time(), Value: float64(v.Value)}
		}
		runs[i] = series.Run{Key: keyOfMetric(s.Metric), Samples: samples}
	}
	return runs, nil
}

func keyOfMetric(m model.Metric) series.Key {
	labels := make([]series.Label, 0, len(m))
	for name, value := range m {
		if name != model.MetricNameLabel {
			labels = append(labels, series.Label{Name: string(name), Value: string(value)})
		}
	}
	return series.NewKey(string(m[model.MetricNameLabel]), labels...)
}
