package oracle

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// deadPod exists but has failed.
const deadPod = "shop/dead-0"

// trial is one case under way.
type trial struct {
	*bench
	testCase
	findings
	theirs *adapter
	// ours is nil where only Foresail's packages are under test.
	ours *adapter
	// exact and lax are what the packages make of the file, without the differences on purpose and with them.
	exact, lax answer
}

// compare runs one case.
func (b *bench) compare(c testCase) (f findings, err error) {
	t := &trial{bench: b, testCase: c}
	if c.differs != "" {
		t.onPurpose(c.differs)
	}
	file := filepath.Join(b.folder, "config.yaml")
	if err := os.WriteFile(file, []byte(c.config), 0o600); err != nil {
		return f, err
	}
	verb := pick(c.random(), []string{http.MethodGet, http.MethodPost})
	if t.theirs, t.ours, err = b.startBoth(file, verb); err != nil {
		return f, err
	}
	defer func() {
		err = errors.Join(err, t.theirs.close())
		if t.ours != nil {
			err = errors.Join(err, t.ours.close())
		}
	}()
	err = t.run()
	return t.findings, err
}

func (t *trial) run() (err error) {
	if t.exact, err = t.render.ask(request{Config: t.config, Exact: true}); err != nil {
		return err
	}
	refused, err := t.theirs.ready(30 * time.Second)
	switch {
	case err != nil:
		return err
	case refused:
		return t.refused()
	case strings.Contains(t.exact.Refused, "the tag !!binary is not known"):
		t.onPurpose("tags")
		return nil
	case t.exact.Refused+t.exact.Broken != "":
		t.other("Foresail's packages refuse what prometheus-adapter takes: %s%s", t.exact.Refused, t.exact.Broken)
		return nil
	}
	reads, err := t.settleTheirs()
	if err != nil {
		return err
	}
	if t.exact, err = t.render.ask(request{Config: t.config, Exact: true, Reads: reads}); err != nil {
		return err
	}
	if t.lax, err = t.render.ask(request{Config: t.config, Reads: reads}); err != nil {
		return err
	}
	if t.ours != nil {
		if err := t.settleOurs(); err != nil {
			return err
		}
	}
	for i, r := range reads {
		if err := t.read(r, t.exact.Reads[i], t.lax.Reads[i]); err != nil {
			return err
		}
	}
	return nil
}

// refused compares where prometheus-adapter does not start.
func (t *trial) refused() error {
	switch {
	case t.exact.Refused+t.exact.Broken == "":
		t.other("prometheus-adapter refuses what Foresail's packages take: %s", t.theirs.tail(1))
	case t.ours == nil:
	case t.exact.Refused != "":
		if ended, err := t.ours.ready(10 * time.Second); err != nil || !ended {
			t.other("Foresail serves what cannot be used: %s", t.exact.Refused)
		}
	default:
		// What one cluster does not have it may have tomorrow: the other rules are served.
		if ended, err := t.ours.ready(20 * time.Second); err != nil || ended {
			t.other("Foresail does not start because of one rule: %s", t.ours.tail(3))
			return nil
		}
		entries, _, err := t.ours.entries()
		if err != nil {
			return err
		}
		if t.serves != "" && !slices.ContainsFunc(entries, func(e entry) bool { return e.Metric == t.serves }) {
			t.other("Foresail does not list %s, which the other rule serves, but %v", t.serves, entries)
		}
		t.onPurpose("isolation")
	}
	return nil
}

// settleTheirs waits until prometheus-adapter knows its series, which it never says: until it lists what is expected, or
// for so long that it must have asked again. It returns the reads of the case.
func (t *trial) settleTheirs() ([]read, error) {
	var versions []string
	var now findings
	for deadline := time.Now().Add(4 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var entries []entry
		var err error
		if entries, versions, err = t.theirs.entries(); err != nil {
			return nil, err
		}
		now = findings{}
		if t.theirs.proxy.refusals() > 0 { // It lists nothing until the backend takes every seriesQuery.
			break
		}
		now.entries(entries, t.exact.Entries)
		if len(now.others) == 0 || time.Now().After(deadline) {
			break
		}
	}
	t.others = append(t.others, now.others...)
	reads := append(slices.Clone(t.reads), readsOf(t.random(), t.exact.Entries, t.limit)...)
	if slices.Contains(versions, "metrics.k8s.io/v1beta1") {
		reads = append(reads, resourceReads...)
		if strings.Contains(t.config, "containerQuery") {
			return reads, t.awaitPods(t.theirs)
		}
	}
	return reads, nil
}

// awaitPods waits until the server knows the pods, of which it then asks the backend.
func (t *trial) awaitPods(a *adapter) error {
	for range 60 {
		if _, err := a.read(resourceReads[0]); err != nil {
			return err
		}
		if len(a.proxy.take()) > 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s does not come to know the pods", a.name)
}

// settleOurs waits until Foresail lists what its packages make of the file.
func (t *trial) settleOurs() error {
	if ended, err := t.ours.ready(30 * time.Second); err != nil {
		return err
	} else if ended {
		return fmt.Errorf("foresail ended: %s", t.ours.tail(5))
	}
	var now findings
	for deadline := time.Now().Add(4 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		entries, _, err := t.ours.entries()
		if err != nil {
			return err
		}
		now = findings{}
		now.ownEntries(t.exact.Entries, t.lax.Entries, entries)
		if len(now.others) == 0 || time.Now().After(deadline) {
			break
		}
	}
	t.add(now)
	return nil
}

// read compares one read: what both ask, and what they answer.
func (t *trial) read(r read, exact, lax queries) error {
	t.bench.compared++
	t.theirs.proxy.take()
	their, err := t.theirs.read(r)
	if err != nil {
		return err
	}
	if len(their.items) > 0 {
		t.answered++
	}
	asked := t.theirs.proxy.take()
	apart := t.apart(r, asked)
	if len(asked) > 0 || apart == "" {
		t.queries(r, t.known(asked), exact)
	}
	if apart == "" && t.differs == "" {
		t.batches(r, asked, exact, t.backend)
	}
	if t.ours == nil {
		return nil
	}
	our, err := t.ours.read(r)
	if err != nil {
		return err
	}
	for _, a := range t.ours.proxy.take() {
		if !slices.Contains(lax.Exact, a.query) && !slices.Contains(lax.Batched, a.query) {
			t.other("%s: Foresail asks what no rule says:\n  %s", r.path(), a.query)
		}
	}
	if apart != "" && our.status == http.StatusOK {
		t.onPurpose(apart)
		return nil
	}
	t.replies(r, their, our, asked, []string{deadPod})
	return nil
}

// apart says on purpose of what Foresail may answer a read that prometheus-adapter cannot answer as a whole, or "".
func (t *trial) apart(r read, asked []asked) string {
	same := func(e entry) bool {
		return e.API == r.API && e.Resource == r.Resource && e.Group == r.Group && e.Metric == r.Metric
	}
	switch {
	case t.theirs.proxy.refusals() > 0:
		return "isolation"
	case r.API == "custom" && r.Namespace != "" && slices.ContainsFunc(t.lax.Entries, func(e entry) bool { return same(e) && !e.Namespaced }):
		return "root-scope"
	case r.API == "external" && len(asked) == 0 && !slices.ContainsFunc(t.lax.Entries, same) &&
		slices.ContainsFunc(t.lax.Entries, func(e entry) bool { return e.API == r.API && strings.EqualFold(e.Metric, r.Metric) }):
		return "case"
	default:
		return ""
	}
}
