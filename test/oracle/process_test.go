package oracle

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a child process and what it printed, line by line.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}

	mu    sync.Mutex
	lines []string
	err   error
}

// start runs a child whose standard input is open until stop, so that it does not outlive the test even by force.
func start(name, path string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(path, args...), done: make(chan struct{})}
	read, write := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = write, write
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go p.read(read)
	go func() {
		err := p.cmd.Wait()
		_ = write.Close()
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(p.done)
	}()
	return p, nil
}

func (p *process) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r)
}

func (p *process) tail(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines[max(0, len(p.lines)-n):], "\n")
}

// ended tells whether the child has ended, without waiting for it.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the child with a signal, and by force where that does not help.
func (p *process) stop() error {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end within 20 s of SIGTERM", p.name)
	}
}

// waitFor returns what follows prefix in the first line that begins with it.
func (p *process) waitFor(prefix string, limit time.Duration) (string, error) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		for _, line := range p.lines {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				p.mu.Unlock()
				return rest, nil
			}
		}
		p.mu.Unlock()
		if p.ended() {
			return "", fmt.Errorf("%s ended before it printed %q:\n%s", p.name, prefix, p.tail(40))
		}
	}
	return "", fmt.Errorf("%s did not print %q within %v:\n%s", p.name, prefix, limit, p.tail(40))
}

// background starts a child that ends with the test.
func background(t *testing.T, name, path string, args ...string) *process {
	t.Helper()
	p, err := start(name, path, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the end of what %s printed:\n%s", name, p.tail(20))
		}
	})
	return p
}

// ports hands out ports of the loopback interface below those that the system gives to connections.
type ports struct{ last int }

func (p *ports) next() (int, error) {
	for range 1000 {
		p.last++
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.last))
		if err == nil {
			return p.last, l.Close()
		}
	}
	return 0, fmt.Errorf("no port below %d is free", p.last)
}
