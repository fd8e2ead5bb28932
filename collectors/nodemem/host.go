package nodemem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/nodemem/room"
)

// host reads this host.
type host struct{ node, proc string }

func newHost(c *Config) (*host, error) {
	if c.Node != "" {
		return &host{c.Node, c.Proc}, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("cannot name this node: %w", err)
	}
	return &host{name, c.Proc}, nil
}

func (h *host) close() {}

// read reads the files. A kernel that does not tell its pressure has none; that is no error.
func (h *host) read(context.Context, []*room.Node) (map[string]reading, error) {
	r := newReading(time.Now())
	memoryErr := h.memory(&r)
	pressureErr := h.pressure(&r)
	if memoryErr != nil && r.stalled == nil {
		return nil, errors.Join(memoryErr, pressureErr)
	}
	return map[string]reading{h.node: r}, errors.Join(memoryErr, pressureErr)
}

func (h *host) memory(r *reading) error {
	text, err := os.ReadFile(filepath.Join(h.proc, "meminfo"))
	if err != nil {
		return h.missing("meminfo", err)
	}
	r.at = time.Now()
	m, err := parseMeminfo(string(text))
	if err != nil {
		return h.missing("meminfo", err)
	}
	r.capacity, r.available, r.anonymous = m.total, m.available, m.anonymous
	return nil
}

func (h *host) pressure(r *reading) error {
	text, err := os.ReadFile(filepath.Join(h.proc, "pressure/memory"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EOPNOTSUPP) { // Not built in, or switched off at boot.
		return nil
	}
	if err != nil {
		return h.missing("pressure/memory", err)
	}
	if r.stalled, err = parsePressure(string(text)); err != nil {
		return h.missing("pressure/memory", err)
	}
	return nil
}

func (h *host) missing(name string, err error) error {
	reason := collectors.Other
	switch {
	case errors.Is(err, errBadFile):
		reason = collectors.BadData
	case errors.Is(err, fs.ErrNotExist):
		reason = collectors.NotFound
	case errors.Is(err, fs.ErrPermission):
		reason = collectors.Denied
	}
	return &collectors.Missing{What: filepath.Join(h.proc, name), Reason: reason, Err: err}
}
