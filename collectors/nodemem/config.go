package nodemem

import (
	"fmt"
	"path/filepath"
	"time"
)

// defaultReserve is what a kubelet keeps free by default before it evicts pods (evictionHard, memory.available).
const defaultReserve = 100 << 20

// Config is how the memory of this host is read.
type Config struct {
	// Node is the value of the label node; the host's name by default.
	Node string `yaml:"node"`
	// Proc is where the kernel's process file system is mounted; /proc by default.
	Proc string `yaml:"proc"`
	// Interval is the time between two collections; 15s by default.
	Interval time.Duration `yaml:"interval"`
	// ReserveBytes is what must stay free and is no headroom; 104857600 (100 MiB) by default.
	ReserveBytes int64 `yaml:"reserveBytes"`
}

// Default fills in what was left out.
func (c *Config) Default() {
	if c.Proc == "" {
		c.Proc = "/proc"
	}
	if c.Interval == 0 {
		c.Interval = 15 * time.Second
	}
	if c.ReserveBytes == 0 {
		c.ReserveBytes = defaultReserve
	}
}

// Validate reports every field that does not make sense: the path of the field below this struct, and what to do.
func (c *Config) Validate(report func(field, problem string)) {
	if !filepath.IsAbs(c.Proc) {
		report("proc", fmt.Sprintf("%q is not an absolute path", c.Proc))
	}
	if c.Interval < time.Second {
		report("interval", fmt.Sprintf("%v is too short: use 1s or more", c.Interval))
	}
	if c.ReserveBytes < 0 {
		report("reserveBytes", "use a number of bytes above 0, or leave it out")
	}
}
