package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/standing"
)

func usage(list corev1.ResourceList) string {
	var parts []string
	for _, name := range resourceNames {
		text := "?"
		if q, known := list[name]; known {
			text = q.String()
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func podText(p v1beta1.PodMetrics) string {
	text := p.Namespace + "/" + p.Name + "@" + p.Timestamp.UTC().Format("15:04:05") + "/" + p.Window.Duration.String()
	if len(p.Labels) > 0 {
		text += " " + labels.FormatLabels(p.Labels)
	}
	for _, c := range p.Containers {
		text += fmt.Sprintf(" [%s %s]", c.Name, usage(c.Usage))
	}
	return text
}

func nodeText(n v1beta1.NodeMetrics) string {
	return n.Name + "@" + n.Timestamp.UTC().Format("15:04:05") + "/" + n.Window.Duration.String() + " " + labels.FormatLabels(n.Labels) + " " + usage(n.Usage)
}

func textOf[T any](items []T, err error, text func(T) string) string {
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, i := range items {
		lines = append(lines, text(i))
	}
	return strings.Join(lines, "\n")
}

// The reads of kubectl top and of autoscalers, in both encodings.
func TestReads(t *testing.T) {
	p, o := fixture()
	api := newAPI(t, p, o, rules())
	url := serve(t, func() *API { return api })
	const (
		bank = "bank/web-1@12:00:00/5m0s app=web [main 3 1Ki]"
		mail = "shop/mail@11:59:50/5m0s [main 500m 1k]"
		// 0.0101 cores are 10.1m, rounded up; 1.5 Mi are 1536 Ki. The older sample's time counts.
		web1 = "shop/web-1@11:59:50/5m0s app=web [main 250m 64Mi] [proxy 11m 1536Ki]"
		web2 = "shop/web-2@11:59:50/5m0s app=web [main 1 2Gi]"
		n1   = "n1@12:00:00/5m0s zone=a 1500m 4Gi"
		n2   = "n2@12:00:00/5m0s zone=b 2 1"
	)
	lines := func(l ...string) string { return strings.Join(l, "\n") }
	for _, encoding := range []string{"json", "protobuf"} {
		var warned warnings
		c := client(t, url, encoding, &warned)
		for _, q := range []struct{ namespace, labels, fields, want string }{
			{"shop", "", "", lines(mail, web1, web2)},
			{"shop", "app=web", "", lines(web1, web2)},
			{"shop", "app notin (web)", "", mail},
			{"shop", "", "metadata.name=web-2", web2},
			{"", "app=web", "", lines(bank, web1, web2)},
			{"", "", "metadata.namespace=bank", bank},
			{"none", "", "", ""},
			{"shop", "", "spec.nodeName=n1", `"spec.nodeName" is not a known field selector: only "metadata.name", "metadata.namespace"`},
		} {
			list, err := c.PodMetricses(q.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: q.labels, FieldSelector: q.fields})
			var items []v1beta1.PodMetrics
			if err == nil {
				items = list.Items
			}
			if got := textOf(items, err, podText); got != q.want && (err == nil || !strings.Contains(got, q.want)) {
				t.Errorf("%s: pods of %q, labels %q, fields %q:\n%s\nwant\n%s", encoding, q.namespace, q.labels, q.fields, got, q.want)
			}
		}
		one, err := c.PodMetricses("shop").Get(t.Context(), "web-1", metav1.GetOptions{})
		if err != nil || podText(*one) != web1 {
			t.Errorf("%s: web-1: %v, %v", encoding, one, err)
		}
		for selector, want := range map[string]string{"": lines(n1, n2), "zone=a": n1, "zone=c": ""} {
			list, err := c.NodeMetricses().List(t.Context(), metav1.ListOptions{LabelSelector: selector})
			if err != nil {
				t.Fatal(err)
			}
			if got := textOf(list.Items, nil, nodeText); got != want {
				t.Errorf("%s: nodes %q:\n%s\nwant\n%s", encoding, selector, got, want)
			}
		}
		node, err := c.NodeMetricses().Get(t.Context(), "n2", metav1.GetOptions{})
		if err != nil || nodeText(*node) != n2 {
			t.Errorf("%s: n2: %v, %v", encoding, node, err)
		}
		for _, q := range []struct{ pod, node, want string }{
			{"gone", "", `podmetrics.metrics.k8s.io "gone" not found: it does not run`},
			{"new", "", `podmetrics.metrics.k8s.io "new" not found: its queries have no usable sample of both its CPU and its memory`},
			{"", "n3", `nodemetrics.metrics.k8s.io "n3" not found: its queries have no usable sample of both its CPU and its memory`},
			{"", "n9", `nodemetrics.metrics.k8s.io "n9" not found: there is no such node`},
		} {
			if q.pod != "" {
				_, err = c.PodMetricses("shop").Get(t.Context(), q.pod, metav1.GetOptions{})
			} else {
				_, err = c.NodeMetricses().Get(t.Context(), q.node, metav1.GetOptions{})
			}
			if !apierrors.IsNotFound(err) || err.Error() != q.want {
				t.Errorf("%s: %s%s: %v, want %s", encoding, q.pod, q.node, err, q.want)
			}
		}
		if len(warned.text) > 0 {
			t.Errorf("warnings %q", warned.text)
		}
	}
	// Two queries for each of the two namespaces and two for the nodes, after all of these reads.
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.Sort(p.asked)
	want := []string{
		ofNamespace("cpu", "bank"), ofNamespace("cpu", "shop"), ofNamespace("mem", "bank"), ofNamespace("mem", "shop"),
		ofNodes("cpu"), ofNodes("mem"),
	}
	slices.Sort(want)
	if !slices.Equal(p.asked, want) {
		t.Errorf("asked %q, want %q", p.asked, want)
	}
}

// A use that is not known is never served as 0, on which an autoscaler would scale down.
func TestUnknownIsNotZero(t *testing.T) {
	for _, c := range []struct {
		name     string
		cpu, mem []any
		want     string
	}{
		{"both", []any{"a/x", 1.}, []any{"a/x", 2.}, "[x 1 2]"},
		{"zero is a use", []any{"a/x", 0.}, []any{"a/x", 0.}, "[x 0 0]"},
		{"no CPU of one container", []any{"a/x", 1.}, []any{"a/x", 2., "a/y", 3.}, "[x 1 2] [y ? 3]"},
		{"no memory of one container", []any{"a/x", 1., "a/y", 3.}, []any{"a/x", 2.}, "[x 1 2] [y 3 ?]"},
		{"NaN", []any{"a/x", 1., "a/y", nan}, []any{"a/x", 2., "a/y", 3.}, "[x 1 2] [y ? 3]"},
		{"NaN twice", []any{"a/x", 1., "a/y", nan}, []any{"a/x", 2., "a/y", nan}, "[x 1 2] [y ? ?]"},
		{"negative", []any{"a/x", 1., "a/y", -1e-9}, []any{"a/x", 2., "a/y", 3.}, "[x 1 2] [y ? 3]"},
		{"one label set twice", []any{"a/x", 1., "a/y", 1., "a/y", 2.}, []any{"a/x", 2., "a/y", 3.}, "[x 1 2] [y ? 3]"},
		{"no CPU at all", nil, []any{"a/x", 2.}, "absent"},
		{"no memory at all", []any{"a/x", 1.}, nil, "absent"},
		{"all CPU NaN", []any{"a/x", nan}, []any{"a/x", 2.}, "absent"},
		{"no name", []any{"a/", 7., "a/x", 1.}, []any{"a/", 8., "a/x", 2.}, "[x 1 2]"},
		{"no names at all", []any{"a/", 7.}, []any{"a/", 8.}, "[ 7 8]"},
		{"a name in the memory only", []any{"a/", 7.}, []any{"a/", 8., "a/x", 2.}, "absent"},
		{"a name without a value only", []any{"a/", 7., "a/x", nan}, []any{"a/", 8.}, "absent"},
		{"names of another pod", []any{"a/", 7., "b/x", 1.}, []any{"a/", 8., "b/x", 1.}, "[ 7 8]"},
		{"far too much", []any{"a/x", 1e30}, []any{"a/x", 1e30}, "[x 9200T 8984375000000Ki]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, o := fixture()
			o[kube.RunningPods] = map[string]labels.Set{"shop/a": nil}
			p.answers[ofNamespace("cpu", "shop")], p.answers[ofNamespace("mem", "shop")] = of(sampled, c.cpu...), of(sampled, c.mem...)
			items, _, err := newAPI(t, p, o, rules()).pods(t.Context(), choose("a"))
			if err != nil {
				t.Fatal(err)
			}
			got := "absent"
			if len(items) == 1 {
				got = ""
				for _, container := range items[0].Containers {
					got += fmt.Sprintf(" [%s %s]", container.Name, usage(container.Usage))
				}
			}
			if strings.TrimSpace(got) != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestErrorsSayWhy(t *testing.T) {
	p, o := fixture()
	down := errors.New("connection\nrefused")
	p.broken[ofNamespace("mem", "shop")], p.broken[ofNodes("cpu")] = down, down
	api := newAPI(t, p, o, rules())
	current := api
	url := serve(t, func() *API { return current })
	var warned warnings
	c := client(t, url, "protobuf", &warned)
	const (
		why   = " is not known: resourceRules.memory.containerQuery: the query never succeeded: cannot query backend \"main\": connection\nrefused"
		shop  = `the use of CPU and memory by pods of namespace "shop"` + why
		nodes = "the use of CPU and memory by nodes is not known: resourceRules.cpu.nodeQuery: the query never succeeded: cannot query backend \"main\": connection\nrefused"
	)
	unavailable := func(what string, err error, want string) {
		t.Helper()
		if !apierrors.IsServiceUnavailable(err) || err.Error() != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
		if _, wait := apierrors.SuggestsClientDelay(err); wait {
			t.Errorf("%s: the error makes the autoscaler's worker sleep", what)
		}
	}
	_, err := c.PodMetricses("shop").List(t.Context(), metav1.ListOptions{})
	unavailable("a namespace", err, shop)
	_, err = c.PodMetricses("shop").Get(t.Context(), "web-1", metav1.GetOptions{})
	unavailable("a pod", err, shop)
	_, err = c.NodeMetricses().List(t.Context(), metav1.ListOptions{})
	unavailable("the nodes", err, nodes)
	_, err = c.NodeMetricses().Get(t.Context(), "n1", metav1.GetOptions{})
	unavailable("a node", err, nodes)
	if len(warned.text) > 0 {
		t.Errorf("warnings %q beside errors", warned.text)
	}
	list, err := c.PodMetricses("").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Namespace != "bank" {
		t.Errorf("all namespaces: %v, %v, want the one that answers", list, err)
	}
	if want := "pods of 1 of 2 namespaces are left out: " + strings.ReplaceAll(shop, "\n", " "); len(warned.text) != 1 || warned.text[0] != want {
		t.Errorf("warnings %q, want %q", warned.text, want)
	}
	delete(o[kube.RunningPods], "bank/web-1")
	_, err = c.PodMetricses("").List(t.Context(), metav1.ListOptions{})
	unavailable("all namespaces", err, shop)

	delete(o, kube.RunningPods)
	_, err = c.PodMetricses("shop").List(t.Context(), metav1.ListOptions{})
	unavailable("not allowed to watch", err, "the use of CPU and memory by pods is not known: cannot watch pods/running: forbidden")
	current = nil
	_, err = c.PodMetricses("shop").List(t.Context(), metav1.ListOptions{})
	unavailable("no rules any more", err, "the use of CPU and memory by pods is not known: the config has no resourceRules any more")
}

// answered is a demand with results of its own.
type answered func(q standing.Query) (*standing.Result, error)

func (a answered) Get(_ context.Context, q standing.Query) (*standing.Result, error) { return a(q) }

func TestOldAnswersAreErrors(t *testing.T) {
	p, o := fixture()
	api := newAPI(t, p, o, rules())
	var result standing.Result
	api.Demand = answered(func(q standing.Query) (*standing.Result, error) {
		r := result
		r.Points = p.answers[q.Expr]
		return &r, nil
	})
	for _, c := range []struct {
		age  time.Duration
		err  error
		want string
	}{
		{time.Second, nil, ""},
		{50 * time.Second, errors.New("down"), ""}, // held up to maxAge
		{70 * time.Second, nil, "the last answer is 1m10s old, more than 1m0s"},
		{70 * time.Second, errors.New("down"), "the last answer is 1m10s old, more than 1m0s: down"},
	} {
		result = standing.Result{At: time.Now().Add(-c.age), Err: c.err}
		items, _, err := api.pods(t.Context(), choose("web-1"))
		if c.want == "" && (err != nil || len(items) != 2) || c.want != "" && (err == nil || !strings.HasSuffix(err.Error(), ": "+c.want)) {
			t.Errorf("%v, %v: %v, %v, want %q", c.age, c.err, items, err, c.want)
		}
	}
}

// However many read, a namespace is asked about twice.
func TestReadersShareQueries(t *testing.T) {
	p, o := fixture()
	api := newAPI(t, p, o, rules())
	var readers sync.WaitGroup
	for range 50 {
		readers.Go(func() {
			for range 10 {
				if _, _, err := api.pods(t.Context(), choose("web-1")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	readers.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) != 4 { // choose("web-1") is of two namespaces
		t.Errorf("asked %d queries: %q", len(p.asked), p.asked)
	}
}

// Where one query cannot stand for all pods, or the backend refuses it, the names of those that are read stand in it.
func TestQueriesWithNames(t *testing.T) {
	const named = `sum by (pod,container) (cpu{namespace="shop",pod=~"web-1|web-2"})`
	all := ofNamespace("cpu", "shop")
	top := func(query string) string { return "topk(5, " + query + ")" } // the largest of all are not those of some
	for _, c := range []struct {
		name        string
		change      func(p *prom, r *legacy.ResourceRules)
		want, never string
	}{
		{"refused", func(p *prom, _ *legacy.ResourceRules) {
			p.broken[all] = refusal{errors.New("many-to-many matching not allowed")}
		}, named, top(named)},
		{"not separable", func(_ *prom, r *legacy.ResourceRules) { r.CPU.ContainerQuery = top(r.CPU.ContainerQuery) }, top(named), top(all)},
	} {
		p, o := fixture()
		delete(o[kube.RunningPods], "shop/new")
		delete(o[kube.RunningPods], "bank/web-1")
		r := rules()
		c.change(p, &r)
		p.answers[c.want] = p.answers[all]
		items, _, err := newAPI(t, p, o, r).pods(t.Context(), choice{labels.SelectorFromSet(labels.Set{"app": "web"}), fields.Everything()})
		if err != nil || len(items) != 2 || items[1].Containers[0].Usage.Cpu().Value() != 1 {
			t.Errorf("%s: %v, %v", c.name, items, err)
		}
		if !slices.Contains(p.asked, c.want) || slices.Contains(p.asked, c.never) {
			t.Errorf("%s: asked %q", c.name, p.asked)
		}
	}
}

func TestMistakesInRules(t *testing.T) {
	p, o := fixture()
	r := rules()
	delete(r.Memory.Resources.Overrides, "pod")
	_, _, err := newAPI(t, p, o, r).pods(t.Context(), choose("web-2"))
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "correct the rule: resourceRules.memory.containerQuery: ") {
		t.Errorf("no label of pods: %v", err)
	}
	r = rules()
	r.CPU.Resources.Overrides["widget"] = legacy.Override{Resource: "widgets"}
	_, _, err = newAPI(t, p, o, r).pods(t.Context(), choose("web-2"))
	if !apierrors.IsServiceUnavailable(err) || !strings.Contains(err.Error(), "resourceRules: cannot use cpu: ") || !strings.Contains(err.Error(), "widgets") {
		t.Errorf("an unknown resource: %v", err)
	}
}

// Of a namespace that nobody reads any more nothing is kept.
func TestQuestionsAreForgotten(t *testing.T) {
	p, o := fixture()
	api := newAPI(t, p, o, rules())
	if _, _, err := api.pods(t.Context(), choose("web-2")); err != nil {
		t.Fatal(err)
	}
	old, err := api.question("shop")
	if err != nil {
		t.Fatal(err)
	}
	long := &standing.Result{At: time.Now().Add(-time.Hour)}
	old.view.Store(&view{of: [2]*standing.Result{long, long}})
	if _, err := api.question("bank"); err != nil {
		t.Fatal(err)
	}
	if _, kept := api.questions.Load("shop"); kept {
		t.Error("kept after an hour without a read")
	}
}

// What kubectl get and the aggregator read.
func TestDiscoveryAndTables(t *testing.T) {
	p, o := fixture()
	p.answers[ofNamespace("cpu", "shop")] = p.answers[ofNamespace("cpu", "shop")][:3] // nothing of mail
	p.answers[ofNamespace("mem", "shop")] = p.answers[ofNamespace("mem", "shop")][1:] // not all of web-1
	api := newAPI(t, p, o, rules())
	url := serve(t, func() *API { return api })

	disco, err := discovery.NewDiscoveryClientForConfig(&rest.Config{Host: url})
	if err != nil {
		t.Fatal(err)
	}
	list, err := disco.ServerResourcesForGroupVersion("metrics.k8s.io/v1beta1")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range list.APIResources {
		got = append(got, fmt.Sprint(r.Name, " ", r.Kind, " ", r.Namespaced, " ", r.Verbs))
	}
	if want := []string{"nodes NodeMetrics false [get list]", "pods PodMetrics true [get list]"}; !slices.Equal(got, want) {
		t.Errorf("resources %q, want %q", got, want)
	}
	_, body := get(t, url+"/apis", "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io")
	// As those of kube-apiserver, the kinds without a group and version are those of the resource.
	const aggregated = `{"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","resources":[` +
		`{"resource":"nodes","responseKind":{"group":"","version":"","kind":"NodeMetrics"},"scope":"Cluster","singularResource":"","verbs":["get","list"]},` +
		`{"resource":"pods","responseKind":{"group":"","version":"","kind":"PodMetrics"},"scope":"Namespaced","singularResource":"","verbs":["get","list"]}],"freshness":"Current"}]}`
	if !strings.Contains(body, aggregated) || !strings.Contains(body, "custom.metrics.k8s.io") {
		t.Errorf("/apis aggregated: %s", body)
	}
	for _, path := range []string{"/openapi/v2", "/openapi/v3/apis/metrics.k8s.io/v1beta1"} {
		code, body := get(t, url+path, "application/json")
		for _, part := range []string{
			`io.k8s.metrics.pkg.apis.metrics.v1beta1.ContainerMetrics"`, `io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetricsList"`,
			`"group":"metrics.k8s.io","kind":"PodMetrics","version":"v1beta1"`,
		} {
			if code != 200 || !strings.Contains(body, part) {
				t.Errorf("%s: %d without %s", path, code, part)
			}
		}
	}

	for path, want := range map[string]string{
		"namespaces/shop/pods":       "web-1 261m <unknown> 5m0s | web-2 1 2Gi 5m0s",
		"namespaces/shop/pods/web-2": "web-2 1 2Gi 5m0s",
		"nodes":                      "n1 1500m 4Gi 5m0s | n2 2 1 5m0s",
		"nodes/n1":                   "n1 1500m 4Gi 5m0s",
		"namespaces/none/pods":       "",
	} {
		code, body := get(t, url+"/apis/metrics.k8s.io/v1beta1/"+path, "application/json;as=Table;v=v1;g=meta.k8s.io")
		var table metav1.Table
		if err := json.Unmarshal([]byte(body), &table); err != nil || code != 200 || len(table.ColumnDefinitions) != 4 {
			t.Errorf("%s: %d %v %s", path, code, err, body)
		}
		var rows []string
		for _, r := range table.Rows {
			rows = append(rows, strings.Trim(fmt.Sprint(r.Cells), "[]"))
		}
		if got := strings.Join(rows, " | "); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if code, body := get(t, url+"/apis/metrics.k8s.io/v1beta1/namespaces/none/pods", "application/json"); code != 200 || !strings.Contains(body, `"items":[]`) {
		t.Errorf("no pods: %d %s", code, body)
	}
	if code, body := get(t, url+"/apis/metrics.k8s.io/v1beta1/nodes?labelSelector=zone%3Dnone", "application/json"); code != 200 || !strings.Contains(body, `"items":[]`) {
		t.Errorf("no nodes: %d %s", code, body)
	}
	if _, err := client(t, url, "json", &warnings{}).NodeMetricses().Watch(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("a watch is answered")
	}
}
