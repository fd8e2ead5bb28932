package snapshots

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/shard"
)

// pathOf is the file of a shard: one that was split in another way knows other series.
func pathOf(path string, s shard.Split) string {
	if s.Whole() || path == "" {
		return path
	}
	return fmt.Sprintf("%s.%d-of-%d", path, s.Shard, s.Total)
}

// newest returns the newest snapshot that the shard, or what there was before it was one of so many, has left in the directory, its own
// where there is none.
func (k *Keeper) newest() (string, error) {
	dir, base := filepath.Split(k.base)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if errors.Is(err, fs.ErrNotExist) {
		return k.Path, nil
	}
	best, at := k.Path, time.Time{}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), base)
		var ordinal, total int
		if ours && rest != "" {
			n, _ := fmt.Sscanf(rest, ".%d-of-%d", &ordinal, &total)
			ours = n == 2 && e.Name() == filepath.Base(pathOf(k.base, shard.Split{Shard: ordinal, Total: total})) && (k.Split.Whole() || ordinal == k.Split.Shard)
		}
		if !ours {
			continue
		}
		info, e := e.Info()
		if e == nil && info.ModTime().After(at) {
			best, at = filepath.Join(dir, info.Name()), info.ModTime()
		}
	}
	return best, err
}
