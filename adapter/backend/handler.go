package backend

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
)

// engineVersion is the version of Prometheus whose library this is (v0.315.0 is 3.15.0): Grafana chooses by it what to
// offer. A test compares it with go.mod.
const engineVersion = "3.15.0"

// Handler returns Prometheus' own HTTP API below /api/v1, for reading: Grafana can use it as a Prometheus data source
// and another Foresail as a backend. The endpoints that change data or receive samples answer with an error. It checks
// no credentials; after Close it answers 503.
func (s *Store) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, leave, err := s.enter(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer leave()
		s.handler().ServeHTTP(w, r.WithContext(ctx))
	})
}

// newHandler takes a fifth of a second, for documents that describe the API. Its own metric, of remote reads, is not shown: it
// comes too late for a registry that is published.
func (s *Store) newHandler(c StoreConfig, started time.Time, logger *slog.Logger) http.Handler {
	none := nothing{}
	api := apiv1.NewAPI(
		s.engine,
		s.db,
		nil, nil, // appendables: nothing is written over HTTP
		s.db,
		func(context.Context) apiv1.ScrapePoolsRetriever { return none },
		func(context.Context) apiv1.TargetRetriever { return none },
		func(context.Context) apiv1.AlertmanagerRetriever { return none },
		func() config.Config { return config.DefaultConfig },
		map[string]string{},
		apiv1.GlobalURLOptions{},
		func(next http.HandlerFunc) http.HandlerFunc { return next },
		status{s.db, s.stats},
		c.Path,
		false, // admin endpoints
		false, // experimental search endpoints
		0,     // limit of those
		logger,
		func(context.Context) apiv1.RulesRetriever { return none },
		5e7, 10, 1<<20, // remote read, with Prometheus' defaults: samples, concurrency, bytes in a frame
		false,                    // agent mode
		regexp.MustCompile("^$"), // CORS: no other site's pages
		func() (apiv1.RuntimeInfo, error) { return runtimeInfo(c, started), nil },
		&apiv1.PrometheusVersion{Version: engineVersion, Revision: "foresail", GoVersion: runtime.Version()},
		func() []notifications.Notification { return []notifications.Notification{} },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		s.inside, prometheus.NewRegistry(),
		nil,        // how statistics are rendered: as usual
		false, nil, // remote write receiver
		false, false, false, // OTLP receiver and its options
		false, // start timestamps as zero samples
		c.Lookback,
		false, false, // type and unit labels, metadata with writes
		nil, // other HTTP status codes than usual
		features.NewRegistry(),
		apiv1.OpenAPIOptions{Version: engineVersion},
		parser.NewParser(parser.Options{}),
	)
	router := route.New().WithPrefix("/api/v1")
	api.Register(router)
	return router
}

func runtimeInfo(c StoreConfig, started time.Time) apiv1.RuntimeInfo {
	return apiv1.RuntimeInfo{
		StartTime:           started,
		ServerTime:          time.Now(),
		ReloadConfigSuccess: true,
		LastConfigTime:      started,
		GoroutineCount:      runtime.NumGoroutine(),
		GOMAXPROCS:          runtime.GOMAXPROCS(0),
		StorageRetention:    model.Duration(c.Retention).String(),
	}
}

// status answers the API's questions about the database, in the API's words. The database's methods that change it are
// out of reach, because the admin endpoints are off.
type status struct {
	*tsdb.DB
	start *tsdb.DBStats
}

func (s status) Stats(label string, limit int) (*tsdb.Stats, error) {
	return s.Head().Stats(label, limit), nil
}

func (s status) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return s.start.Head.WALReplayStatus.GetWALReplayStatus(), nil
}

func (s status) BlockMetas() ([]tsdb.BlockMeta, error) { return s.DB.BlockMetas(), nil }

// nothing is what Prometheus has and the store has not: targets, rules and Alertmanagers.
type nothing struct{}

func (nothing) ScrapePools() []string                       { return []string{} }
func (nothing) TargetsActive() map[string][]*scrape.Target  { return nil }
func (nothing) TargetsDropped() map[string][]*scrape.Target { return nil }
func (nothing) TargetsDroppedCounts() map[string]int        { return nil }
func (nothing) Alertmanagers() []*url.URL                   { return nil }
func (nothing) DroppedAlertmanagers() []*url.URL            { return nil }
func (nothing) RuleGroups() []*rules.Group                  { return nil }
func (nothing) AlertingRules() []*rules.AlertingRule        { return nil }

func (nothing) ScrapePoolConfig(pool string) (*config.ScrapeConfig, error) {
	return nil, fmt.Errorf("no scrape pool %q: this store is not filled by scraping", pool)
}
