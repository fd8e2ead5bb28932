package oracle

import (
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What follows holds the comparison itself to account: it must see what is wrong, and excuse no more than it says.

// said is what a comparison came to: the differences on purpose, or "other".
func (f *findings) said() string {
	if len(f.others) > 0 {
		return "other"
	}
	for id := range f.counts {
		return id
	}
	return ""
}

func answerOf(t *testing.T, items ...item) reply {
	t.Helper()
	r := reply{status: http.StatusOK}
	for _, i := range items {
		var err error
		if i.milli, err = milliOf(i.value); err != nil {
			t.Fatal(err)
		}
		r.items = append(r.items, i)
	}
	return r
}

func pod(name, value string) item {
	return item{object: "shop/" + name, kind: "Pod", apiVersion: "v1", metric: "load", value: value}
}

func TestRepliesAreCompared(t *testing.T) {
	read := read{API: "custom", Namespace: "shop", Resource: "pods", Metric: "load"}
	f := func(want string, value float64, theirs, ours reply) {
		t.Helper()
		var found findings
		found.replies(read, theirs, ours, []asked{{status: http.StatusOK, samples: []sample{{nil, value}}}}, []string{deadPod})
		if got := found.said(); got != want {
			t.Errorf("got %q (%s), want %q", got, strings.Join(found.others, "; "), want)
		}
	}
	one := func(value string) reply { return answerOf(t, pod("web-0", value)) }
	failed := reply{status: http.StatusServiceUnavailable, message: "why"}

	f("", 1.5, one("1500m"), one("1500m"))
	f("", 2000, one("2k"), one("2000"))
	f("other", 1.5, one("1500m"), one("1501m")) // 1.5 is a whole number of thousandths
	f("rounding", 1.5001, one("1500m"), one("1501m"))
	f("other", 1.5001, one("1500m"), one("1502m"))
	f("other", 1.5001, one("1500m"), one("1499m"))
	f("negative", -2.5, one("-2500m"), one("0"))
	f("other", -2.5, one("-2500m"), one("1"))
	f("other", 2.5, one("2500m"), one("0"))
	f("overflow", 1e17, one("-9223372036854775808m"), one("9200T"))
	f("other", 1e17, one("-9223372036854775808m"), one("9201T"))
	f("not-finite", math.NaN(), one("0"), failed)
	f("not-finite", math.Inf(1), one("-9223372036854775808m"), failed)
	f("other", 0, one("0"), failed)
	f("other", 1.5, one("1500m"), failed)
	f("other", 1.5, failed, one("1500m"))
	f("empty", 1.5, answerOf(t), failed)
	f("live-pods", 1.5, answerOf(t, pod("web-0", "1"), pod("dead-0", "1")), one("1"))
	f("other", 1.5, answerOf(t, pod("web-0", "1"), pod("web-1", "1")), one("1"))
	f("other", 1.5, one("1"), answerOf(t, pod("web-0", "1"), pod("web-1", "1")))
	f("status", 1.5, reply{status: http.StatusNotFound}, failed)
	f("", 1.5, failed, failed)

	with := func(change func(*item)) reply {
		i := pod("web-0", "1")
		change(&i)
		return answerOf(t, i)
	}
	f("api-version", 1, with(func(i *item) { i.apiVersion = "/v1" }), one("1"))
	f("other", 1, with(func(i *item) { i.apiVersion = "v2" }), one("1"))
	f("other", 1, with(func(i *item) { i.kind = "Node" }), one("1"))
	f("other", 1, with(func(i *item) { i.selector = `{"matchLabels":{"a":"b"}}` }), one("1"))
	f("other", 1, with(func(i *item) { i.metric = "other" }), one("1"))
}

func TestUsesAreCompared(t *testing.T) {
	f := func(want string, theirs []string, ours ...string) {
		t.Helper()
		of := func(texts []string) reply {
			var items []item
			for _, text := range texts {
				object, value, _ := strings.Cut(text, "=")
				items = append(items, item{object: object, value: value})
			}
			return answerOf(t, items...)
		}
		var found findings
		found.replies(read{API: "resource", Resource: "pods"}, of(theirs), of(ours), nil, nil)
		if got := found.said(); got != want {
			t.Errorf("got %q (%s), want %q", got, strings.Join(found.others, "; "), want)
		}
	}
	both := []string{"a/p/x/cpu=1", "a/p/x/memory=2"}
	f("", both, both...)
	f("other", both)
	f("other", both, both[0])
	f("other", both, "a/p/x/cpu=1", "a/p/x/memory=3")
	f("unknown-use", []string{"a/p/x/cpu=1", "a/p/x/memory=0"}, "a/p/x/cpu=1")
	f("unknown-use", []string{"a/p/x/cpu=1", "a/p/x/memory=0"})
	f("other", []string{"a/p/x/cpu=1", "a/p/x/memory=0"}, "a/p/x/memory=0")
	f("unnamed", append([]string{"a/p//cpu=1", "a/p//memory=2"}, both...), both...)
	f("other", append([]string{"a/p//cpu=1", "a/p//memory=2"}, both...), "a/p//cpu=1", "a/p//memory=2")
	f("", []string{"a/p//cpu=1", "a/p//memory=2"}, "a/p//cpu=1", "a/p//memory=2")
	f("other", []string{"a/p//cpu=1", "a/p//memory=2"})
	f("other", []string{"/node//cpu=1", "/node//memory=2"})
}

func TestEntriesAreCompared(t *testing.T) {
	pods := entry{API: "custom", Resource: "pods", Metric: "load", Namespaced: true}
	f := func(want bool, theirs, ours []entry) {
		t.Helper()
		var found findings
		found.entries(theirs, ours)
		if got := len(found.others) == 0; got != want {
			t.Errorf("the same is %v, want %v", got, want)
		}
	}
	f(true, []entry{pods}, []entry{pods})
	f(false, []entry{pods}, nil)
	f(false, nil, []entry{pods})
	f(false, []entry{pods}, []entry{pods, pods})
	for _, change := range []func(*entry){
		func(e *entry) { e.API = "external" }, func(e *entry) { e.Group = "apps" }, func(e *entry) { e.Resource = "nodes" },
		func(e *entry) { e.Metric = "Load" }, func(e *entry) { e.Namespaced = false },
	} {
		other := pods
		change(&other)
		f(false, []entry{pods}, []entry{other})
	}
}

func TestQueriesAreCompared(t *testing.T) {
	f := func(want bool, api, theirs string, ours queries) {
		t.Helper()
		var found findings
		found.queries(read{API: api}, []asked{{query: theirs}}, ours)
		if got := len(found.others) == 0; got != want {
			t.Errorf("%s: the same is %v, want %v", theirs, got, want)
		}
	}
	f(true, "custom", `a{pod=~"x|y"}`, queries{Exact: []string{`a{pod=~"x|y"}`}})
	f(false, "custom", `a{pod=~"x|y"}`, queries{Exact: []string{`a{pod=~"y|x"}`}})
	f(false, "custom", `a{pod=~"x|y"}`, queries{Exact: []string{`a{pod=~"x|y"} `}})
	f(false, "custom", `a{pod=~"x|y"}`, queries{Exact: []string{`a{pod=~"x|y"}`}, Error: "cannot"})
	f(false, "custom", `a{pod=~"x|y"}`, queries{})
	f(true, "resource", `a{pod=~"x|y"}`, queries{Exact: []string{`a{pod=~"y|x"}`}})
	f(false, "resource", `a{pod=~"x|y"}`, queries{Exact: []string{`a{pod=~"z|x"}`}})
}

func TestMilliOf(t *testing.T) {
	f := func(quantity, want string) {
		t.Helper()
		got, err := milliOf(quantity)
		if err != nil || got.String() != want {
			t.Errorf("%s is %v (%v), want %s", quantity, got, err, want)
		}
	}
	f("0", "0")
	f("1500m", "1500")
	f("-2500m", "-2500")
	f("2k", "2000000")
	f("8Gi", "8589934592000") // 2^33 bytes
	f("1048576500m", "1048576500")
	f("93e14", "9300000000000000000")
	f("9200T", "9200000000000000000")
	for _, bad := range []string{"", "m", "1x", "1u"} {
		if got, err := milliOf(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}

func TestMigrationTellsTheDifferences(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs", "MIGRATION.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Differences on purpose\n")
	if !found {
		t.Fatal("docs/MIGRATION.md has no section on the differences on purpose")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	told := map[string]bool{}
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Trim(cells[1], " -") != "" { // not the heading
			told[strings.TrimSpace(cells[1])] = true
		}
	}
	for id := range onPurpose {
		if !told[id] {
			t.Errorf("docs/MIGRATION.md does not tell of the difference %q", id)
		}
		delete(told, id)
	}
	for id := range told {
		t.Errorf("docs/MIGRATION.md tells of %q, which is no difference here", id)
	}
}

func TestGeneratedCasesAreTheSameEachTime(t *testing.T) {
	a, b := generated(20), generated(20)
	for i := range a {
		if a[i].config != b[i].config {
			t.Errorf("case %d differs", i)
		}
		for j := range i {
			if a[i].config == a[j].config {
				t.Errorf("cases %d and %d are the same", i, j)
			}
		}
	}
}
