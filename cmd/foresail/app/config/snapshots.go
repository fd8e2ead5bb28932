package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"time"
)

// Snapshots say where and how often what forecasts have learnt is saved.
type Snapshots struct {
	// Path is the file. Default forecasts.snapshot in the embedded store's directory, and no file where that store is not used.
	Path string `yaml:"path"`
	// Interval is the time between two of them; one more is saved at the end. Default 15m.
	Interval time.Duration `yaml:"interval"`
}

// SnapshotPath is the file for snapshots; "" for none.
func (f *File) SnapshotPath() string {
	if f.Snapshots.Path == "" && f.UsesStore() {
		return filepath.Join(f.Store.Path, "forecasts.snapshot")
	}
	return f.Snapshots.Path
}

// Every is the interval, or its default.
func (s Snapshots) Every() time.Duration { return cmp.Or(s.Interval, 15*time.Minute) }

func (s Snapshots) validate(report func(field, problem string)) {
	if s.Every() < time.Second {
		report("interval", fmt.Sprintf("%v is too short: use 1s or more", s.Interval))
	}
}
