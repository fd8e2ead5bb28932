package nodemem

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRamp allocates and touches 64 MiB each half second for 12 s, and compares the growth that is told with a line
// through what a second look at /proc sees. It tells nothing on a host where others allocate as much meanwhile.
func TestRamp(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it allocates 1.5 GiB over 12 s")
	}
	if _, err := os.Stat("/proc/meminfo"); err != nil {
		t.Skip("this host has no /proc/meminfo:", err)
	}
	if available, _ := glance(t); available < 4*gib {
		t.Skipf("this host has only %.0f MiB available", available/mib)
	}
	const step, pause, tolerance = 64 * mib, 500 * time.Millisecond, 0.15
	const rate = step / 0.5
	for range 3 {
		got, others := ramp(t, step, pause)
		if math.Abs(others) > tolerance/2*rate {
			t.Logf("others on this host took %.0f MiB/s meanwhile: once more", others/mib)
			continue
		}
		if math.Abs(got-rate) > tolerance*rate {
			t.Errorf("growth %.1f MiB/s, want %.1f within %v %%", got/mib, rate/mib, 100*tolerance)
		}
		t.Logf("growth %.1f MiB/s of %.1f, others %.1f", got/mib, rate/mib, others/mib)
		return
	}
	t.Skip("this host is too busy to tell: others allocate as well")
}

// ramp returns the growth that the source tells and how fast others took memory.
func ramp(t *testing.T, step int, pause time.Duration) (got, others float64) {
	t.Helper()
	c := Config{Interval: time.Second}
	c.Default()
	s, err := New(Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	var held [][]byte
	defer func() {
		for _, h := range held {
			_ = syscall.Munmap(h)
		}
	}()
	availableBefore, ownBefore := glance(t)
	began := time.Now()
	got = math.NaN()
	for i := range 24 {
		h, err := syscall.Mmap(-1, 0, step, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
		for at := 0; at < len(h); at += 4096 {
			h[at] = 1
		}
		if i%2 == 1 {
			points, err := s.Collect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range points {
				if p.Key.Metric == growth {
					got = p.Value
				}
			}
		}
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * pause))) // It is the host's memory that grows, by the real clock.
	}
	available, own := glance(t)
	return got, (availableBefore - available - (own - ownBefore)) / time.Since(began).Seconds()
}

// glance returns MemAvailable and what this process has resident, in bytes, as the lines of /proc have them.
func glance(t *testing.T) (available, own float64) {
	t.Helper()
	field := func(path, name string) float64 {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) == 3 && words[0] == name+":" {
				kib, err := strconv.ParseFloat(words[1], 64)
				if err != nil {
					t.Fatal(err)
				}
				return kib * 1024
			}
		}
		t.Fatalf("%s has no %s", path, name)
		return 0
	}
	return field("/proc/meminfo", "MemAvailable"), field("/proc/self/status", "VmRSS")
}

// TestRealNodeExporter reads Debian's node_exporter on this host, and compares with /proc.
func TestRealNodeExporter(t *testing.T) {
	binary, err := exec.LookPath("prometheus-node-exporter")
	if err != nil {
		t.Skip("prometheus-node-exporter is not installed:", err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	run := exec.CommandContext(t.Context(), binary, "--web.listen-address="+address)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = run.Process.Kill(); _ = run.Wait() }()
	url := fmt.Sprintf("http://%s/metrics", address)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if response, err := http.Get(url); err == nil { //nolint:noctx // the deadline below bounds it
			_ = response.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("node_exporter does not answer")
		}
	}
	c := Config{Source: NodeExporter, Interval: time.Second, Targets: []Target{{Node: "n1", URL: url}}}
	c.Default()
	s, err := New(Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	own := Config{Node: "n1"}
	own.Default()
	host, err := New(Options{Config: own})
	if err != nil {
		t.Fatal(err)
	}
	want, err := values(t, host)
	if err != nil {
		t.Fatal(err)
	}
	got, err := values(t, s)
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		other := strings.Replace(key, `source="proc"`, `source="node_exporter"`, 1)
		if v, there := got[other]; !there || math.Abs(v-value) > 0.05*want[`node_memory_capacity_bytes{node="n1",source="proc"}`] {
			t.Errorf("%s = %v (there: %v), /proc says %v", other, v, there, value)
		}
	}
	time.Sleep(1200 * time.Millisecond) // Pressure is a rate of time stalled: it takes two readings of another process, whose clock is the real one.
	if got, err = values(t, s); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/pressure/memory"); err != nil {
		t.Log("this host has no PSI:", err)
		return
	}
	if v, there := got[`node_memory_pressure_ratio{kind="some",node="n1",source="node_exporter"}`]; !there || v < 0 || v > 1 {
		t.Errorf("pressure %v (there: %v)", v, there)
	}
}
