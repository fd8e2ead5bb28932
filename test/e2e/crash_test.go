package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var kills = flag.Int("kills", 100, "how often TestKilled kills")

// alone is a Foresail without a cluster that collects this host's memory every second into its store.
type alone struct {
	*output
	url  string
	args []string
}

func newAlone(t *testing.T, store string) *alone {
	t.Helper()
	port := freePort(t)
	file := writeFile(t, "foresail.yaml", fmt.Sprintf("standalone: true\nstore: {path: %q}\nweb: {listen: \"127.0.0.1:%d\"}\n"+
		"metrics: [{name: used, query: node_memory_used_bytes, interval: 1s, forecast: {}}]\ncollectors: {nodeMemory: [{interval: 1s}]}\n", store, port))
	return &alone{url: fmt.Sprintf("http://127.0.0.1:%d", port), args: []string{"serve", "--config", file}}
}

// start runs it until it answers, and returns how long that took.
func (a *alone) start(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	a.output = process(t, "foresail", filepath.Join(root, "bin", "foresail"), a.args...)
	eventually(t, 30*time.Second, "an answer after the start", func(ctx context.Context) error {
		select {
		case <-a.done:
			t.Fatalf("it did not start: %v: %s", a.err, a.tail(10))
		default:
		}
		_, err := a.samples(ctx)
		return err
	})
	return time.Since(began)
}

// samples counts those in the store of what is collected.
func (a *alone) samples(ctx context.Context) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/api/v1/query?query="+url.QueryEscape(`count_over_time(node_memory_used_bytes[1d])`), nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Status string
		Data   struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return 0, fmt.Errorf("status %d, %w: %s", response.StatusCode, err, body)
	}
	if len(answer.Data.Result) == 0 {
		return 0, nil
	}
	return strconv.Atoi(answer.Data.Result[0].Value[1].(string))
}

// TestKilled kills Foresail with SIGKILL at random moments, again and again. Each time it starts again, and has every sample that it
// had told of before. Every tenth time the newest segment of its log is torn too, or followed by garbage, as after a power cut:
// then it starts all the same, with what is whole.
func TestKilled(t *testing.T) {
	if !*enabled {
		t.Skip("takes minutes: run make e2e")
	}
	t.Parallel()
	store := t.TempDir()
	a := newAlone(t, store)
	known, lost := 0, 0
	var slowest time.Duration
	for round := range *kills {
		slowest = max(slowest, a.start(t))
		now, err := a.samples(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if now < known {
			t.Fatalf("round %d: %d samples were told of, %d are left", round, known, now)
		}
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond) // It is killed at random moments of another process.
		if now, err = a.samples(t.Context()); err != nil {
			t.Fatal(err)
		}
		known = max(known, now)
		if err := a.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-a.done
		if round%10 == 9 {
			lost += tear(t, store, round)
			known = 0
		}
	}
	a.start(t)
	now, err := a.samples(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("killed %d times, its log torn %d times of those (%d bytes): started each time, after %v at most; %d samples in the end",
		*kills, *kills/10, lost, slowest.Round(time.Millisecond), now)
}

// tear cuts the end off the newest segment of a store's log, or adds garbage, and returns by how many bytes.
func tear(t *testing.T, store string, round int) int {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(store, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no log in %s: %v", store, err)
	}
	newest := segments[len(segments)-1]
	info, err := os.Stat(newest)
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size()
	n := rand.Int64N(max(size, 1)/2 + 1)
	if round%20 == 9 {
		if err := os.Truncate(newest, size-n); err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	f, err := os.OpenFile(newest, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	garbage := make([]byte, 1+rand.IntN(100))
	for i := range garbage {
		garbage[i] = byte(rand.IntN(256))
	}
	if _, err := f.Write(garbage); err != nil {
		t.Fatal(err)
	}
	return len(garbage)
}

// TestDiskFull fills the disk of the store. Foresail lives, says so, and goes on once there is room; what it had is still there.
func TestDiskFull(t *testing.T) {
	if !*enabled {
		t.Skip("needs a disk of its own: run make e2e")
	}
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=160m"); err != nil {
		t.Skipf("cannot mount a small disk here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	a := newAlone(t, filepath.Join(disk, "store"))
	a.start(t)
	t.Cleanup(func() { a.stop(t) }) // before the disk goes
	growing := func(what string) {
		t.Helper()
		from := -1
		eventually(t, 30*time.Second, what, func(ctx context.Context) error {
			now, err := a.samples(ctx)
			if err != nil {
				return err
			}
			if from < 0 {
				from = now
			}
			if now < from+3 {
				return fmt.Errorf("%d samples became %d", from, now)
			}
			return nil
		})
	}
	growing("samples on a disk with room")
	before, err := a.samples(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	eventually(t, time.Minute, "being told that the disk is full", func(context.Context) error {
		if text := a.tail(50); !strings.Contains(text, "no space left on device") {
			return fmt.Errorf("it logs %s", text)
		}
		return nil
	})
	lines := strings.Count(a.tail(1000), "no space left on device")
	time.Sleep(5 * time.Second) // five collections of another process
	if more := strings.Count(a.tail(1000), "no space left on device"); more > lines+5 {
		t.Errorf("it is logged %d times in five seconds", more-lines)
	}
	if _, err := a.samples(t.Context()); err != nil {
		t.Errorf("it does not answer while the disk is full: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	growing("samples once there is room again")
	a.stop(t)
	took := a.start(t)
	after, err := a.samples(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after < before {
		t.Errorf("%d samples became %d", before, after)
	}
	t.Logf("%d samples before the disk was full, %d after; a start takes %v", before, after, took.Round(time.Millisecond))
}

// fill writes until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
