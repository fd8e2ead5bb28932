package main

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A change is seen within the interval and once; a signal reloads without one.
func TestWatchReloadsOnChangeAndOnSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var text atomic.Value
		text.Store("a")
		var reloaded atomic.Int64
		signals := make(chan os.Signal, 1)
		go watch(ctx, 5*time.Second, "a", signals, func() string { return text.Load().(string) }, func() { reloaded.Add(1) })
		want := func(after time.Duration, n int64) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := reloaded.Load(); got != n {
				t.Fatalf("reloaded %d times, want %d", got, n)
			}
		}
		want(21*time.Second, 0) // looked at 4 times
		text.Store("b")
		want(5*time.Second, 1)
		want(time.Minute, 1)
		signals <- syscall.SIGHUP
		want(time.Millisecond, 2)
	})
}

// A mounted ConfigMap changes by a link of its directory that points elsewhere.
func TestContentsFollowConfigMaps(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"..1": "metrics: []\n", "..2": "rules: []\n"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "config.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	point := func(to string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	point("..1")
	if err := os.Symlink("..data/config.yaml", filepath.Join(dir, "config.yaml")); err != nil {
		t.Fatal(err)
	}
	f := &serveFlags{path: filepath.Join(dir, "config.yaml")}
	before := f.contents()
	if f.contents() != before {
		t.Error("the same file has other contents")
	}
	point("..2")
	if f.contents() == before {
		t.Error("the change is not seen")
	}
}

// A calendar that the config names is watched with it, also where it is not there yet; other files are not.
func TestContentsFollowCalendars(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("config.yaml", `
metrics: [{name: a, query: b, external: {}, forecast: {calendar: [&holidays {file: holidays.ics}, {day: 2026-12-25}]}}]
rules: [{seriesQuery: c, forecast: {lead: wrong, calendar: [*holidays, {file: `+filepath.Join(dir, "sales.ics")+`}]}}, 7, {forecast: []}]
externalRules: {}
`)
	f := &serveFlags{path: filepath.Join(dir, "config.yaml")}
	before := f.contents()
	for _, c := range []struct {
		name, text string
		seen       bool
	}{
		{"holidays.ics", "one", true}, {"holidays.ics", "two", true}, {"holidays.ics", "two", false}, {"other.ics", "one", false},
		{"sales.ics", "one", true}, {"config.yaml", "metrics: []", true}, {"holidays.ics", "three", false},
	} {
		write(c.name, c.text)
		now := f.contents()
		if (now != before) != c.seen {
			t.Errorf("%s is now %q: seen %v, want %v", c.name, c.text, now != before, c.seen)
		}
		before = now
	}
}
