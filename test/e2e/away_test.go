package e2e

import (
	"bytes"
	"context"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var away = flag.Duration("away", 40*time.Second, "how long TestAPIServerAway keeps the API server away")

// TestAPIServerAway stops the API server for a while, as a network or an upgrade does. Foresail goes on asking its backend, grows
// by nothing, and answers again as soon as the API server does.
func TestAPIServerAway(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	s := startAttacked(t)
	read := func(ctx context.Context) error {
		return answers(ctx, s.config.Host+externalOfShop+"good", s.token, http.StatusOK) // through the API server
	}
	eventually(t, time.Minute, "the first answer", read)

	server := apiServer(t, s.plane)
	memory, goroutines, asked := s.memory(t), exposed(t, s.page, "go_goroutines"), s.main.asked("sum(queue_depth)")
	signal := func(what syscall.Signal) {
		if err := syscall.Kill(server, what); err != nil {
			t.Fatalf("cannot send %v to the API server: %v", what, err)
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = syscall.Kill(server, syscall.SIGCONT) }) // or the plane would not end
	highest := memory
	for began := time.Now(); time.Since(began) < *away; time.Sleep(time.Second) { // It is other processes that are watched.
		highest = max(highest, s.memory(t))
	}
	if n := s.main.asked("sum(queue_depth)") - asked; n < int(away.Seconds()/2) {
		t.Errorf("the backend was asked %d times in %v, by a rule with an interval of 1s", n, *away)
	}
	signal(syscall.SIGCONT)
	back := time.Now()
	eventually(t, time.Minute, "an answer once the API server is back", read)
	took := time.Since(back)
	after := exposed(t, s.page, "go_goroutines")
	t.Logf("after %v without an API server a read is answered within %v; %.0f MiB became %.0f at most, %.0f goroutines %.0f",
		*away, took.Round(100*time.Millisecond), memory, highest, goroutines, after)
	if highest > memory+100 || after > goroutines+200 {
		t.Error("that is too much")
	}
}

// apiServer is the process of a plane's API server.
func apiServer(t *testing.T, p *plane) int {
	t.Helper()
	dir := filepath.Dir(p.kubeconfig)
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasSuffix(string(bytes.SplitN(text, []byte{0}, 2)[0]), "kube-apiserver") && bytes.Contains(text, []byte(dir)) {
			pid, err := strconv.Atoi(strings.Split(file, "/")[2])
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no API server of %s runs", dir)
	return 0
}
