package oracle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// bench is all that runs while cases are compared.
type bench struct {
	*cluster
	backend string
	render  *renderer
	// folder is for config files.
	folder string
	seen   map[string]int
	// compared are all reads, and answered those of them that prometheus-adapter answers with a value.
	compared, answered int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	bin := filepath.Join(root, "test", "controlplane", "bin")
	dir := t.TempDir()
	plane := background(t, "controlplane", filepath.Join(bin, "controlplane"), "up", "--dir", filepath.Join(dir, "plane"), "--bin", bin)
	backend := background(t, "oraclebackend", "bin/oraclebackend", "serve", "--series", "testdata/series.txt", "--dir", dir)
	if _, err := plane.waitFor("ready ", 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	address, err := backend.waitFor("ready url=", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(filepath.Join(dir, "plane"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{cluster: c, backend: address, folder: dir, seen: map[string]int{}}
	if err := b.objects(t.Context(), filepath.Join(bin, "kubectl")); err != nil {
		t.Fatal(err)
	}
	b.render = startRenderer(t, "bin/oraclebackend", filepath.Join(c.dir, "admin.kubeconfig"), address)
	return b
}

// objects makes the objects and waits until they are as the cases want them.
func (b *bench) objects(ctx context.Context, kubectl string) error {
	run := func(args ...string) error {
		out, err := exec.CommandContext(ctx, kubectl, append([]string{"--kubeconfig", filepath.Join(b.dir, "admin.kubeconfig")}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("cannot run kubectl %s: %w: %s", args[0], err, out)
		}
		return nil
	}
	return cmp.Or(
		run("apply", "-f", "testdata/objects.yaml"),
		run("wait", "--for=condition=Ready", "pods", "--all", "--all-namespaces", "--timeout=60s"),
		run("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"),
		run("patch", "pod", "-n", "shop", "dead-0", "--subresource=status", "--type=merge", "-p", `{"status":{"phase":"Failed"}}`),
	)
}

// instant asks the backend itself.
func instant(backend, query string) (asked, error) {
	status, body, err := ask(backend+"/api/v1/query", url.Values{"query": {query}}.Encode())
	return asked{query, status, samplesOf(body)}, err
}

// startBoth runs prometheus-adapter and Foresail, if that is under test, with the same command line.
func (b *bench) startBoth(file, verb string) (theirs, ours *adapter, err error) {
	if theirs, err = b.startAdapter("prometheus-adapter", b.backend, []string{"bin/prometheus-adapter"}, file, verb); err != nil {
		return nil, nil, err
	}
	if *foresail != "" {
		if ours, err = b.startAdapter("foresail", b.backend, []string{*foresail, "serve", "--web-listen=none"}, file, verb); err != nil {
			return nil, nil, errors.Join(err, theirs.close())
		}
	}
	return theirs, ours, nil
}
