// Package child runs the processes that benches measure, and tells what they cost.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is a child with its output in a file.
type Process struct {
	Name  string
	log   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	// Done is closed when it has ended.
	Done chan struct{}
}

// Start runs a child. It is in a process group of its own, so that Ctrl-C reaches it only through Stop, and its
// standard input stays open until then: the control plane ends with it.
func Start(dir, name, path string, args ...string) (*Process, error) {
	p := &Process{Name: name, log: filepath.Join(dir, name+".log"), cmd: exec.Command(path, args...), Done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.Done)
	}()
	return p, nil
}

// grace is how long a child may take to end: it may have gigabytes to save.
const grace = time.Minute

// Kill ends the child at once, as a crash would.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.Done
}

// Good tells whether a child that is Done ended well.
func (p *Process) Good() bool { return p.cmd.ProcessState.Success() }

// Stop ends the child with a signal, and by force where that does not help. A second call does nothing.
func (p *Process) Stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Done:
	case <-time.After(grace):
		p.Kill()
	}
}

// Said returns the first line of the output that begins with prefix; "" while there is none.
func (p *Process) Said(prefix string) string {
	out, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte(prefix)) && bytes.HasSuffix(line, []byte("\n")) {
			return string(bytes.TrimSpace(line))
		}
	}
	return ""
}

// Wrote tells whether a line of the output has all of the texts in it.
func (p *Process) Wrote(texts ...string) bool {
	out, err := os.ReadFile(p.log)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(out)) {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			return true
		}
	}
	return false
}

// Tail is the end of the output.
func (p *Process) Tail() string {
	out, _ := os.ReadFile(p.log)
	return string(out[max(0, len(out)-3000):])
}

// Wait tries until check returns nil, and fails when the child has ended or the limit has passed.
func (p *Process) Wait(ctx context.Context, what string, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := errors.New("never tried")
	for ctx.Err() == nil {
		if err = check(ctx); err == nil {
			return nil
		}
		select {
		case <-p.Done:
			return fmt.Errorf("%s ended before %s; it said:\n%s", p.Name, what, p.Tail())
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("%s did not happen within %v: %w; %s said:\n%s", what, limit, err, p.Name, p.Tail())
}

// ticks are the units of /proc's times a second; Linux has told 100 to programs ever since.
const ticks = 100

// CPU returns the seconds of CPU that the child has used.
func (p *Process) CPU() (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("cannot tell the CPU time of %s: %w", p.Name, err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot tell the CPU time of %s: its stat file is %q", p.Name, stat)
	}
	var sum float64
	for _, field := range fields[11:13] { // utime and stime, the 14th and 15th of all
		used, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot tell the CPU time of %s: %w", p.Name, err)
		}
		sum += used / ticks
	}
	return sum, nil
}

// Memory returns the child's resident memory in MB: now, and the most that it ever was.
func (p *Process) Memory() (now, most float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("cannot tell the memory of %s: %w", p.Name, err)
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			now = kib * 1024 / 1e6
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			most = kib * 1024 / 1e6
		}
	}
	return now, most, nil
}
