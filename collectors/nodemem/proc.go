package nodemem

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errBadFile is the error of a file that cannot be understood.
var errBadFile = errors.New("cannot understand the file")

// memory is the state of a host's memory in bytes.
type memory struct {
	total     uint64 // MemTotal: what the kernel manages
	available uint64 // MemAvailable: the kernel's estimate of what programs can get without swapping
}

// used returns what programs cannot get: total - available. It is not the working set of cAdvisor, which counts the
// active page cache too.
func (m memory) used() uint64 { return m.total - m.available }

// headroom returns what programs can get beyond the reserve, at least 0.
func (m memory) headroom(reserve uint64) uint64 {
	return m.available - min(m.available, reserve)
}

// parseMeminfo reads /proc/meminfo (proc_meminfo(5)). It needs MemAvailable, which Linux has since 3.14.
func parseMeminfo(text string) (memory, error) {
	fields := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "MemTotal" && name != "MemAvailable" {
			continue
		}
		number, isKiB := strings.CutSuffix(strings.TrimSpace(rest), " kB") // the kernel writes kB and means KiB
		kib, err := strconv.ParseUint(strings.TrimSpace(number), 10, 53)
		if err != nil || !isKiB {
			return memory{}, fmt.Errorf("%w: %q", errBadFile, strings.TrimSpace(line))
		}
		fields[name] = kib << 10
	}
	m := memory{total: fields["MemTotal"], available: fields["MemAvailable"]}
	_, known := fields["MemAvailable"]
	switch {
	case m.total == 0 || !known:
		return memory{}, fmt.Errorf("%w: no MemTotal or no MemAvailable", errBadFile)
	case m.available > m.total:
		return memory{}, fmt.Errorf("%w: %d bytes available of %d", errBadFile, m.available, m.total)
	}
	return m, nil
}

// pressure is how long tasks have waited for memory since the host started, in microseconds, by kind: "some" while at
// least one task waited, "full" while all did.
type pressure map[string]uint64

// parsePressure reads /proc/pressure/memory (Linux Documentation/accounting/psi.rst): lines such as
// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0".
func parsePressure(text string) (pressure, error) {
	p := pressure{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "some" && words[0] != "full" {
			return nil, fmt.Errorf("%w: %q", errBadFile, strings.TrimSpace(line))
		}
		for _, word := range words[1:] {
			number, isTotal := strings.CutPrefix(word, "total=")
			if !isTotal {
				continue
			}
			total, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %q", errBadFile, strings.TrimSpace(line))
			}
			p[words[0]] = total
		}
	}
	if _, known := p["some"]; !known {
		return nil, fmt.Errorf("%w: no total of some", errBadFile)
	}
	return p, nil
}
