package fetch

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/foresail/foresail/collectors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// long sends this many bytes of what compresses well.
func long(bytes int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("#", bytes))
		_ = z.Close()
	}
}

func TestGet(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	bad := errors.New("no such page")
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc // nil for a server that is gone
		take   error
		reason collectors.Reason // "" means that the page was got
		holds  string
	}{
		{"good", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") }, nil, "", ""},
		{"16 MiB", long(maxBody), nil, "", ""},
		{"more than 16 MiB", long(maxBody + 1), nil, collectors.BadData, "larger than 16 MiB"},
		{"not understood", status(200), bad, collectors.Unreachable, "no such page"}, // the caller knows better
		{"204", status(204), nil, collectors.Other, "HTTP status 204 No Content"},
		{"elsewhere", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }, nil, collectors.Other, "302 Found"},
		{"401", status(401), nil, collectors.Denied, "401 Unauthorized"},
		{"403", status(403), nil, collectors.Denied, "403"},
		{"404", status(404), nil, collectors.NotFound, "404"},
		{"410", status(410), nil, collectors.NotFound, "410"},
		{"418", status(418), nil, collectors.Other, "418"},
		{"429", status(429), nil, collectors.Unreachable, "429"},
		{"503", status(503), nil, collectors.Unreachable, "503"},
		{"gone", nil, nil, collectors.Unreachable, "cannot get the page: dial tcp"},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil, collectors.Timeout, "deadline exceeded"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}, nil, collectors.Unreachable, "unexpected EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := closed.URL
			if tt.answer != nil {
				server := httptest.NewServer(tt.answer)
				defer server.Close()
				url = server.URL
			}
			wait := time.Minute
			if tt.name == "hangs" {
				wait = 50 * time.Millisecond
			}
			c := New(Options{Dial: (&net.Dialer{}).DialContext, Wait: wait, Idle: time.Minute})
			defer c.Close()
			taken := 0
			err := c.Get(t.Context(), url, "text/plain", "", func(p Page) error { taken = len(p.Body); return tt.take })
			if tt.reason == "" {
				if err != nil || taken == 0 {
					t.Errorf("%d bytes, %v", taken, err)
				}
				return
			}
			if err == nil || Reason(err) != tt.reason || !strings.Contains(err.Error(), tt.holds) {
				t.Errorf("error %v (%s), want one with %q (%s)", err, Reason(err), tt.holds, tt.reason)
			}
			if tt.take != nil && err != tt.take { //nolint:errorlint // as it is
				t.Errorf("the error is %#v", err)
			}
		})
	}
}

// TestAsked: what is asked for, and that a connection serves many pages, also those with a long text in place of a page.
func TestAsked(t *testing.T) {
	var asked []string
	code := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, fmt.Sprintf("%s %s %q", r.Header.Get("Accept"), r.Header.Get("Accept-Encoding"), r.Header.Get("Authorization")))
		w.Header().Set("Content-Type", "text/x")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, strings.Repeat("x", 3000))
	}))
	defer server.Close()
	var dials atomic.Int32
	c := New(Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}, Wait: time.Minute, Idle: time.Minute})
	defer c.Close()
	for i, token := range []string{"", "one", "two"} {
		if i == 1 {
			code = http.StatusServiceUnavailable
		}
		began := time.Now()
		err := c.Get(t.Context(), server.URL, "text/x, */*", token, func(p Page) error {
			if p.Type != "text/x" || p.At.Before(began) || p.At.After(time.Now()) {
				t.Errorf("of the type %q at %v", p.Type, p.At)
			}
			return nil
		})
		if (err == nil) != (i == 0) {
			t.Error(err)
		}
	}
	if got := strings.Join(asked, "\n"); got != "text/x, */* gzip \"\"\ntext/x, */* gzip \"Bearer one\"\ntext/x, */* gzip \"Bearer two\"" {
		t.Errorf("asked for\n%s", got)
	}
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
