package collectortest

import (
	"os"
	"path/filepath"
	"testing"
)

// WriteFile writes a file that only its owner may read, in place of one that is there, and returns its path.
func WriteFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
