package backend

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// finder is what both backends are to a catalog.
type finder interface {
	Series(ctx context.Context, selector string, since time.Time, each func(series.Key)) error
}

func found(t *testing.T, f finder, selector string, since time.Time) (string, error) {
	t.Helper()
	var keys []string
	err := f.Series(t.Context(), selector, since, func(k series.Key) { keys = append(keys, k.String()) })
	slices.Sort(keys)
	return strings.Join(keys, " "), err
}

// The store over HTTP, behind Prometheus' own handler, is a Prometheus: both ways must find the same series.
func TestSeriesOfBothBackends(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	now := time.Now()
	mustAppend(t, s, point(lag("old"), now.Add(-2*time.Hour), 1))
	mustAppend(t, s, point(lag("a"), now, 1), point(lag("b"), now, 2), point(series.NewKey("up"), now, 1))
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	for name, f := range map[string]finder{"store": s, "prometheus": newTestBackend(t, server.URL, nil)} {
		for selector, want := range map[string]string{
			`lag`:                         `lag{group="a"} lag{group="b"}`,
			`{__name__=~"^lag$|^up$"}`:    `lag{group="a"} lag{group="b"} up`,
			`{group!="",__name__!="lag"}`: ``,
			`lag{group=~"a|old"}`:         `lag{group="a"}`,
		} {
			if got, err := found(t, f, selector, now.Add(-time.Minute)); err != nil || got != want {
				t.Errorf("%s: %s: got %s, %v, want %s", name, selector, got, err, want)
			}
		}
		if got, err := found(t, f, `lag{group="old"}`, now.Add(-3*time.Hour)); err != nil || got != `lag{group="old"}` {
			t.Errorf("%s: reaching back: %s, %v", name, got, err)
		}
		_, err := found(t, f, `lag{`, now)
		kind, status := Rejected, 0
		if name == "prometheus" {
			status = http.StatusBadRequest
		}
		wantError(t, err, kind, status, "parse error", "correct the")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err = f.Series(ctx, "lag", now.Add(-time.Minute), func(series.Key) {})
		wantError(t, err, Canceled, 0)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := found(t, s, "lag", now)
	wantError(t, err, Unreachable, 0, "closed")
}

func TestSeriesAsksAsPrometheusAdapterDoes(t *testing.T) {
	var methods []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		if got := r.Form.Encode(); got != "dedup=true&match%5B%5D=%7B__name__%3D~%22%5Ea%22%7D&start=1772452800.5" || r.URL.Path != "/prom/api/v1/series" {
			t.Errorf("sent %s to %s", got, r.URL.Path)
		}
		if r.Method == http.MethodPost { // as proxies before read-only servers do
			http.Error(w, "no", http.StatusMethodNotAllowed)
			return
		}
		fmt.Fprint(w, `{"status":"success","data":[{"__name__":"a"}]}`)
	}))
	defer s.Close()
	p := newTestBackend(t, s.URL+"/prom?dedup=true", nil)
	if got, err := found(t, p, `{__name__=~"^a"}`, noon.Add(500*time.Millisecond)); err != nil || got != "a" || len(methods) != 2 {
		t.Errorf("got %s, %v by %v", got, err, methods)
	}
}

func TestSeriesThatAreNotAllAreAnError(t *testing.T) {
	f := func(status int, body string, kind Kind, says ...string) {
		t.Helper()
		p := newTestBackend(t, answering(t, status, "application/json", body), nil)
		_, err := found(t, p, "up", noon)
		if status == http.StatusOK {
			status = 0
		}
		wantError(t, err, kind, status, says...)
	}
	f(200, `{"status":"success","isPartial":true,"data":[]}`, Partial)
	f(200, `{"status":"success","data":[{"a":"b"}],"warnings":["store 3 did not answer"]}`, Partial, "store 3")
	f(200, `{"status":"error","error":"odd"}`, BadData, "odd")
	f(200, `{"status":"success","data":[{"a":"b"}`, BadData)
	f(200, `<html>`, BadData, "not Prometheus' JSON")
	f(422, `{"status":"error","errorType":"execution","error":"too many series"}`, Rejected, "too many series")
	f(403, `{}`, Rejected, "403")
	f(503, `busy`, Unreachable, "503", "busy")
}

func TestSeriesOfASilentServer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"status":"success","data":[`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	p := newTestBackend(t, s.URL, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	wantError(t, p.Series(ctx, "up", noon, func(series.Key) {}), Timeout, 0)
}
