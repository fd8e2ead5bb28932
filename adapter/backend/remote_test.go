package backend

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/foresail/foresail/adapter/backend/relabel"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/test/authority"
)

// receiver is what takes remote write in a Prometheus: its handler over its database. It is away at times.
type receiver struct {
	db      *tsdb.DB
	handler http.Handler
	away    atomic.Bool
	turned  atomic.Int64 // requests that came while it was away
	taken   taken
}

// taken has the metric of each sample that came, as often as it came and in that order.
type taken struct {
	mu    sync.Mutex
	names []string
}

func (t *taken) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.names = append(t.names, name)
}

func (t *taken) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.names)
}

func (t *taken) count() int64 { return int64(len(t.all())) }

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	db, err := tsdb.Open(t.TempDir(), nil, nil, storeOptions(StoreConfig{Retention: time.Hour}), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &receiver{db: db}
	messages := list(config.DefaultRemoteWriteConfig.ProtobufMessage)
	r.handler = remote.NewWriteHandler(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), counting{db, &r.taken}, messages, false, false, false)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.away.Load() {
		r.turned.Add(1)
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	r.handler.ServeHTTP(w, req)
}

// list is a list of values whose type has no name here.
func list[T any](values ...T) []T { return values }

// counting counts the samples on their way into a database, which takes the same one twice without a word.
type counting struct {
	*tsdb.DB
	taken *taken
}

func (c counting) Appender(ctx context.Context) storage.Appender {
	return countingAppender{c.DB.Appender(ctx), c.taken}
}

type countingAppender struct {
	storage.Appender
	taken *taken
}

func (c countingAppender) Append(ref storage.SeriesRef, l labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	c.taken.add(l.Get(model.MetricNameLabel))
	return c.Appender.Append(ref, l, t, v)
}

// has returns all that the receiver has: the samples of each series in their order.
func (r *receiver) has(t *testing.T) map[string][]series.Sample {
	t.Helper()
	q, err := r.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	all := map[string][]series.Sample{}
	set := q.Select(t.Context(), true, nil, labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+"))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() != chunkenc.ValNone {
			at, v := it.At()
			name := set.At().Labels().String()
			all[name] = append(all[name], series.Sample{Time: time.UnixMilli(at), Value: v})
		}
	}
	if set.Err() != nil {
		t.Fatal(set.Err())
	}
	return all
}

// openWriting opens a store that is written on to one server.
func openWriting(t *testing.T, w RemoteWrite) *Store {
	t.Helper()
	c := StoreConfig{Path: t.TempDir()}
	c.Default()
	w.Default()
	w.Validate(func(field, problem string) { t.Errorf("%s: %s", field, problem) })
	s, err := OpenStore(c, Options{Name: "store", RemoteWrite: []RemoteWrite{w}, batch: 10 * time.Millisecond, flush: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// waitFor waits for what comes over a real connection.
func waitFor(t *testing.T, what func() string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		missing := what()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(missing)
		}
	}
}

// What is stored is sent in its order, whatever of it is refused for a while.
func TestRemoteWriteInOrder(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if requests.Add(1)%2 == 0 {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		r.ServeHTTP(w, req)
	}))
	defer server.Close()
	s := openWriting(t, RemoteWrite{Config: Config{URL: server.URL}})
	begin := time.Now().Add(time.Second).Truncate(time.Millisecond)
	waitFor(t, func() string { // What comes before the log is watched is told by the next one, or after 15 s.
		begin = begin.Add(time.Millisecond)
		mustAppend(t, s, series.Point{Key: series.NewKey("before"), Sample: series.Sample{Time: begin}})
		return missing(min(r.taken.count(), 1), 1)
	})
	const n = 3*largest + 1 // Four requests, and some that are refused.
	points, want := make([]series.Point, n), make([]string, n)
	for i := range points {
		want[i] = fmt.Sprintf("m%05d", i*7919%n) // Not by name.
		points[i] = series.Point{Key: series.NewKey(want[i]), Sample: series.Sample{Time: begin.Add(time.Minute)}}
	}
	mustAppend(t, s, points...)
	var got []string
	waitFor(t, func() string {
		got = slices.DeleteFunc(r.taken.all(), func(name string) bool { return name == "before" })
		return missing(int64(len(got)), n)
	})
	if !slices.Equal(got, want) {
		t.Error("they came in another order")
	}
}

// What is stored is sent, each sample once; what was stored while the receiver was away comes when it is back.
func TestRemoteWrite(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	server := httptest.NewServer(r)
	defer server.Close()
	s := openWriting(t, RemoteWrite{Config: Config{URL: server.URL}})
	begin := time.Now().Add(time.Second).Truncate(time.Millisecond) // What is older than the start is not sent.
	var want []series.Sample
	add := func(n int) {
		t.Helper()
		for range n {
			sample := series.Sample{Time: begin.Add(time.Duration(len(want)) * time.Second), Value: float64(len(want))}
			mustAppend(t, s, series.Point{Key: series.NewKey("foresail_forecast"), Sample: sample})
			want = append(want, sample)
		}
	}
	for r.taken.count() == 0 { // What comes before the log is watched is told by the next one, or after 15 s.
		add(1)
		time.Sleep(10 * time.Millisecond)
	}
	add(10)
	waitFor(t, func() string { return missing(r.taken.count(), int64(len(want))) })
	r.away.Store(true)
	add(20)
	waitFor(t, func() string {
		if n := r.turned.Load(); n < 3 {
			return fmt.Sprintf("tried %d times while the receiver is away", n)
		}
		return ""
	})
	add(5)
	r.away.Store(false)
	add(5)
	waitFor(t, func() string { return missing(r.taken.count(), int64(len(want))) })
	got := r.has(t)[`{__name__="foresail_forecast"}`]
	if !slices.EqualFunc(got, want, func(a, b series.Sample) bool { return a.Time.Equal(b.Time) && a.Value == b.Value }) {
		t.Errorf("the receiver has %v, want %v", got, want)
	}
}

// A series that ends in the store ends at the receiver, too, and series are relabelled on the way.
func TestRemoteWriteEndsSeriesAndRelabels(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	server := httptest.NewServer(r)
	defer server.Close()
	s := openWriting(t, RemoteWrite{Config: Config{URL: server.URL}, WriteRelabel: []relabel.Rule{
		{SourceLabels: []string{"__name__"}, Regex: new("go_.*"), Action: "drop"},
		{TargetLabel: "replica", Replacement: new("a")},
	}})
	at := time.Now().Add(time.Second)
	mustAppend(t, s, point(lag("mail"), at, 7), point(series.NewKey("go_threads"), at, 9))
	mustAppend(t, s, point(lag("mail"), at.Add(time.Second), series.Stale()))
	waitFor(t, func() string {
		at = at.Add(time.Millisecond) // As above, until the log is watched.
		mustAppend(t, s, point(series.NewKey("go_threads"), at, 9))
		return missing(r.taken.count(), 2)
	})
	all := r.has(t)
	got := all[`{__name__="lag", group="mail", replica="a"}`]
	if len(all) != 1 || len(got) != 2 || got[0].Value != 7 || !value.IsStaleNaN(got[1].Value) {
		t.Errorf("the receiver has %v", all)
	}
}

func missing(got, want int64) string {
	if got != want {
		return fmt.Sprintf("%d of %d samples came", got, want)
	}
	return ""
}

// Receivers know the sender by whatever they ask for, over connections that both trust; to others nothing is given.
func TestRemoteWriteIsKnown(t *testing.T) {
	a := authority.New(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	a.Write(t, "prometheus", file("ca"), file("cert"), file("key"))
	authority.New(t).Write(t, "prometheus", file("other-ca"), file("other-cert"), file("other-key"))
	for name, text := range map[string]string{"password": "secret\n", "token": "t0ken\n", "tenant": "shop\n"} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trusting := TLS{CAFile: file("ca"), ServerName: "prometheus"}
	for name, c := range map[string]struct {
		config  Config
		clients tls.ClientAuthType
		asks    func(*http.Request) bool
		refused bool
	}{
		"TLS":                {Config{TLS: trusting}, tls.NoClientCert, nil, false},
		"mutual TLS":         {Config{TLS: TLS{CAFile: file("ca"), CertFile: file("cert"), KeyFile: file("key"), ServerName: "prometheus"}}, tls.RequireAndVerifyClientCert, nil, false},
		"any certificate":    {Config{TLS: TLS{InsecureSkipVerify: true}}, tls.NoClientCert, nil, false},
		"another authority":  {Config{TLS: TLS{CAFile: file("other-ca"), ServerName: "prometheus"}}, tls.NoClientCert, nil, true},
		"another name":       {Config{TLS: TLS{CAFile: file("ca")}}, tls.NoClientCert, nil, true},
		"no certificate":     {Config{TLS: trusting}, tls.RequireAndVerifyClientCert, nil, true},
		"basic auth":         {Config{TLS: trusting, BasicAuth: BasicAuth{"foresail", file("password")}}, tls.NoClientCert, basic("foresail", "secret"), false},
		"the wrong password": {Config{TLS: trusting, BasicAuth: BasicAuth{"foresail", file("password")}}, tls.NoClientCert, basic("foresail", "other"), true},
		"bearer token":       {Config{TLS: trusting, BearerTokenFile: file("token")}, tls.NoClientCert, header("Authorization", "Bearer t0ken"), false},
		"headers":            {Config{TLS: trusting, Headers: map[string]string{"X-Scope-OrgID": "shop"}}, tls.NoClientCert, header("X-Scope-OrgID", "shop"), false},
		"headers of files":   {Config{TLS: trusting, HeaderFiles: map[string]string{"X-Scope-OrgID": file("tenant")}}, tls.NoClientCert, header("X-Scope-OrgID", "shop"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t)
			server := a.Serve(t, "prometheus", c.clients, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if c.asks != nil && !c.asks(req) {
					http.Error(w, "who are you?", http.StatusUnauthorized)
					return
				}
				r.ServeHTTP(w, req)
			}))
			c.config.URL = server.URL
			s := openWriting(t, RemoteWrite{Config: c.config})
			at := time.Now().Add(time.Second)
			waitFor(t, func() string {
				at = at.Add(time.Second)
				mustAppend(t, s, point(lag("mail"), at, 7))
				if r.taken.count() == 0 && failedWrites(t, s) == 0 {
					return "no sample comes, and none is told to be refused"
				}
				return ""
			})
			if n := r.taken.count(); (n == 0) != c.refused {
				t.Errorf("%d samples came", n)
			}
		})
	}
}

func basic(user, password string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		u, p, ok := r.BasicAuth()
		return ok && u == user && p == password
	}
}

func header(name, value string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get(name) == value }
}

// failedWrites is how many samples the store tells of that were tried again or given up.
func failedWrites(t *testing.T, s *Store) (n float64) {
	t.Helper()
	families, err := s.inside.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasSuffix(f.GetName(), "remote_storage_samples_failed_total") || strings.HasSuffix(f.GetName(), "remote_storage_samples_retried_total") {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
