package snapshots

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast/shard"
	"github.com/foresail/foresail/forecast/snapshot"
	"github.com/foresail/foresail/forecast/tracker"
)

// text is forecasts that have learnt a text.
type text struct {
	content string
	fails   error
	n       tracker.Loaded
	how     tracker.Loading
}

func (f *text) Save(w io.Writer) error {
	_, err := io.WriteString(w, f.content)
	return errors.Join(err, f.fails)
}

func (f *text) Load(r io.Reader, l tracker.Loading) (tracker.Loaded, error) {
	data, err := io.ReadAll(r)
	f.content, f.how = string(data), l
	return f.n, errors.Join(err, f.fails)
}

func keeper(t *testing.T, path string, f Forecasts) (*Keeper, *prometheus.Registry, *bytes.Buffer) {
	t.Helper()
	reg, log := prometheus.NewRegistry(), &bytes.Buffer{}
	k, err := New(Options{Path: path, Forecasts: f, Logger: slog.New(slog.NewTextHandler(log, nil)), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	return k, reg, log
}

// A snapshot replaces the one before as a whole, or not at all; what a process leaves that was killed goes at the next start.
func TestSaveIsAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "forecasts[1].snapshot")
	f := &text{content: "first"}
	k, reg, log := keeper(t, path, f)
	k.Load() // There is none, which is no failure.
	k.Save()
	f.content, f.fails = "second, of which a part", fmt.Errorf("write: %w", syscall.ENOSPC)
	k.Save()
	if data, err := os.ReadFile(path); err != nil || string(data) != "first" {
		t.Errorf("%q, %v", data, err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP foresail_snapshot_bytes Size of the last that was saved.
# TYPE foresail_snapshot_bytes gauge
foresail_snapshot_bytes 5
`), "foresail_snapshot_bytes"); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(k.failures.WithLabelValues("no_space")); got != 1 {
		t.Errorf("%v failures", got)
	}
	if testutil.ToFloat64(k.succeeded) == 0 || !strings.Contains(log.String(), "no space left") {
		t.Errorf("said %s", log)
	}
	left := path + ".123.part"
	if err := os.WriteFile(left, []byte("sec"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := &text{n: tracker.Loaded{Series: 3, Later: 2}}
	k, _, log = keeper(t, path, next)
	k.Load()
	if next.content != "first" || testutil.ToFloat64(k.restored) != 3 || strings.Contains(log.String(), "WARN") {
		t.Errorf("loaded %q, said %s", next.content, log)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// What is wrong with a snapshot is said once, and counted by its reason.
func TestLoadSaysWhatIsWrong(t *testing.T) {
	for want, f := range map[string]*text{
		"version":    {fails: snapshot.ErrVersion},
		"damaged":    {fails: fmt.Errorf("series 7: %w", snapshot.ErrDamaged)},
		"permission": {fails: os.ErrPermission},
		"read":       {fails: syscall.EIO},
		"foreign":    {n: tracker.Loaded{Foreign: 1}},
	} {
		path := filepath.Join(t.TempDir(), "forecasts.snapshot")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		k, _, log := keeper(t, path, f)
		k.Load()
		if got := testutil.ToFloat64(k.failures.WithLabelValues(want)); got != 1 {
			t.Errorf("%s: %v failures", want, got)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "level=WARN") {
			t.Errorf("%s: said %s", want, log)
		}
	}
}

func TestNothingIsKeptWithoutAPath(t *testing.T) {
	k, reg, _ := keeper(t, "", &text{fails: errors.New("not to be called")})
	k.Load()
	k.Save()
	k.Run(t.Context())
	if n, err := testutil.GatherAndCount(reg); n != 0 || err != nil {
		t.Errorf("%d metrics, %v", n, err)
	}
}

// A shard has a file of its own, and goes on from the newest that it, or what there was before the shards, has left; of another number of
// shards it knows that series are missing. A neighbour's is none of it.
func TestShards(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "forecasts.snapshot")
	at := time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)
	write := func(name string, hour int) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at.Add(time.Duration(hour)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	load := func(s shard.Split, want string, resharded bool) {
		t.Helper()
		f := &text{}
		k, err := New(Options{Path: path, Split: s, Forecasts: f, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		k.Load()
		if f.content != want || f.how.Resharded != resharded {
			t.Errorf("shard %v: loaded %q, resharded %v, want %q, %v", s, f.content, f.how.Resharded, want, resharded)
		}
	}
	one := shard.Split{Shard: 1, Total: 3}
	load(one, "", false)
	write("forecasts.snapshot.2-of-3", 9)
	write("forecasts.snapshot.1-of-3x", 9)
	write("forecasts.snapshot.01-of-3", 9)
	load(one, "", false)
	write("forecasts.snapshot", 1)
	load(one, "forecasts.snapshot", true)
	write("forecasts.snapshot.1-of-3", 2)
	load(one, "forecasts.snapshot.1-of-3", false)
	write("forecasts.snapshot.1-of-4", 3)
	load(one, "forecasts.snapshot.1-of-4", true)
	load(shard.Split{Shard: 1, Total: 4}, "forecasts.snapshot.1-of-4", false)
	load(shard.Split{}, "forecasts.snapshot.2-of-3", true) // Back to one: the newest of all.
	f := &text{content: "saved"}
	k, err := New(Options{Path: path, Split: one, Forecasts: f, Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	k.Save()
	load(one, "saved", false)
}
