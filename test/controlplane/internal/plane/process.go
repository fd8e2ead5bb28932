package plane

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a child may take to end by itself; its data is thrown away, so nothing is lost by the kill after it.
const stopGrace = time.Second

// process is one child of the plane, alone in its process group so that Ctrl-C reaches only the launcher.
type process struct {
	name    string
	logFile string
	cmd     *exec.Cmd
	done    chan struct{} // Closed when it has ended; err is set before.
	err     error
}

// startProcess runs binary bin/NAME in dir, with its output in dir/NAME.log. Its environment is small and its home is dir,
// so that no setting of the user's (KWOK_*, ETCD_*, ~/.kwok) changes the plane. When it ends it is sent to ended.
// The caller's goroutine must be locked to its thread until the process is stopped: see childAttr.
func startProcess(bin, name, dir string, args []string, ended chan<- *process) (*process, error) {
	p := &process{name: name, logFile: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.logFile)
	if err != nil {
		return nil, fmt.Errorf("cannot create the log of %s: %w", name, err)
	}
	defer log.Close()
	p.cmd = exec.Command(filepath.Join(bin, name), args...)
	p.cmd.Dir, p.cmd.Env = dir, childEnv(dir)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = childAttr()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
		ended <- p
	}()
	return p, nil
}

// stop ends the process group: politely, then after stopGrace by force.
func (p *process) stop() {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = syscall.Kill(-p.cmd.Process.Pid, sig) // It may have ended already.
		select {
		case <-p.done:
			return
		case <-time.After(stopGrace):
		}
	}
}

// failure is the error of a process that ended though nobody stopped it; p.done must be closed.
func (p *process) failure() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended unexpectedly: %s; the end of %s:\n%s", p.name, how, p.logFile, p.tail())
}

// tail returns the last lines of the process's log.
func (p *process) tail() string {
	const most, lines = 16 << 10, 20
	f, err := os.Open(p.logFile)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func childEnv(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
}
