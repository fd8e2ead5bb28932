package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child with its output in a file.
type process struct {
	name  string
	log   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}
}

// start runs a child. It is in a process group of its own, so that Ctrl-C reaches it only through stop, and its
// standard input stays open until then: the control plane ends with it.
func start(dir, name, path string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), cmd: exec.Command(path, args...), done: make(chan struct{})}
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
		close(p.done)
	}()
	return p, nil
}

// stop ends the child with a signal, and by force where that does not help. A second call does nothing.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// said returns the first line of the output that begins with prefix; "" while there is none.
func (p *process) said(prefix string) string {
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

// tail is the end of the output.
func (p *process) tail() string {
	out, _ := os.ReadFile(p.log)
	return string(out[max(0, len(out)-3000):])
}

// wait tries until check returns nil, and fails when the child has ended or the limit has passed.
func (p *process) wait(ctx context.Context, what string, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := errors.New("never tried")
	for ctx.Err() == nil {
		if err = check(ctx); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before %s; it said:\n%s", p.name, what, p.tail())
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("%s did not happen within %v: %w; %s said:\n%s", what, limit, err, p.name, p.tail())
}

// ticks are the units of /proc's times a second; Linux has told 100 to programs ever since.
const ticks = 100

// cpu returns the seconds of CPU that the child has used.
func (p *process) cpu() (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("cannot tell the CPU time of %s: %w", p.name, err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("cannot tell the CPU time of %s: its stat file is %q", p.name, stat)
	}
	var sum float64
	for _, field := range fields[11:13] { // utime and stime, the 14th and 15th of all
		used, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot tell the CPU time of %s: %w", p.name, err)
		}
		sum += used / ticks
	}
	return sum, nil
}

// memory returns the child's resident memory in MB: now, and the most that it ever was.
func (p *process) memory() (now, most float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("cannot tell the memory of %s: %w", p.name, err)
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
