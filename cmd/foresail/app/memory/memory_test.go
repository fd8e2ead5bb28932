package memory

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGarbageIsBounded(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 100}, {64 << 20, 100}, {128 << 20, 100},
		{512 << 20, 25}, // 128 MiB of garbage.
		{2000 << 20, 6}, // 120 MiB.
		{64 << 30, 5},
	} {
		if got := gcPercent(c.live); got != c.want {
			t.Errorf("%d MiB: %d %%, want %d", c.live>>20, got, c.want)
		}
	}
}

func TestContainerLimit(t *testing.T) {
	for _, c := range []struct {
		file, text string
		want       uint64
		ok         bool
	}{
		{"memory.max", "536870912\n", 512 << 20, true},
		{"memory.max", "max\n", 0, false},
		{"memory/memory.limit_in_bytes", "1073741824\n", 1 << 30, true},
		{"memory/memory.limit_in_bytes", "9223372036854771712\n", 9223372036854771712, false},
		{"memory.max", "0\n", 0, false},
		{"other", "1\n", 0, false},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, c.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := containerLimit(dir); got != c.want || ok != c.ok {
			t.Errorf("%s of %q: %d, %v; want %d, %v", c.file, c.text, got, ok, c.want, c.ok)
		}
	}
}
