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

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foresail/foresail/forecast/snapshot"
	"github.com/foresail/foresail/forecast/tracker"
)

// text is forecasts that have learnt a text.
type text struct {
	content string
	fails   error
	n       tracker.Loaded
}

func (f *text) Save(w io.Writer) error {
	_, err := io.WriteString(w, f.content)
	return errors.Join(err, f.fails)
}

func (f *text) Load(r io.Reader, _ func(string) bool) (tracker.Loaded, error) {
	data, err := io.ReadAll(r)
	f.content = string(data)
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
# HELP foresail_snapshot_bytes Size of that.
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
