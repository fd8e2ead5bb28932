package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// call runs the program as a shell would.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, err bytes.Buffer
	status = run(ctx, args, &out, logs{&err, func(*slog.Logger) {}})
	return status, out.String(), err.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every mistake gives one clear line that names the thing, and the status that scripts can tell from a failure.
func TestMistakesAreOneLineEach(t *testing.T) {
	bad := write(t, "metrics:\n  - {name: a, query: \"sum(\", external: {}}\n  - {name: b, querry: x, external: {}}\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := write(t, "backends: [{name: main, prometheus: {url: \"http://127.0.0.1:1\"}}]\nweb: {listen: \"\"}\nmetrics: [{name: a, query: x, external: {}}]\n")
	alone := write(t, "standalone: true\n")
	for _, c := range []struct {
		args   []string
		status int
		says   []string // in this order, one line each
	}{
		{[]string{"chek", "x"}, 2, []string{`unknown command "chek"`}},
		{[]string{"check"}, 2, []string{"wants the config file"}},
		{[]string{"check", "/does/not/exist.yaml"}, 2, []string{"/does/not/exist.yaml"}},
		{[]string{"check", bad}, 1, []string{"3 errors, 0 warnings"}},
		{[]string{"check", good, good}, 2, []string{"wants the config file"}},
		{[]string{"check", good, "--hpa", "/does/not/exist"}, 2, []string{"/does/not/exist"}},
		{[]string{"check", good, "--crd", "rollouts"}, 2, []string{"plural.group"}},
		{[]string{"serve"}, 2, []string{"--config FILE"}},
		{[]string{"serve", "--confg", "x"}, 2, []string{"unknown flag: --confg"}},
		{[]string{"serve", "--config", good}, 1, []string{"there is no kubeconfig"}},
		{[]string{"serve", "--config", good, "--lister-kubeconfig", "/does/not/exist"}, 1, []string{"/does/not/exist"}},
		{[]string{"serve", "--config", alone, "--secure-port", "8443", "--kubeconfig", "x"}, 2, []string{"standalone: there is no cluster and no API server that --kubeconfig", "--secure-port"}},
		{[]string{"demo", "--for", "-1s"}, 2, []string{"--for must not be negative"}},
		{[]string{"demo", "--listen", taken.Addr().String()}, 1, []string{"choose another address with --listen"}},
		{[]string{"demo", "--listen", "127.0.0.1:0", "--web", taken.Addr().String()}, 1, []string{"change web.listen"}},
	} {
		status, _, stderr := call(t, c.args...)
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		if status != c.status || len(lines) != len(c.says) {
			t.Errorf("foresail %s: status %d, said %q; want status %d and %d lines", strings.Join(c.args, " "), status, stderr, c.status, len(c.says))
			continue
		}
		for i, want := range c.says {
			if !strings.HasPrefix(lines[i], "foresail: ") || !strings.Contains(lines[i], want) {
				t.Errorf("foresail %s: line %d is %q, want %q in it", strings.Join(c.args, " "), i+1, lines[i], want)
			}
		}
	}
}

func TestCheckAndVersion(t *testing.T) {
	file := write(t, "metrics:\n  - {name: a, query: up, external: {}}\n")
	if status, stdout, stderr := call(t, "check", file); status != 0 || stdout != file+": 1 metrics, 0 rules, no problems\n" {
		t.Errorf("check: status %d, printed %q, said %q", status, stdout, stderr)
	}
	if status, stdout, _ := call(t, "version"); status != 0 || stdout != version+"\n" {
		t.Errorf("version: status %d, printed %q", status, stdout)
	}
}

// The demo shows trusted forecasts of what it is about, and ends well when it is asked to.
func TestDemoShowsForecasts(t *testing.T) {
	ctx, stop := context.WithTimeout(context.Background(), 8*time.Minute) // Under the race detector on a busy machine.
	defer stop()
	read, written := io.Pipe()
	ended := make(chan int, 1)
	var said bytes.Buffer
	go func() {
		ended <- run(ctx, []string{"demo", "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0"}, written, logs{&said, func(*slog.Logger) {}})
		_ = written.Close()
	}()
	waiting := map[string]bool{"checkout_requests_per_second": true, "checkout_queue": true, "orders_lag": true, "orders_lag_growth": true}
	for lines := bufio.NewScanner(read); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 0 && strings.Contains(lines.Text(), " trusted, skill ") {
			delete(waiting, fields[0])
		}
		if len(waiting) == 0 {
			stop()
		}
	}
	if len(waiting) > 0 {
		t.Errorf("no trusted forecast of %v within eight minutes", waiting)
	}
	if status := <-ended; status != 0 {
		t.Errorf("status %d", status)
	}
	for line := range strings.Lines(said.String()) {
		// Slowed tenfold by the race detector on a busy machine, a poll may come to its deadline.
		if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "deadline exceeded") && !strings.Contains(line, "i/o timeout") {
			t.Errorf("said %q", line)
		}
	}
}

func TestDemoEndsByItself(t *testing.T) {
	if status, _, stderr := call(t, "demo", "--for", "2s", "--listen", "127.0.0.1:0", "--web", "127.0.0.1:0"); status != 0 {
		t.Errorf("status %d, said %q", status, stderr)
	}
}
