// Package plane builds, starts and stops a Kubernetes control plane of plain processes on loopback.
package plane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

const modulePath = "github.com/foresail/foresail/test/controlplane"

// binaries lists what a plane needs, cheapest first, so that a cold build shows progress early; all are tools in go.mod.
var binaries = []struct {
	name, pkg  string
	kubernetes bool // Its version is stamped in at link time.
}{
	{"etcd", "go.etcd.io/etcd/server/v3", false},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl", true},
	{"kwok", "sigs.k8s.io/kwok/cmd/kwok", false},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", true},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", true},
}

// stageFiles are kwok's rules for how a node and a pod live, below its kustomize/stage folder.
var stageFiles = []string{
	"node/fast/node-initialize.yaml",
	"node/heartbeat/node-heartbeat.yaml",
	"pod/fast/pod-ready.yaml",
	"pod/fast/pod-complete.yaml",
	"pod/fast/pod-delete.yaml",
}

// BuildOptions says what to build from and where to.
type BuildOptions struct {
	Module   string // This module's folder, as ModuleDir finds it.
	Out      string // Receives the binaries, and kwok's stages in a folder of that name.
	Progress io.Writer
}

// Build builds the plane's five binaries, one after the other, and copies kwok's stages beside them. What is up to date is
// left alone. It needs the go command and, when the module cache is empty, a module proxy; no C compiler.
func Build(ctx context.Context, opts BuildOptions) error {
	out, err := filepath.Abs(opts.Out)
	if err != nil {
		return fmt.Errorf("cannot resolve folder %s: %w", opts.Out, err)
	}
	version, err := goCommand(ctx, opts.Module, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return err
	}
	flags, err := versionFlags(version)
	if err != nil {
		return err
	}
	for _, b := range binaries {
		ldflags := "-s -w"
		if b.kubernetes {
			ldflags += flags
		}
		fmt.Fprintf(opts.Progress, "building %s\n", b.name)
		begin := time.Now()
		if _, err := goCommand(ctx, opts.Module, "build", "-trimpath", "-ldflags", ldflags, "-o", filepath.Join(out, b.name), b.pkg); err != nil {
			return fmt.Errorf("cannot build %s: %w", b.name, err)
		}
		fmt.Fprintf(opts.Progress, "built %s in %.1f s\n", b.name, time.Since(begin).Seconds())
	}
	return copyStages(ctx, opts.Module, filepath.Join(out, "stages"))
}

// ModuleDir finds this module's folder from the working directory, anywhere inside the repository.
func ModuleDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("cannot find the working directory: %w", err)
	}
	for {
		for _, candidate := range []string{dir, filepath.Join(dir, "test", "controlplane")} {
			text, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
			if err == nil && bytes.HasPrefix(text, []byte("module "+modulePath+"\n")) {
				return candidate, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("cannot find module " + modulePath + ": run this inside the repository")
		}
		dir = parent
	}
}

// versionFlags are the linker flags that make a Kubernetes binary know its version; without them it calls itself
// v0.0.0-master and the API server derives no emulation version that matches its feature gates.
func versionFlags(version string) (string, error) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("cannot read version %q of k8s.io/kubernetes: want vMAJOR.MINOR.PATCH", version)
	}
	const pkg = " -X k8s.io/component-base/version."
	return pkg + "gitVersion=" + version + pkg + "gitMajor=" + parts[0] + pkg + "gitMinor=" + parts[1], nil
}

func copyStages(ctx context.Context, module, out string) error {
	kwok, err := goCommand(ctx, module, "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("cannot create the folder for kwok's stages: %w", err)
	}
	for _, name := range stageFiles {
		text, err := os.ReadFile(filepath.Join(kwok, "kustomize", "stage", filepath.FromSlash(name)))
		if err != nil {
			return fmt.Errorf("cannot read kwok's stage: %w", err)
		}
		if err := os.WriteFile(filepath.Join(out, path.Base(name)), text, 0o644); err != nil {
			return fmt.Errorf("cannot copy kwok's stage: %w", err)
		}
	}
	return nil
}

// goCommand runs the go command in dir and returns its trimmed standard output; its standard error goes into the error.
func goCommand(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOOS=", "GOARCH=")
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot run go %s: %w\n%s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(stdout)), nil
}
