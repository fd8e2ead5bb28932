package e2e

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

const jumpingConfig = `
backends: [{name: main, prometheus: {url: %q}}]
store: {path: %q}
web: {listen: "127.0.0.1:%d"}
metrics:
  - {name: asked, query: sum(queue_depth), interval: 1s, maxAge: 3s, external: {}}
  - {name: stored, query: node_memory_used_bytes, backend: store, interval: 1s, maxAge: 3s, external: {}}
collectors: {nodeMemory: [{interval: 1s}]}
schedules: [{name: sale, metrics: [asked], calendar: [{from: %q, to: %q}], floor: 1}]
`

// TestClockJumps has the wall clock of Foresail, and of nobody else, jump by an hour: ahead, right again, behind, and right again. What
// its backend and its own store would say of another hour is never told: reads are errors that say so, until the clocks agree.
func TestClockJumps(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	clock := newVDSO(t)
	p, main, web, now := startPlane(t, time.Second), startSource(t), freePort(t), time.Now()
	page := fmt.Sprintf("http://127.0.0.1:%d/metrics", web)
	var before []series.Point // an hour ago the queue was shorter
	for at := now.Add(-80 * time.Minute); at.Before(now.Add(-40 * time.Minute)); at = at.Add(5 * time.Second) {
		before = append(before, series.Point{Key: series.NewKey("queue_depth"), Sample: series.Sample{Time: at, Value: 3}})
	}
	if err := main.store.Load().Append(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	main.gauge("queue_depth", 7)
	config := fmt.Sprintf(jumpingConfig, main.url, t.TempDir(), web, now.Add(40*time.Minute).Format(time.RFC3339), now.Add(80*time.Minute).Format(time.RFC3339))
	s := startForesail(t, p, config, flags{})
	p.mustKubectl(t, readerManifest, "apply", "-f", "-")
	token := p.token(t, "shop", "reader")
	read := func(ctx context.Context, metric string) error {
		return answers(ctx, p.config.Host+externalOfShop+metric, token, http.StatusOK)
	}
	ctx, cancel := context.WithCancel(context.Background())
	watched := twiceASecond(ctx, func(time.Time) {
		if tells(ctx, p.config.Host+externalOfShop+"asked", token, "3") == nil {
			t.Error("what was an hour ago is told")
		}
	})
	defer func() {
		cancel()
		<-watched
	}()
	const refusesFuture, refusesPast, refusesStore = "behind this machine's", "ahead of this machine's", "the clock was set back"
	for _, jump := range []struct {
		to            time.Duration
		asked, stored string // what a read's error says; "" is an answer
		sale          float64
	}{
		{0, "", "", 0},
		{time.Hour, refusesFuture, "", 1},
		{0, "", refusesStore, 0}, // The store has samples of an hour that is not yet.
		{-time.Hour, refusesPast, refusesStore, 0},
		{time.Hour, refusesFuture, "", 1},
		{0, "", refusesStore, 0},
	} {
		clock.jump(t, s.cmd.Process.Pid, jump.to)
		for metric, says := range map[string]string{"asked": jump.asked, "stored": jump.stored} {
			eventually(t, time.Minute, fmt.Sprintf("%s with a clock that is off by %v says %q", metric, jump.to, says), func(ctx context.Context) error {
				switch err := read(ctx, metric); {
				case says == "":
					return err
				case err == nil:
					return errors.New("it is answered")
				case !strings.Contains(err.Error(), says):
					return err
				}
				return nil
			})
		}
		if got := exposed(t, page, "foresail_schedule_active"); got != jump.sale {
			t.Errorf("with a clock that is off by %v the schedule is in force: %v, want %v", jump.to, got, jump.sale)
		}
	}
	for _, backend := range []string{`backend="main"`, `backend="store"`} {
		if exposed(t, page, "foresail_backend_query_errors_total", backend, `reason="clock"`) == 0 {
			t.Errorf("no metric tells that the clocks differ: %s", backend)
		}
	}
	if s.tail(1) == "" || strings.Count(s.tail(1000), "did the clock jump back?") > 10 {
		t.Errorf("it is logged over and over: %s", s.tail(20))
	}
}

// vdso is the code that the kernel lends to each process for asking the time, which is where Go's time.Now goes.
type vdso struct {
	offset int64 // of clock_gettime
}

func newVDSO(t *testing.T) *vdso {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skipf("the code of another clock is that of linux/amd64, not of %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	from, to := mapped(t, os.Getpid())
	image := make([]byte, to-from)
	self, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if _, err := self.ReadAt(image, from); err != nil {
		t.Fatalf("cannot read the vDSO: %v", err)
	}
	object, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatalf("cannot read the vDSO: %v", err)
	}
	symbols, err := object.DynamicSymbols()
	if err != nil {
		t.Fatalf("cannot read the vDSO's symbols: %v", err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "__vdso_clock_gettime" })
	if i < 0 {
		t.Skip("this kernel's vDSO has no clock")
	}
	return &vdso{offset: int64(symbols[i].Value)}
}

// jump has the wall clock of a process be ahead of this machine's by so much, or behind it, from one moment to the next. Its
// monotonic clock goes on.
func (v *vdso) jump(t *testing.T, pid int, by time.Duration) {
	t.Helper()
	code := []byte{
		0xb8, 0xe4, 0, 0, 0, // mov $228, %eax: clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test %edi, %edi: which clock; 0 is CLOCK_REALTIME
		0x75, 0x0a, // jne to ret
		0x48, 0x8b, 0x0d, 0x04, 0, 0, 0, // mov seconds(%rip), %rcx
		0x48, 0x01, 0x0e, // add %rcx, (%rsi)
		0xc3, // ret
	}
	code = binary.LittleEndian.AppendUint64(code, uint64(by/time.Second))
	from, to := mapped(t, pid)
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("cannot write to the memory of a child: %v", err)
	}
	defer memory.Close()
	eventually(t, time.Minute, "a moment at which nobody asks the time", func(context.Context) error {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return err
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
		if err := outside(pid, from, to); err != nil {
			return err
		}
		_, err := memory.WriteAt(code, from+v.offset)
		return err
	})
}

// outside checks that all threads of a process stand still, none of them in a part of its memory.
func outside(pid int, from, to int64) error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	if err != nil {
		return err
	}
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fields := strings.Fields(string(text)) // number, arguments, stack and program counter; or "running"
		var at int64
		if _, err := fmt.Sscanf(fields[len(fields)-1], "0x%x", &at); err != nil {
			return fmt.Errorf("a thread stands nowhere: %s", text)
		}
		if from <= at && at < to {
			return errors.New("a thread asks the time")
		}
	}
	return nil
}

// mapped is where the vDSO is in the memory of a process.
func mapped(t *testing.T, pid int) (from, to int64) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimSpace(line), "[vdso]") {
			if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
				t.Fatal(err)
			}
			return from, to
		}
	}
	t.Fatalf("process %d has no vDSO", pid)
	return 0, 0
}
