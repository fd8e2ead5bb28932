package nodemem

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/collectortest"
	"github.com/foresail/foresail/forecast/series"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// procfs is a /proc of files that tests change.
type procfs struct {
	t    *testing.T
	root string
}

// newProc returns a copy of testdata/proc.
func newProc(t *testing.T) procfs {
	t.Helper()
	h := procfs{t: t, root: t.TempDir()}
	if err := os.CopyFS(h.root, os.DirFS("testdata/proc")); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h procfs) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.root, name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h procfs) remove(name string) {
	h.t.Helper()
	if err := os.RemoveAll(filepath.Join(h.root, name)); err != nil {
		h.t.Fatal(err)
	}
}

// available sets MemAvailable of 8 GiB in total.
func (h procfs) available(bytes int64) {
	h.write("meminfo", fmt.Sprintf("MemTotal:        8388608 kB\nMemFree: 1 kB\nMemAvailable:    %d kB\n", bytes>>10))
}

func (h procfs) source() *Source {
	h.t.Helper()
	c := Config{Node: "n1", Proc: h.root}
	c.Default()
	s, err := New(Options{Config: c})
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// values returns a collection as text to value, and its error.
func values(t *testing.T, s *Source) (map[string]float64, error) {
	t.Helper()
	points, err := s.Collect(t.Context())
	collectortest.Told(t, Metrics(), points)
	out := make(map[string]float64, len(points))
	for _, p := range points {
		out[p.Key.String()] = p.Value
	}
	return out, err
}

func TestCollect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newProc(t)
		s := h.source()
		got, err := values(t, s)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{
			`node_memory_capacity_bytes{node="n1",source="proc"}`:  8 << 30,
			`node_memory_available_bytes{node="n1",source="proc"}`: 2 << 30,
			`node_memory_used_bytes{node="n1",source="proc"}`:      6 << 30,         // 8 GiB - 2 GiB
			`node_memory_headroom_bytes{node="n1",source="proc"}`:  2<<30 - 100<<20, // 2 GiB - the reserve of 100 MiB
		}
		compare(t, got, want)

		// 15 s later tasks have waited 3 s more in part and 0.75 s more in full: a fifth and a twentieth of the time.
		h.write("pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2250000\n")
		time.Sleep(15 * time.Second)
		got, err = values(t, s)
		if err != nil {
			t.Fatal(err)
		}
		want[`node_memory_pressure_ratio{kind="some",node="n1",source="proc"}`] = 0.2
		want[`node_memory_pressure_ratio{kind="full",node="n1",source="proc"}`] = 0.05
		compare(t, got, want)
	})
}

func compare(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for key, value := range want {
		if g, there := got[key]; !there || math.Abs(g-value) > 1e-9 {
			t.Errorf("%s = %v (there: %v), want %v", key, g, there, value)
		}
	}
	for key := range got {
		if _, wanted := want[key]; !wanted {
			t.Errorf("%s was not expected", key)
		}
	}
}

func TestGrowth(t *testing.T) {
	const key = `node_memory_growth_bytes_per_second{node="n1",source="proc"}`
	synctest.Test(t, func(t *testing.T) {
		h := newProc(t)
		s := h.source()
		for i := range 30 {
			// 1 MiB/s more is used; one reading is wild (a program that came and went).
			available := 7<<30 - int64(15*i)<<20
			if i == 12 {
				available = 1 << 30
			}
			h.available(available)
			got, err := values(t, s)
			if err != nil {
				t.Fatal(err)
			}
			v, there := got[key]
			// 4 samples that span a minute: the fifth is the first at 15 s.
			if there != (i >= 4) {
				t.Fatalf("after %d samples growth is there: %v", i+1, there)
			}
			if there && math.Abs(v-1<<20) > 1 {
				t.Errorf("after %d samples growth = %v, want %d", i+1, v, 1<<20)
			}
			time.Sleep(15 * time.Second)
		}
		// The window is 10 minutes: 41 samples after memory has been freed, nothing of the rise is left.
		for i := range 41 {
			h.available(1<<30 + int64(30*i)<<20)
			got, _ := values(t, s)
			if i == 40 && math.Abs(got[key]+2<<20) > 1 {
				t.Errorf("growth = %v, want %d", got[key], -2<<20)
			}
			time.Sleep(15 * time.Second)
		}
	})
}

func TestHeadroomIsNotNegative(t *testing.T) {
	h := newProc(t)
	h.available(50 << 20)
	got, err := values(t, h.source())
	if v, there := got[`node_memory_headroom_bytes{node="n1",source="proc"}`]; err != nil || !there || v != 0 {
		t.Errorf("headroom = %v (there: %v, error %v), want 0: 50 MiB are less than the reserve", v, there, err)
	}
}

func TestPressure(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after string // "" means no file
		want          map[string]float64
		reason        []collectors.Reason
	}{
		{"not built into the kernel", "", "", nil, nil},
		{"appears", "", "some total=5\nfull total=3\n", nil, nil},
		{"goes", "some total=5\nfull total=3\n", "", nil, nil},
		{"kernel without full", "some total=5\n", "some total=1500005\n", map[string]float64{"some": 0.1}, nil},
		{"unchanged", "some total=5\nfull total=3\n", "some total=5\nfull total=3\n", map[string]float64{"some": 0, "full": 0}, nil},
		{"counter went back", "some total=50\nfull total=30\n", "some total=5\nfull total=30\n", map[string]float64{"full": 0}, nil},
		{"more than the time", "some total=0\n", "some total=15000100\n", map[string]float64{"some": 1}, nil},
		{"empty", "some total=5\n", "\n", nil, []collectors.Reason{collectors.BadData}},
		{"nonsense", "some total=5\n", "some total=-5\n", nil, []collectors.Reason{collectors.BadData}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newProc(t)
				s := h.source()
				for _, text := range []string{tt.before, tt.after} {
					h.remove("pressure/memory")
					if text != "" {
						h.write("pressure/memory", text)
					}
					time.Sleep(15 * time.Second)
					points, err := s.Collect(t.Context())
					if text == tt.before {
						continue
					}
					if got := collectors.Reasons(err); !slices.Equal(got, tt.reason) {
						t.Errorf("error %v, want the reasons %v", err, tt.reason)
					}
					got := make(map[string]float64)
					for _, p := range points {
						if p.Key.Metric == pressureRatio {
							got[p.Key.Get("kind")] = p.Value
						}
					}
					compare(t, got, tt.want)
				}
			})
		})
	}
}

func TestParseMeminfoRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":                 "",
		"no MemAvailable":       "MemTotal: 10 kB\n",
		"no MemTotal":           "MemAvailable: 10 kB\n",
		"total of 0":            "MemTotal: 0 kB\nMemAvailable: 0 kB\n",
		"more than there is":    "MemTotal: 10 kB\nMemAvailable: 11 kB\n",
		"negative":              "MemTotal: 10 kB\nMemAvailable: -1 kB\n",
		"another unit":          "MemTotal: 10 MB\nMemAvailable: 1 kB\n",
		"no unit":               "MemTotal: 10\nMemAvailable: 1\n",
		"no number":             "MemTotal: kB\nMemAvailable: 1 kB\n",
		"overflows when scaled": "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n",
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := parseMeminfo(text); !errors.Is(err, errBadFile) {
				t.Errorf("parseMeminfo = %+v, %v; want errBadFile", m, err)
			}
		})
	}
}

func TestMissingMeminfoIsAnError(t *testing.T) {
	h := newProc(t)
	h.remove("meminfo")
	_, err := values(t, h.source())
	if got := collectors.Reasons(err); !slices.Equal(got, []collectors.Reason{collectors.NotFound}) {
		t.Errorf("error %v, want not found", err)
	}
	if err == nil || !strings.Contains(err.Error(), filepath.Join(h.root, "meminfo")) {
		t.Errorf("the error %v does not name the file", err)
	}
}

// TestThisHost reads the memory of the machine that runs the test, and compares it with a second look at it.
func TestThisHost(t *testing.T) {
	if _, err := os.Stat("/proc/meminfo"); err != nil {
		t.Skip("this host has no /proc/meminfo:", err)
	}
	var c Config
	c.Default()
	s, err := New(Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	points, err := s.Collect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	byMetric := make(map[string]series.Point)
	for _, p := range points {
		byMetric[p.Key.Metric] = p
		if p.Key.Get("node") != name {
			t.Errorf("%v, want the node %q", p.Key, name)
		}
	}
	total, available, used := byMetric[capacityBytes].Value, byMetric[availableBytes].Value, byMetric[usedBytes].Value
	if total < 64<<20 || available <= 0 || used <= 0 || total != available+used {
		t.Errorf("total %v, available %v, used %v", total, available, used)
	}
}

func TestConformance(t *testing.T) {
	collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
		h := newProc(t)
		seconds := 0
		advance := func() {
			seconds++
			h.available(7<<30 - int64(seconds)<<20)
			h.write("pressure/memory", fmt.Sprintf("some total=%d\nfull total=%d\n", 300_000*seconds, 150_000*seconds))
		}
		move := advance
		return &collectortest.Peer{
			Source:     advancing{h.source(), &move},
			Metrics:    Metrics(),
			Interval:   15 * time.Second,
			Settle:     6,
			CannotHang: "it is the kernel of this host, which answers from memory",
			Gone: func() {
				move = func() { h.remove("meminfo"); h.remove("pressure/memory") }
			},
			Heal: func() { move = advance },
			Partial: func() string {
				move = func() { advance(); h.write("pressure/memory", "some total=\n") }
				return "pressure/memory"
			},
			Garble: func() {
				move = func() { advance(); h.write("meminfo", "MemTotal: 12 parsecs\n") }
			},
			Close: func() {},
		}
	})
}

// advancing lets the host move on before each collection.
type advancing struct {
	*Source
	move *func()
}

// Collect moves the host and reads it.
func (a advancing) Collect(ctx context.Context) ([]series.Point, error) {
	(*a.move)()
	return a.Source.Collect(ctx)
}

func FuzzParse(f *testing.F) {
	f.Add("MemTotal: 10 kB\nMemAvailable: 5 kB\n", "some avg10=0.00 total=1\nfull total=2\n")
	f.Add("MemTotal:\x00", "some total=99999999999999999999999")
	f.Fuzz(func(t *testing.T, meminfo, psi string) {
		if m, err := parseMeminfo(meminfo); err == nil && !(m.total > 0 && m.available <= m.total) {
			t.Errorf("parseMeminfo(%q) = %+v", meminfo, m)
		}
		if p, err := parsePressure(psi); err == nil && len(p) == 0 {
			t.Errorf("parsePressure(%q) is empty and no error", psi)
		}
	})
}
