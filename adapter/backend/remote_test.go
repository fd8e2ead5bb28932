package backend

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"github.com/foresail/foresail/forecast/series"
)

// receiver keeps what is written to it, by metric, and is away at times.
type receiver struct {
	mu   sync.Mutex
	away bool
	got  map[string][]float64
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(req.Body)
	if err == nil {
		body, err = snappy.Decode(nil, body)
	}
	var message prompb.WriteRequest
	if err == nil {
		err = message.Unmarshal(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, ts := range message.Timeseries {
		for _, l := range ts.Labels {
			for _, sample := range ts.Samples {
				if l.Name == "__name__" {
					r.got[l.Value] = append(r.got[l.Value], sample.Value)
				}
			}
		}
	}
}

// What is stored is sent, in order, and once; what was stored while the receiver was away comes when it is back.
func TestRemoteWrite(t *testing.T) {
	r := &receiver{got: map[string][]float64{}}
	server := httptest.NewServer(r)
	defer server.Close()
	c := StoreConfig{Path: t.TempDir()}
	c.Default()
	s, err := OpenStore(c, Options{Name: "store", Logger: slog.New(slog.DiscardHandler), RemoteWrite: []Config{{URL: server.URL, Timeout: time.Second}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 40
	begin := time.Now().Add(time.Second)
	for i := range n {
		r.mu.Lock()
		r.away = i >= 10 && i < 30
		r.mu.Unlock()
		if err := s.Append(t.Context(), []series.Point{{
			Key: series.NewKey("foresail_forecast"), Sample: series.Sample{Time: begin.Add(time.Duration(i) * time.Second), Value: float64(i)},
		}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r.mu.Lock()
		got := len(r.got["foresail_forecast"])
		r.mu.Unlock()
		if got == n {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d samples came", got, n)
		}
	}
	for i, v := range r.got["foresail_forecast"] {
		if v != float64(i) {
			t.Fatalf("sample %d is %v", i, v)
		}
	}
}
