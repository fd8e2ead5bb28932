// Package oracle runs prometheus-adapter and Foresail beside each other on a real control plane, with the same config
// files and against the same backend, and compares what they list, ask and answer.
package oracle

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	scope    = flag.String("oracle", "", "compare with prometheus-adapter: corpus, or all with generated rules; make oracle builds what it needs")
	foresail = flag.String("foresail", filepath.Join(root, "bin", "foresail"), "the binary under test")
	only     = flag.String("only", "", "run only the cases whose name holds this")
	number   = flag.Int("generated", 120, "how many rule files to generate")
)

// root is the repository, seen from this package's folder.
const root = "../.."

// deadPod exists but has failed.
const deadPod = "shop/dead-0"

// bench is all that runs while cases are compared.
type bench struct {
	*cluster
	backend string
	render  *renderer
	// folder is for config files.
	folder string
	seen   map[string]int
	// reads are all that were compared, and answered those of them that prometheus-adapter answers with a value.
	reads, answered int
}

func TestOracle(t *testing.T) {
	if *scope == "" {
		t.Skip("needs a control plane and prometheus-adapter: run make oracle")
	}
	b := newBench(t)
	cases := corpus(t)
	if *scope == "all" {
		cases = append(cases, generated(*number)...)
	}
	count := 0
	for _, c := range cases {
		if !strings.Contains(c.name, *only) {
			continue
		}
		count++
		t.Run(c.name, func(t *testing.T) {
			f, err := b.compare(c)
			if err != nil {
				t.Fatalf("%v\n%s", err, c.config)
			}
			for id, n := range f.counts {
				b.seen[id] += n
			}
			if len(f.others) > 0 {
				t.Errorf("%s\nwith\n%s", strings.Join(f.others[:min(len(f.others), 10)], "\n"), c.config[:min(len(c.config), 2000)])
			}
		})
	}
	t.Logf("%d config files, %d reads, of which prometheus-adapter answers %d with values; differences on purpose:", count, b.reads, b.answered)
	for _, id := range slices.Sorted(maps.Keys(onPurpose)) {
		t.Logf("%6d  %-12s %s", b.seen[id], id, onPurpose[id])
		if *only == "" && b.seen[id] == 0 {
			t.Errorf("no case shows the difference %q: is it still one?", id)
		}
	}
}

func generated(n int) []testCase {
	random := rand.New(rand.NewPCG(4, 701))
	cases := make([]testCase, n)
	for i := range cases {
		cases[i] = testCase{name: fmt.Sprintf("generated %03d", i), config: generate(random), limit: 24}
	}
	return cases
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

// compare runs one case.
func (b *bench) compare(c testCase) (f findings, err error) {
	config := filepath.Join(b.folder, "config.yaml")
	if err := os.WriteFile(config, []byte(c.config), 0o600); err != nil {
		return f, err
	}
	if c.differs != "" {
		f.onPurpose(c.differs)
	}
	theirs, err := b.startAdapter("prometheus-adapter", b.backend, config, "bin/prometheus-adapter")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, theirs.close()) }()
	ours, err := b.startForesail(config)
	if err != nil {
		return f, err
	}
	if ours != nil {
		defer func() { err = errors.Join(err, ours.close()) }()
	}
	exact, err := b.render.ask(request{Config: c.config, Exact: true})
	if err != nil {
		return f, err
	}
	refused, err := theirs.ready(30 * time.Second)
	if err != nil {
		return f, err
	}
	if refused {
		return f, b.refused(&f, theirs, ours, exact)
	}
	if strings.Contains(exact.Refused, "the tag !!binary is not known") {
		f.onPurpose("tags")
		return f, nil
	}
	if exact.Refused+exact.Broken != "" {
		f.other("Foresail's packages refuse what prometheus-adapter takes: %s%s", exact.Refused, exact.Broken)
		return f, nil
	}
	reads := b.settle(&f, c, theirs, exact)
	if exact, err = b.render.ask(request{Config: c.config, Exact: true, Reads: reads}); err != nil {
		return f, err
	}
	lax, err := b.render.ask(request{Config: c.config, Reads: reads})
	if err != nil {
		return f, err
	}
	if ours != nil {
		if err := b.settleOurs(&f, ours, exact, lax); err != nil {
			return f, err
		}
	}
	for i, r := range reads {
		if err := b.read(&f, c, r, theirs, ours, exact.Reads[i], lax.Reads[i]); err != nil {
			return f, err
		}
	}
	return f, nil
}

func (b *bench) startForesail(config string) (*adapter, error) {
	if *foresail == "" {
		return nil, nil
	}
	return b.startAdapter("foresail", b.backend, config, *foresail, "serve", "--kubeconfig="+filepath.Join(b.dir, "admin.kubeconfig"))
}

// refused compares where prometheus-adapter does not start.
func (b *bench) refused(f *findings, theirs, ours *adapter, exact answer) error {
	switch {
	case exact.Refused+exact.Broken == "":
		f.other("prometheus-adapter refuses what Foresail's packages take: %s", theirs.tail(1))
	case ours == nil:
	case exact.Refused != "":
		if ended, err := ours.ready(10 * time.Second); err != nil || !ended {
			f.other("Foresail serves what cannot be used: %s", exact.Refused)
		}
	default:
		// What one cluster does not have it may have tomorrow: the other rules are served.
		if ended, err := ours.ready(20 * time.Second); err != nil || ended {
			f.other("Foresail does not start because of one rule: %s", ours.tail(3))
		} else {
			f.onPurpose("isolation")
		}
	}
	return nil
}

// settle waits until prometheus-adapter knows its series, which it never says: until it lists what is expected, or for
// so long that it must have asked again. It returns the reads of the case.
func (b *bench) settle(f *findings, c testCase, theirs *adapter, exact answer) []read {
	var entries []entry
	var versions []string
	var now findings
	deadline := time.Now().Add(4 * time.Second)
	for {
		var err error
		if entries, versions, err = theirs.entries(); err != nil {
			f.other("%v", err)
			return nil
		}
		now = findings{}
		now.entries(entries, exact.Entries)
		if len(now.others) == 0 || time.Now().After(deadline) {
			break
		}
		if theirs.proxy.refusals() > 0 { // It lists nothing until the backend takes every seriesQuery.
			time.Sleep(time.Second)
			entries, _, _ = theirs.entries()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if theirs.proxy.refusals() == 0 {
		f.others = append(f.others, now.others...)
	}
	reads := append(slices.Clone(c.reads), readsOf(c.random(), exact.Entries, c.limit)...)
	if slices.Contains(versions, "metrics.k8s.io/v1beta1") {
		reads = append(reads, resourceReads...)
		b.awaitPods(theirs)
	}
	return reads
}

// awaitPods waits until the server knows the pods.
func (b *bench) awaitPods(a *adapter) {
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err := a.read(resourceReads[0]); err != nil {
			return
		}
		if len(a.proxy.take()) > 0 {
			return
		}
	}
}

// settleOurs waits until Foresail lists what its packages make of the file.
func (b *bench) settleOurs(f *findings, ours *adapter, exact, lax answer) error {
	if ended, err := ours.ready(30 * time.Second); err != nil {
		return err
	} else if ended {
		return fmt.Errorf("foresail ended: %s", ours.tail(5))
	}
	var now findings
	for deadline := time.Now().Add(4 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		entries, _, err := ours.entries()
		if err != nil {
			return err
		}
		now = findings{}
		now.ownEntries(exact.Entries, lax.Entries, entries)
		if len(now.others) == 0 || time.Now().After(deadline) {
			break
		}
	}
	for id, n := range now.counts {
		for range n {
			f.onPurpose(id)
		}
	}
	f.others = append(f.others, now.others...)
	return nil
}

// read compares one read.
func (b *bench) read(f *findings, c testCase, r read, theirs, ours *adapter, exact, lax queries) error {
	b.reads++
	theirs.proxy.take()
	their, err := theirs.read(r)
	if err != nil {
		return err
	}
	if len(their.items) > 0 {
		b.answered++
	}
	asked := theirs.proxy.take()
	isolated := theirs.proxy.refusals() > 0
	root := r.API == "custom" && r.Namespace != "" && their.status == http.StatusNotFound && len(asked) == 0
	if !isolated && !(root && exact.Error == "") {
		f.queries(r, c.known(asked), exact)
	}
	if c.differs == "" {
		f.batches(r, asked, exact, b.backend)
	}
	if ours == nil {
		return nil
	}
	our, err := ours.read(r)
	if err != nil {
		return err
	}
	for _, a := range ours.proxy.take() {
		if !slices.Contains(lax.Exact, a.query) && !slices.Contains(lax.Batched, a.query) {
			f.other("%s: Foresail asks what no rule says:\n  %s", r.path(), a.query)
		}
	}
	switch {
	case isolated && their.status != http.StatusOK && our.status == http.StatusOK:
		f.onPurpose("isolation")
	case root && our.status == http.StatusOK:
		f.onPurpose("root-scope")
	default:
		f.replies(r, their, our, asked, []string{deadPod})
	}
	return nil
}
