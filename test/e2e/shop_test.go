package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/forecast/series"
)

// The shop's day is short, so that a few of them fit into a test: seconds for hours.
const (
	day       = 48 * time.Second
	peakFrom  = 24 * time.Second // into the day
	peakUntil = 40 * time.Second
	calm      = 150. // requests a second
	peak      = 950.
	perPod    = 100. // what one pod can carry
)

// load is the shop's requests a second: calm, then within a second the peak, every day alike but for a few percent.
func load(t time.Time) float64 {
	sinceDay := time.Duration(t.UnixNano() % int64(day))
	ripple := 1 + .03*math.Sin(float64(t.UnixNano())/1e9*1.31)
	if sinceDay >= peakFrom && sinceDay < peakUntil {
		return peak * ripple
	}
	return calm * ripple
}

// nextPeak returns when the first peak after t starts.
func nextPeak(t time.Time) time.Time {
	start := t.Add(-time.Duration(t.UnixNano() % int64(day))).Add(peakFrom)
	if !start.After(t) {
		start = start.Add(day)
	}
	return start
}

func podsFor(load float64) int { return int(math.Ceil(load / perPod)) }

// prometheusServer is a Prometheus-compatible server on loopback that holds the shop's load: weeks (here: minutes) of
// history, and a new sample every 500 ms.
type prometheusServer struct {
	url    string
	server *http.Server
	cancel context.CancelFunc
}

var shopKey = series.NewKey("shop_requests_per_second", series.Label{Name: "service", Value: "shop"})

func startPrometheus(t *testing.T, days int) *prometheusServer {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	now := time.Now()
	run := series.Run{Key: shopKey}
	for at := now.Add(-time.Duration(days) * day); at.Before(now); at = at.Add(500 * time.Millisecond) {
		run.Samples = append(run.Samples, series.Sample{Time: at, Value: load(at)})
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := backend.WriteHistory(ctx, dir, []series.Run{run}); err != nil {
		t.Fatalf("cannot write the shop's history: %v", err)
	}
	store, err := backend.OpenStore(backend.StoreConfig{Path: dir, Retention: 24 * time.Hour, Lookback: 5 * time.Second}, backend.Options{Name: "shop"})
	if err != nil {
		t.Fatalf("cannot open the shop's store: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &prometheusServer{
		url:    fmt.Sprintf("http://%s", listener.Addr()),
		server: &http.Server{Handler: store.Handler(), ReadHeaderTimeout: 5 * time.Second},
		cancel: cancel,
	}
	written := twiceASecond(ctx, func(at time.Time) {
		point := series.Point{Key: shopKey, Sample: series.Sample{Time: at, Value: load(at)}}
		if err := store.Append(ctx, []series.Point{point}); err != nil && ctx.Err() == nil {
			t.Errorf("cannot write the shop's load: %v", err)
		}
	})
	go func() {
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the Prometheus server stopped: %v", err)
		}
	}()
	t.Cleanup(func() {
		p.kill()
		<-written
		if err := store.Close(); err != nil {
			t.Errorf("cannot close the shop's store: %v", err)
		}
	})
	return p
}

// kill takes the server away in the middle of whatever it does: connections reset, then refused.
func (p *prometheusServer) kill() {
	p.cancel()
	_ = p.server.Close()
}
