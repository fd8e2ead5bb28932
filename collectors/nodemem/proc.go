package nodemem

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// errBadFile is the error of a file that cannot be understood.
var errBadFile = errors.New("cannot understand the file")

// memory is the state of a host's memory in bytes.
type memory struct {
	total     float64 // MemTotal: what the kernel manages
	available float64 // MemAvailable: the kernel's estimate of what programs can get without swapping
	anonymous float64 // AnonPages: memory with no file behind it; NaN where it is not told
}

// parseMeminfo reads /proc/meminfo (proc_meminfo(5)). It needs MemAvailable, which Linux has since 3.14.
func parseMeminfo(text string) (memory, error) {
	fields := map[string]float64{"MemTotal": math.NaN(), "MemAvailable": math.NaN(), "AnonPages": math.NaN()}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		if _, wanted := fields[name]; !wanted {
			continue
		}
		number, isKiB := strings.CutSuffix(strings.TrimSpace(rest), " kB") // the kernel writes kB and means KiB
		kib, err := strconv.ParseUint(strings.TrimSpace(number), 10, 43)   // so that the bytes are whole as a float64
		if err != nil || !isKiB {
			return memory{}, fmt.Errorf("%w: %q", errBadFile, strings.TrimSpace(line))
		}
		fields[name] = float64(kib << 10)
	}
	m := memory{total: fields["MemTotal"], available: fields["MemAvailable"], anonymous: fields["AnonPages"]}
	switch {
	case !(m.total > 0) || math.IsNaN(m.available):
		return memory{}, fmt.Errorf("%w: no MemTotal or no MemAvailable", errBadFile)
	case m.available > m.total:
		return memory{}, fmt.Errorf("%w: %.0f bytes available of %.0f", errBadFile, m.available, m.total)
	}
	return m, nil
}

// parsePressure reads /proc/pressure/memory (Linux Documentation/accounting/psi.rst), lines such as
// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0": how long tasks have waited for memory since the host started, in
// seconds, by kind: "some" while at least one task waited, "full" while all did.
func parsePressure(text string) (map[string]float64, error) {
	p := make(map[string]float64)
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
			micros, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%w: %q", errBadFile, strings.TrimSpace(line))
			}
			p[words[0]] = float64(micros) / 1e6
		}
	}
	if _, known := p["some"]; !known {
		return nil, fmt.Errorf("%w: no total of some", errBadFile)
	}
	return p, nil
}
