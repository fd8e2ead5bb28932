package scrape

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/collectortest"
	"github.com/foresail/foresail/collectors/internal/secure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ignore(int, []byte, time.Time) error { return nil }

// serve has a handler answer for every node-N on a network in memory.
func serve(t *testing.T, handler http.HandlerFunc) (secure.Dial, func()) {
	t.Helper()
	network := &kfake.VirtualNetwork{}
	listener, err := network.Listen("tcp", "localhost:1")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	dial := func(ctx context.Context, kind, _ string) (net.Conn, error) {
		return network.DialContext(ctx, kind, "localhost:1")
	}
	return dial, func() { _ = server.Close(); <-done }
}

func nodes(n int) []Target {
	out := make([]Target, n)
	for i := range out {
		out[i] = Target{Node: fmt.Sprint("node-", i), URL: fmt.Sprintf("http://node-%d:10255/metrics", i)}
	}
	return out
}

// TestSpread: 5,000 nodes within three fifths of the interval, evenly, at most 100 at once, the same time for each node.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var busy, most int
		starts := make(map[string][]time.Duration)
		var begin time.Time
		dial, stop := serve(t, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			starts[r.Host] = append(starts[r.Host], time.Since(begin))
			busy++
			most = max(most, busy)
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			busy--
			mu.Unlock()
			_, _ = w.Write([]byte("x\n"))
		})
		defer stop()
		c := New(Options{Interval: 15 * time.Second, Dial: dial})
		defer c.Close()
		for range 2 {
			begin = time.Now()
			errs, err := c.Round(t.Context(), nodes(5000), ignore)
			if err := errors.Join(append(errs, err)...); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(begin.Add(15 * time.Second)))
		}
		if len(starts) != 5000 || most > 100 {
			t.Errorf("%d nodes were asked, %d at once", len(starts), most)
		}
		seconds := make([]int, 9)
		for host, at := range starts {
			if len(at) != 2 || (at[0]-at[1]).Abs() > 50*time.Millisecond || at[1] >= 9*time.Second+50*time.Millisecond {
				t.Fatalf("%s was asked at %v", host, at)
			}
			seconds[min(8, int(at[0]/time.Second))]++
		}
		// 5000 in 9 s: 556 a second, with a deviation of 22.
		if slices.Min(seconds) < 450 || slices.Max(seconds) > 660 {
			t.Errorf("requests by second: %v", seconds)
		}
	})
}

// TestNodesThatHangHoldUpNoOthers: a tenth of 2,000 nodes does not answer; the others are read in every round, and those
// that come back are found within a few.
func TestNodesThatHangHoldUpNoOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		hang.Store(true)
		dial, stop := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if hang.Load() && strings.HasSuffix(r.Host, "7:10255") {
				<-r.Context().Done()
				return
			}
			_, _ = w.Write([]byte("x\n"))
		})
		defer stop()
		c := New(Options{Interval: 15 * time.Second, Dial: dial})
		defer c.Close()
		failed := func() (n int) {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 13500*time.Millisecond)
			defer cancel()
			errs, err := c.Round(ctx, nodes(2000), ignore)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 14*time.Second {
				t.Errorf("a round took %v", took)
			}
			for i, err := range errs {
				if err == nil {
					continue
				}
				n++
				if r := collectors.Reasons(err); !slices.Equal(r, []collectors.Reason{collectors.Timeout}) || !strings.Contains(err.Error(), fmt.Sprint("node-", i, " ")) {
					t.Fatalf("%v, want a timeout that names the node: %v", r, err)
				}
			}
			time.Sleep(time.Until(begin.Add(15 * time.Second)))
			return n
		}
		failed() // the first round, in which nobody is known to hang
		for range 3 {
			if n := failed(); n != 200 {
				t.Errorf("%d nodes failed, want the 200 that hang", n)
			}
		}
		hang.Store(false)
		failed()
		if n := failed(); n != 0 {
			t.Errorf("%d nodes failed two rounds after all were back", n)
		}
	})
}

func TestFailures(t *testing.T) {
	var handler atomic.Pointer[http.HandlerFunc] // that of the case before may still be at work
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handler.Load())(w, r) }))
	defer server.Close()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		return collectortest.WriteFile(t, dir, name, data)
	}
	ca := write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	token := write("token", []byte("secret\n"))
	good := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("page\n"))
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", code) }
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		tls     *secure.TLS
		token   string
		want    []collectors.Reason
	}{
		{"good", good, &secure.TLS{CAFile: ca}, token, nil},
		{"any certificate", good, &secure.TLS{InsecureSkipVerify: true}, token, nil},
		{"unknown authority", good, nil, token, []collectors.Reason{collectors.Unreachable}},
		{"no token", good, &secure.TLS{CAFile: ca}, "", []collectors.Reason{collectors.Denied}},
		{"no token file", good, &secure.TLS{CAFile: ca}, filepath.Join(dir, "none"), []collectors.Reason{collectors.Denied}},
		{"forbidden", status(http.StatusForbidden), &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.Denied}},
		{"not found", http.NotFound, &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.NotFound}},
		{"too many", status(http.StatusTooManyRequests), &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.Unreachable}},
		{"broken", status(http.StatusInternalServerError), &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.Unreachable}},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.com", http.StatusFound)
		}, &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.Other}},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for range 17 << 4 {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.BadData}},
		{"slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.Timeout}},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
		}, &secure.TLS{CAFile: ca}, token, []collectors.Reason{collectors.Unreachable}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handler.Store(&tt.handler)
			interval := 20 * time.Second // of which a quarter is waited
			if tt.name == "slow" {
				interval = 2 * time.Second
			}
			c := New(Options{Interval: interval, TLS: tt.tls, TokenFile: tt.token})
			defer c.Close()
			read := ""
			errs, err := c.Round(t.Context(), []Target{{Node: "n1", URL: server.URL + "/metrics"}}, func(_ int, body []byte, at time.Time) error {
				if time.Since(at).Abs() > time.Minute {
					t.Errorf("of %v", at)
				}
				read = string(body)
				return nil
			})
			all := errors.Join(append(errs, err)...)
			if got := collectors.Reasons(all); !slices.Equal(got, tt.want) {
				t.Errorf("reasons %v, want %v: %v", got, tt.want, all)
			}
			if (read == "page\n") != (tt.want == nil) {
				t.Errorf("read %q", read)
			}
		})
	}
}
