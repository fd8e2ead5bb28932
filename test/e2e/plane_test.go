// Package e2e runs the real foresail binary under a real Kubernetes control plane: etcd, kube-apiserver with the
// aggregator, the stock kube-controller-manager and kwok, all built from Go modules by test/controlplane.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	enabled = flag.Bool("e2e", false, "run against a real control plane; make e2e builds what it needs")
	curves  = flag.String("curves", "", "write the replica curves to this SVG file")
)

// root is the repository, seen from this package's folder.
const root = "../.."

// plane is one running control plane.
type plane struct {
	kubeconfig string // of an administrator
	adapter    string // the kubeconfig of a user who has no more rights than Foresail needs
	kubectlBin string
	config     *rest.Config // of an administrator
	client     kubernetes.Interface
}

// startPlane starts a control plane whose pods become Ready podReadyDelay after they were made. It ends with the test.
func startPlane(t *testing.T, podReadyDelay time.Duration, flags ...string) *plane {
	t.Helper()
	bin := filepath.Join(root, "test", "controlplane", "bin")
	launcher := filepath.Join(bin, "controlplane")
	if _, err := os.Stat(launcher); err != nil {
		t.Fatalf("cannot find the control plane, run make controlplane-build: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "plane")
	out := process(t, "controlplane", launcher, append([]string{"up", "--dir", dir, "--bin", bin,
		"--hpa-sync", "1s", "--pod-ready-delay", podReadyDelay.String()}, flags...)...)
	line := out.waitFor(t, "ready ", 2*time.Minute)
	p := &plane{adapter: filepath.Join(dir, "foresail.kubeconfig")}
	for field := range strings.FieldsSeq(line) {
		if path, ok := strings.CutPrefix(field, "kubeconfig="); ok {
			p.kubeconfig = path
		}
		if path, ok := strings.CutPrefix(field, "kubectl="); ok {
			p.kubectlBin = path
		}
	}
	var err error
	if p.config, err = clientcmd.BuildConfigFromFlags("", p.kubeconfig); err != nil {
		t.Fatalf("cannot read the plane's kubeconfig: %v", err)
	}
	p.config.QPS, p.config.Burst = 200, 400
	if p.client, err = kubernetes.NewForConfig(p.config); err != nil {
		t.Fatal(err)
	}
	return p
}

// kubectl runs kubectl and returns what it printed; an exit status other than 0 is an error that holds what it said.
func (p *plane) kubectl(ctx context.Context, stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(ctx, p.kubectlBin, append([]string{"--kubeconfig", p.kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("cannot run kubectl %s: %w: %s", strings.Join(args, " "), err, e.String())
	}
	return o.String(), e.String(), err
}

// mustKubectl is kubectl for the steps that a test cannot go on without.
func (p *plane) mustKubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, _, err := p.kubectl(ctx, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// output is what a child process printed so far, line by line.
type output struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	lines []string
	err   error
}

// process starts a child that ends with the test; what it printed is logged if the test failed.
func process(t *testing.T, name, path string, args ...string) *output {
	t.Helper()
	o := &output{name: name, cmd: exec.Command(path, args...), done: make(chan struct{})}
	read, write := io.Pipe()
	o.cmd.Stdout, o.cmd.Stderr = write, write
	// A child that reads its standard input lives as long as this pipe, even when the test is killed.
	stdin, err := o.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", name, err)
	}
	go o.read(read)
	go func() {
		err := o.cmd.Wait()
		_ = write.Close()
		o.mu.Lock()
		o.err = err
		o.mu.Unlock()
		close(o.done)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		o.stop(t)
		if t.Failed() {
			t.Logf("the end of what %s printed:\n%s", name, o.tail(60))
		}
	})
	return o
}

func (o *output) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		o.mu.Lock()
		o.lines = append(o.lines, lines.Text())
		o.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r)
}

func (o *output) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines[max(0, len(o.lines)-n):], "\n")
}

// stop ends the child as a person would, and by force when that does not help.
func (o *output) stop(t *testing.T) {
	t.Helper()
	_ = o.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-o.done:
	case <-time.After(20 * time.Second):
		t.Errorf("%s did not end within 20 s of SIGTERM", o.name)
		_ = o.cmd.Process.Kill()
		<-o.done
	}
}

// waitFor returns the first line that starts with prefix.
func (o *output) waitFor(t *testing.T, prefix string, limit time.Duration) string {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		o.mu.Lock()
		for _, line := range o.lines {
			if strings.HasPrefix(line, prefix) {
				o.mu.Unlock()
				return line
			}
		}
		o.mu.Unlock()
		select {
		case <-o.done:
			t.Fatalf("%s ended before it printed %q:\n%s", o.name, prefix, o.tail(40))
		default:
		}
	}
	t.Fatalf("%s did not print %q within %v:\n%s", o.name, prefix, limit, o.tail(40))
	return ""
}

// freePort returns a port of the loopback interface that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually tries until f returns nil or the limit passed, then fails with its last error.
func eventually(t *testing.T, limit time.Duration, what string, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := errors.New("never tried")
	for ctx.Err() == nil {
		if err = f(ctx); err == nil {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	t.Fatalf("%s did not happen within %v: %v", what, limit, err)
}
