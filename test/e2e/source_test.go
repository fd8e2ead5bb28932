package e2e

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/forecast/series"
)

// lookback is how long a source tells a series after its last sample; long enough for a test that gets no CPU for a while.
const lookback = 15 * time.Second

// source is a Prometheus-compatible server, Prometheus' own engine, that gets the samples of its gauges every 500 ms and
// has the troubles that a test gives it.
type source struct {
	url      string
	listener *resetting
	server   *httptest.Server
	dir      string
	stores   []*backend.Store // all that it ever had; closed at the end
	store    atomic.Pointer[backend.Store]
	partial  atomic.Bool // answers say that a part is missing

	mu      sync.Mutex
	gauges  map[series.Key]*gauge
	queries []string // all that asked for values
}

// gauge is the current value of one series.
type gauge struct {
	of  *source
	key series.Key

	value float64 // under the source's lock, as is told
	told  bool
}

func startSource(t *testing.T) *source {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{listener: &resetting{Listener: listener}, gauges: map[series.Key]*gauge{}}
	s.dir = t.TempDir()
	s.restart(t)
	s.server = &httptest.Server{Listener: s.listener, Config: &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}}
	s.server.Start()
	s.url = s.server.URL
	ctx, cancel := context.WithCancel(context.Background())
	written := twiceASecond(ctx, func(time.Time) { s.write(ctx, t) })
	t.Cleanup(func() {
		cancel()
		<-written
		s.server.Close()
		for _, store := range s.stores {
			if err := store.Close(); err != nil {
				t.Errorf("cannot close the store of a source: %v", err)
			}
		}
	})
	return s
}

// twiceASecond does something again and again until ctx is done; then what it returns is closed.
func twiceASecond(ctx context.Context, do func(at time.Time)) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case at := <-tick.C:
				do(at)
			}
		}
	}()
	return done
}

// restart gives the server an empty store: what it knew is lost.
func (s *source) restart(t *testing.T) {
	t.Helper()
	store, err := backend.OpenStore(backend.StoreConfig{
		Path: filepath.Join(s.dir, strconv.Itoa(len(s.stores))), Retention: time.Hour, Lookback: lookback,
	}, backend.Options{Name: "source"})
	if err != nil {
		t.Fatal(err)
	}
	s.stores = append(s.stores, store)
	s.store.Store(store)
}

func (s *source) write(ctx context.Context, t *testing.T) {
	s.mu.Lock()
	at := time.Now()
	points := make([]series.Point, 0, len(s.gauges))
	for key, g := range s.gauges {
		if g.told {
			points = append(points, series.Point{Key: key, Sample: series.Sample{Time: at, Value: g.value}})
		}
	}
	s.mu.Unlock()
	if err := s.store.Load().Append(ctx, points); err != nil && ctx.Err() == nil {
		t.Errorf("cannot write to a source: %v", err)
	}
}

// gauge returns the series of a name and of labels in pairs, which has that value from now on.
func (s *source) gauge(name string, value float64, pairs ...string) *gauge {
	var labels []series.Label
	for i := 0; i < len(pairs); i += 2 {
		labels = append(labels, series.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	key := series.NewKey(name, labels...)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gauges[key]
	if g == nil {
		g = &gauge{of: s, key: key}
		s.gauges[key] = g
	}
	g.value, g.told = value, true
	return g
}

func (g *gauge) set(value float64) { g.of.set(value, g) }

// set gives gauges a value, all in the same sample.
func (s *source) set(value float64, gauges ...*gauge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range gauges {
		g.value, g.told = value, true
	}
}

// stop ends the series' samples; it is told for the lookback after that.
func (g *gauge) stop() {
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	g.told = false
}

// asked counts the queries for values so far that hold a text.
func (s *source) asked(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, q := range s.queries {
		if strings.Contains(q, text) {
			n++
		}
	}
	return n
}

// ServeHTTP answers as Prometheus does, with "isPartial" as VictoriaMetrics says it where a part is missing.
func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/v1/query" {
		query := r.FormValue("query")
		s.mu.Lock()
		s.queries = append(s.queries, query)
		s.mu.Unlock()
	}
	if !s.partial.Load() {
		s.store.Load().Handler().ServeHTTP(w, r)
		return
	}
	whole := httptest.NewRecorder()
	s.store.Load().Handler().ServeHTTP(whole, r)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(whole.Code)
	_, _ = w.Write(bytes.Replace(whole.Body.Bytes(), []byte(`{"status":"success"`), []byte(`{"status":"success","isPartial":true`), 1))
}

// down has every connection reset until it is called with false.
func (s *source) down(is bool) {
	s.listener.down.Store(is)
	if is {
		s.server.CloseClientConnections()
	}
}

// resetting is a listener that can be switched off without giving its port away.
type resetting struct {
	net.Listener
	down atomic.Bool
}

// Accept implements net.Listener.
func (l *resetting) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || !l.down.Load() {
			return c, err
		}
		if tcp, isTCP := c.(*net.TCPConn); isTCP {
			_ = tcp.SetLinger(0) // a reset, not an end
		}
		_ = c.Close()
	}
}

// eachPod tells a series for every Running pod of an application, with the value that a function gives it. One that is
// gone is told as it was for 5 s more, and then as 0 for ever: a server does not know at once, and the last that is heard
// of a pod is how it became idle.
type eachPod struct {
	mu    sync.Mutex
	share func(name string, running int) float64
}

func (s *source) eachPod(t *testing.T, p *plane, ns, app, metric string, share func(name string, running int) float64) *eachPod {
	t.Helper()
	e := &eachPod{share: share}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		seen := map[string]time.Time{}
		for ctx.Err() == nil {
			list, err := p.client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app, FieldSelector: "status.phase=Running"})
			if err == nil {
				now := time.Now()
				e.mu.Lock()
				for _, pod := range list.Items {
					seen[pod.Name] = now
					s.gauge(metric, e.share(pod.Name, len(list.Items)), "namespace", ns, "pod", pod.Name)
				}
				e.mu.Unlock()
				for name, last := range seen {
					if now.Sub(last) > 5*time.Second {
						s.gauge(metric, 0, "namespace", ns, "pod", name)
					}
				}
			}
			select {
			case <-time.After(500 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return e
}

// evenly shares a total among the pods.
func evenly(total float64) func(string, int) float64 {
	return func(_ string, running int) float64 { return total / float64(running) }
}

// use changes what the pods tell.
func (e *eachPod) use(share func(name string, running int) float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.share = share
}
