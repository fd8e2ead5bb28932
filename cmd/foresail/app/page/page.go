// Package page is Foresail's own page: every metric with its live value, its forecast over what came, how good that is and
// why it is trusted or not, who reads it, and how the collectors and the config fare. It only reads, and computes what it
// shows when it is asked.
package page

import (
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/readers"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/tracker"
)

const (
	// mostRows is how many rows an answer has at most; the rest is told by its number, and asked for by offset.
	mostRows = 100
	// atOnce is how many answers are worked out at a time: the page must not take the CPU from the metrics API.
	atOnce = 2
)

// policy lets the page load and ask for what this port serves, and nothing else: no inline script, no other host, no frame
// around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed assets
var assets embed.FS

// State is what the server is made of at one moment.
type State struct {
	Config *config.File
	// Table has the newest results of the config's metrics.
	Table *standing.Table
	// Listed is what the metrics API lists.
	Listed interface {
		ListAllMetrics() []provider.CustomMetricInfo
		ListAllExternalMetrics() []provider.ExternalMetricInfo
	}
	// Collectors has the collectors' metrics.
	Collectors prometheus.Gatherer
	// Reload is the newest attempt to take a config.
	Reload Reload
	// Unready says what is missing before reads can be answered; "" where nothing is.
	Unready string
}

// Reload is an attempt to take a config.
type Reload struct {
	At time.Time `json:"at"`
	// Problem is why the config before stays in use; "" where it does not.
	Problem string `json:"problem,omitempty"`
}

// Past is what is remembered of the series that are forecast.
type Past interface {
	Table() *tracker.Table
	Past(metric string, key series.Key) (tracker.Past, bool)
}

// Options are what the page tells of; all but Autoscalers are required.
type Options struct {
	State   func() State
	Past    Past
	Readers *readers.Book
	// Autoscalers is nil where there is no cluster; readers have no names then.
	Autoscalers Autoscalers
	// Now is the time.
	Now func() time.Time
}

// page answers.
type page struct {
	Options
	turn chan struct{}
}

// New returns the handler of / and of what the page asks for below /assets/ and /api/v1alpha/page/.
func New(o Options) (http.Handler, error) {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		return nil, err
	}
	p := &page{Options: o, turn: make(chan struct{}, atOnce)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "index.html") })
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(files)))
	for path, tell := range map[string]func(request) (any, error){
		"metrics": p.metrics, "series": p.series, "history": p.history, "collectors": p.collectors, "config": p.config,
	} {
		mux.HandleFunc("GET /api/v1alpha/page/"+path, p.answer(tell))
	}
	mux.HandleFunc("GET /api/v1alpha/page/readers", p.readers)
	return guarded(mux), nil
}

// guarded says to browsers what the page may do.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// errUnknown is the error of what is not there.
var errUnknown = errors.New("there is no such metric or series now")

// request is what the page asks for.
type request struct {
	*http.Request
	State
	now    time.Time
	offset int
}

// matches tells whether one of the texts has what is searched for.
func (r request) matches(texts ...string) bool {
	sought := strings.ToLower(r.FormValue("q"))
	for _, t := range texts {
		if strings.Contains(strings.ToLower(t), sought) {
			return true
		}
	}
	return false
}

// answer answers with what tell returns, as JSON.
func (p *page) answer(tell func(request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		offset, err := strconv.Atoi(r.FormValue("offset"))
		if r.FormValue("offset") != "" && (err != nil || offset < 0) {
			http.Error(w, "offset is not a whole number from 0 on", http.StatusBadRequest)
			return
		}
		told, err := p.inTurn(tell, request{Request: r, offset: offset})
		switch {
		case errors.Is(err, errUnknown):
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(told) // the reader is gone
	}
}

// inTurn works an answer out once it is its turn, which does not last until a slow reader has it.
func (p *page) inTurn(tell func(request) (any, error), r request) ([]byte, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	r.State, r.now = p.State(), p.Now()
	told, err := tell(r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(told)
}

// cut returns the rows from an offset on, as many as an answer has.
func cut[T any](rows []T, offset int) []T {
	rows = rows[min(offset, len(rows)):]
	return append([]T{}, rows[:min(mostRows, len(rows))]...) // never nil, which JSON calls null
}

// known is nil for what is not a number, which JSON cannot tell.
func known(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
