// Package nodemem collects the memory of the host that Foresail runs on, from the files of /proc.
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
	"github.com/foresail/foresail/collectors/internal/slope"
	"github.com/foresail/foresail/forecast/series"
)

// The metrics, in bytes, bytes per second and as a ratio, with the label node.
const (
	totalBytes     = "node_memory_total_bytes"
	availableBytes = "node_memory_available_bytes"
	usedBytes      = "node_memory_used_bytes"
	headroomBytes  = "node_memory_headroom_bytes"
	growth         = "node_memory_growth_bytes_per_second"
	pressureRatio  = "node_memory_pressure_ratio"
)

const (
	// window is how far the growth looks back: memory moves in steps, when programs start and end.
	window = 5 * time.Minute
	// minSamples and minSpan are what the growth needs at least.
	minSamples, minSpan = 4, time.Minute
)

// Options are what a source is made of.
type Options struct {
	// Config must be valid.
	Config Config
}

// Source reads the memory of one host. Its methods must not be called at once.
type Source struct {
	node, proc string
	reserve    uint64
	used       slope.Window
	stalled    pressure // the newest reading, nil before the first
	stalledAt  time.Time
}

// New returns a source. It fails where the host's name is needed and not known.
func New(opts Options) (*Source, error) {
	node := opts.Config.Node
	if node == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("cannot name this node: %w", err)
		}
		node = name
	}
	return &Source{node: node, proc: opts.Config.Proc, reserve: uint64(max(0, opts.Config.ReserveBytes))}, nil
}

// Close does nothing: the source holds nothing open.
func (s *Source) Close() error { return nil }

// Collect reads the files. A kernel that does not tell its pressure has none; that is no error. What else is missing is
// named in the error, by one collectors.Missing each.
func (s *Source) Collect(ctx context.Context) ([]series.Point, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	used, memoryErr := s.memory()
	stalled, pressureErr := s.pressure()
	return append(used, stalled...), errors.Join(memoryErr, pressureErr)
}

func (s *Source) memory() ([]series.Point, error) {
	text, at, err := s.read("meminfo")
	if err != nil {
		return nil, err
	}
	m, err := parseMeminfo(text)
	if err != nil {
		return nil, s.missing("meminfo", err)
	}
	s.used.Add(at, float64(m.used()), window)
	points := []series.Point{
		s.point(totalBytes, at, float64(m.total)),
		s.point(availableBytes, at, float64(m.available)),
		s.point(usedBytes, at, float64(m.used())),
		s.point(headroomBytes, at, float64(m.headroom(s.reserve))),
	}
	if s.used.Len() >= minSamples && s.used.Span() >= minSpan {
		points = append(points, s.point(growth, at, s.used.Slope()))
	}
	return points, nil
}

func (s *Source) pressure() ([]series.Point, error) {
	text, at, err := s.read("pressure/memory")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EOPNOTSUPP) { // Not built in, or switched off at boot.
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now, err := parsePressure(text)
	if err != nil {
		return nil, s.missing("pressure/memory", err)
	}
	var points []series.Point
	elapsed := at.Sub(s.stalledAt)
	for kind, total := range now {
		if before, known := s.stalled[kind]; known && total >= before && elapsed > 0 {
			// A reading can be a little late for its own time, so the share can come out just above 1.
			share := min(1, float64(total-before)/float64(elapsed.Microseconds()))
			points = append(points, s.point(pressureRatio, at, share, series.Label{Name: "kind", Value: kind}))
		}
	}
	s.stalled, s.stalledAt = now, at
	return points, nil
}

// read returns a file's text and when it was read.
func (s *Source) read(name string) (string, time.Time, error) {
	text, err := os.ReadFile(filepath.Join(s.proc, name))
	if err != nil {
		return "", time.Time{}, s.missing(name, err)
	}
	return string(text), time.Now(), nil
}

func (s *Source) missing(name string, err error) error {
	reason := collectors.Other
	switch {
	case errors.Is(err, errBadFile):
		reason = collectors.BadData
	case errors.Is(err, fs.ErrNotExist):
		reason = collectors.NotFound
	case errors.Is(err, fs.ErrPermission):
		reason = collectors.Denied
	}
	return &collectors.Missing{What: filepath.Join(s.proc, name), Reason: reason, Err: err}
}

func (s *Source) point(metric string, at time.Time, value float64, labels ...series.Label) series.Point {
	key := series.NewKey(metric, append(labels, series.Label{Name: "node", Value: s.node})...)
	return series.Point{Key: key, Sample: series.Sample{Time: at, Value: value}}
}
