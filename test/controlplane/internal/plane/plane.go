package plane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// startLimit bounds the time to ready: about ten seconds on two idle cores, so there is room for a busy machine.
const startLimit = 3 * time.Minute

// Options says what plane to run.
type Options struct {
	Dir string // Holds data, keys, kubeconfigs and logs of this plane.
	Bin string // Where Build put the binaries.

	HPASync                   time.Duration // Period of the HPA controller; stock is 15s.
	HPADownscaleStabilization time.Duration // Stock is 5m.
	PodReadyDelay             time.Duration // From a pod's creation to Ready; 0 is at once.
	Nodes                     int           // At least 1.
	FeatureGates              string        // NAME=true|false, separated by commas; for API server and controller manager.

	Progress io.Writer // A line per step, for people.
}

// Ready says how to reach a running plane.
type Ready struct {
	Kubeconfig string // Of an administrator.
	Kubectl    string
}

// plane is one run's state.
type plane struct {
	Options
	keys    *pki
	client  *client
	kubectl kubectl
	server  string        // URL of the API server.
	procs   []*process    // In the order of their start.
	ended   chan *process // Receives each process when it ends.
	begin   time.Time
}

// Run starts a plane, calls ready once it is, and stops it when ctx is done. It returns nil if it was ready before ctx was
// done, and an error with the end of the log in question if a process ended by itself or the plane was not ready in time.
// Nothing that it started is left running when it returns.
func Run(ctx context.Context, opts Options, ready func(Ready)) error {
	runtime.LockOSThread() // The children live as long as this thread: see childAttr.
	defer runtime.UnlockOSThread()

	p := &plane{Options: opts, begin: time.Now(), ended: make(chan *process, 8)}
	unlock, err := p.prepare()
	if err != nil {
		return err
	}
	defer unlock()
	defer func() {
		for _, child := range slices.Backward(p.procs) {
			child.stop()
		}
		p.say("stopped")
	}()
	starting, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("the plane was not ready within %v", startLimit))
	defer cancel()
	if err := p.start(starting); err != nil {
		return err
	}
	ready(Ready{Kubeconfig: p.kubectl.kubeconfig, Kubectl: p.kubectl.binary})
	select {
	case child := <-p.ended:
		return child.failure()
	case <-ctx.Done():
		return nil
	}
}

// prepare checks the options, takes the folder, and writes keys and stages into it.
func (p *plane) prepare() (unlock func(), err error) {
	if p.Nodes < 1 {
		return nil, fmt.Errorf("cannot run %d nodes: pods need at least 1", p.Nodes)
	}
	for _, dir := range []*string{&p.Dir, &p.Bin} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, fmt.Errorf("cannot resolve folder: %w", err)
		}
	}
	for _, b := range binaries {
		if _, err := os.Stat(filepath.Join(p.Bin, b.name)); err != nil {
			return nil, fmt.Errorf("cannot find %s: %w: run `controlplane build` first, or name the folder of the binaries with --bin", b.name, err)
		}
	}
	if unlock, err = takeDir(p.Dir); err != nil {
		return nil, err
	}
	if p.keys, err = newPKI(p.path("pki")); err == nil {
		p.client, err = newClient(p.keys)
	}
	if err == nil {
		err = writeStages(filepath.Join(p.Bin, "stages"), p.path("stages.yaml"), p.PodReadyDelay)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// takeDir makes dir this plane's alone until unlock, and removes the data and keys that an earlier plane left there. It
// removes nothing where no plane ever ran: the folder's lock, which stays, is the sign.
func takeDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create the plane's folder: %w", err)
	}
	name := filepath.Join(dir, "controlplane.lock")
	_, unknown := os.Stat(name)
	for _, old := range []string{"etcd", "pki"} {
		if _, err := os.Stat(filepath.Join(dir, old)); err == nil && unknown != nil {
			return nil, fmt.Errorf("cannot use folder %s: it holds %s, which no plane wrote: name another folder", dir, old)
		}
	}
	lock, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("cannot create the lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("cannot use folder %s: another plane is running there: %w", dir, err)
	}
	for _, old := range []string{"etcd", "pki"} {
		if err := os.RemoveAll(filepath.Join(dir, old)); err != nil {
			lock.Close()
			return nil, fmt.Errorf("cannot remove what an earlier plane left: %w", err)
		}
	}
	return func() { lock.Close() }, nil
}

// start brings the parts up in order and returns when all of them work.
func (p *plane) start(ctx context.Context) error {
	etcd, err := p.startEtcd(ctx)
	if err != nil {
		return err
	}
	if err := p.startAPIServer(ctx, etcd); err != nil {
		return err
	}
	manager, err := p.startManager()
	if err != nil {
		return err
	}
	if err := p.startKwok(); err != nil {
		return err
	}
	data := struct{ Nodes []string }{}
	for i := range p.Nodes {
		data.Nodes = append(data.Nodes, fmt.Sprintf("kwok-%d", i))
	}
	// Roles and namespaces of Kubernetes' own appear shortly after the API server is ready, so this may need more than one try.
	if err := p.await(ctx, "nodes and roles", func(ctx context.Context) error { return p.kubectl.apply(ctx, bootstrapYAML, data) }); err != nil {
		return err
	}
	if err := p.await(ctx, "Ready nodes", func(ctx context.Context) error { return p.client.nodesReady(ctx, p.server, p.Nodes) }); err != nil {
		return err
	}
	return p.await(ctx, "the HPA controller", func(ctx context.Context) error {
		return p.client.healthy(ctx, manager+"/healthz?verbose", "horizontal-pod-autoscaler-controller")
	})
}

// launch starts a process that runs until the plane stops.
func (p *plane) launch(name string, args ...string) error {
	child, err := startProcess(p.Bin, name, p.Dir, args, p.ended)
	if err != nil {
		return err
	}
	p.procs = append(p.procs, child)
	return nil
}

// await calls check until it passes, a process ends, or ctx is done.
func (p *plane) await(ctx context.Context, what string, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if err == nil {
			p.say(what + " up")
			return nil
		}
		select {
		case child := <-p.ended:
			return child.failure()
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return fmt.Errorf("stopped before %s was up: %w", what, context.Cause(ctx))
			}
			last := p.procs[len(p.procs)-1]
			return fmt.Errorf("cannot wait for %s: %w; last: %w; the end of %s:\n%s", what, context.Cause(ctx), err, last.logFile, last.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *plane) path(name string) string { return filepath.Join(p.Dir, name) }

func (p *plane) say(what string) {
	fmt.Fprintf(p.Progress, "%6.1f s  %s\n", time.Since(p.begin).Seconds(), what)
}
