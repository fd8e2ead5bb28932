package oracle

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
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
	// flags tells that Foresail has prometheus-adapter's flags. Before it had, files were given the backend.
	flags bool
	// pending are what Foresail does not do yet.
	pending map[string]int
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
	b := &bench{cluster: c, backend: address, folder: dir, seen: map[string]int{}, pending: map[string]int{}}
	if err := b.objects(t.Context(), filepath.Join(bin, "kubectl")); err != nil {
		t.Fatal(err)
	}
	if *foresail != "" {
		help, err := exec.Command(*foresail, "serve", "--help").CombinedOutput()
		if err != nil {
			t.Fatalf("cannot run %s: %v: %s", *foresail, err, help)
		}
		b.flags = bytes.Contains(help, []byte("--prometheus-url"))
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

// startTheirs runs prometheus-adapter.
func (b *bench) startTheirs(config string) (*adapter, error) {
	p := newProxy(b.backend)
	return b.startAdapter("prometheus-adapter", "bin/prometheus-adapter", p, sources(config, p)...)
}

// sources are the flags that say what is served from where. Both search for series so often that starts need not wait.
func sources(config string, p *proxy) []string {
	return []string{"--config=" + config, "--prometheus-url=" + p.URL, "--metrics-relist-interval=1s", "--metrics-max-age=1h"}
}

// startForesail runs Foresail with the same file; nil where only its packages are under test.
func (b *bench) startForesail(config string) (*adapter, error) {
	if *foresail == "" {
		return nil, nil
	}
	p := newProxy(b.backend)
	args := []string{"serve", "--kubeconfig=" + filepath.Join(b.dir, "admin.kubeconfig")}
	if b.flags {
		return b.startAdapter("foresail", *foresail, p, append(args, sources(config, p)...)...)
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	own := config + ".own"
	head := fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nweb: {listen: \"\"}\n", p.URL)
	if err := os.WriteFile(own, append([]byte(head), text...), 0o600); err != nil {
		return nil, err
	}
	return b.startAdapter("foresail", *foresail, p, append(args, "--config="+own)...)
}
