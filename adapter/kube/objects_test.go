package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// cluster is an API server that lists and watches what the test puts into it, as metadata only.
type cluster struct {
	*httptest.Server
	mu        sync.Mutex
	objects   map[string][]map[string]any // by path
	queries   []string
	denied    bool
	events    chan map[string]any
	discovery int
}

func object(namespace, name string, labels map[string]string, more ...string) map[string]any {
	meta := map[string]any{
		"name": name, "labels": labels, "resourceVersion": "2", "uid": namespace + name,
		"annotations": map[string]string{"large": strings.Repeat("x", 100)},
	}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	for _, key := range more {
		meta[key] = "2026-09-01T12:00:00Z"
	}
	return map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{objects: make(map[string][]map[string]any), events: make(chan map[string]any, 10)}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	c.mu.Lock()
	objects, known := c.objects[r.URL.Path]
	denied := c.denied
	c.queries = append(c.queries, r.URL.Path+"?"+r.URL.Query().Get("fieldSelector"))
	c.mu.Unlock()
	reply := func(code int, body any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	status := func(code int, reason, message string) {
		reply(code, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": message})
	}
	switch {
	case denied:
		status(http.StatusForbidden, "Forbidden", "pods is forbidden: no")
	case r.URL.Path == "/apis":
		c.mu.Lock()
		c.discovery++
		c.mu.Unlock()
		reply(http.StatusOK, map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}})
	case r.URL.Path == "/api":
		reply(http.StatusOK, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case r.URL.Path == "/api/v1":
		reply(http.StatusOK, map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
			map[string]any{"name": "nodes", "kind": "Node", "namespaced": false, "verbs": []string{"list", "watch"}},
			map[string]any{"name": "services", "kind": "Service", "namespaced": true, "verbs": []string{"list", "watch"}},
		}})
	case r.URL.Query().Get("sendInitialEvents") == "true":
		status(http.StatusUnprocessableEntity, "Invalid", "sendInitialEvents is not supported")
	case r.URL.Query().Get("watch") == "true":
		w.(http.Flusher).Flush()
		for {
			select {
			case <-r.Context().Done():
				return
			case event := <-c.events:
				_ = json.NewEncoder(w).Encode(event)
				w.(http.Flusher).Flush()
			}
		}
	case known:
		reply(http.StatusOK, map[string]any{
			"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": map[string]any{"resourceVersion": "2"}, "items": objects,
		})
	default:
		status(http.StatusNotFound, "NotFound", "no "+r.URL.Path)
	}
}

// start returns objects that watch the cluster until the test ends.
func start(t *testing.T, c *cluster, resources ...schema.GroupResource) *Objects {
	t.Helper()
	config, logger := &rest.Config{Host: c.URL}, slog.New(slog.DiscardHandler)
	mapper, err := NewMapper(config, logger)
	if err != nil {
		t.Fatal(err)
	}
	o, err := New(Options{Config: config, Mapper: mapper, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := o.Start(ctx, resources...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		c.CloseClientConnections()
		o.Wait()
	})
	return o
}

func names(t *testing.T, o *Objects, resource schema.GroupResource, namespace, selector string) string {
	t.Helper()
	parsed, err := labels.Parse(selector)
	if err != nil {
		t.Fatal(err)
	}
	found, err := o.Names(t.Context(), resource, namespace, parsed)
	if err != nil {
		return err.Error()
	}
	if found == nil {
		return "not restricted"
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), " ")
}

const podPath = "/api/v1/pods"

func TestPodsThatLive(t *testing.T) {
	c := newCluster(t)
	web := map[string]string{"app": "web"}
	c.objects[podPath] = []map[string]any{
		object("shop", "w1", web), object("shop", "w2", map[string]string{"app": "web", "tier": "x"}),
		object("shop", "mail", map[string]string{"app": "mail"}), object("bank", "w1", web),
		object("shop", "ending", web, "deletionTimestamp"),
	}
	o := start(t, c, Pods)
	for _, q := range []struct{ namespace, selector, want string }{
		{"shop", "app=web", "w1 w2"},
		{"shop", "app=web,!tier", "w1"},
		{"shop", "", "mail w1 w2"},
		{"bank", "app=web", "w1"},
		{"none", "app=web", ""},
	} {
		if got := names(t, o, Pods, q.namespace, q.selector); got != q.want {
			t.Errorf("%s %q: %s, want %s", q.namespace, q.selector, got, q.want)
		}
	}
	if !o.Synced() {
		t.Error("not synced after an answer")
	}
	c.mu.Lock()
	queries := slices.Clone(c.queries)
	c.mu.Unlock()
	for _, q := range queries {
		if q != podPath+"?status.phase!=Succeeded,status.phase!=Failed" {
			t.Errorf("asked %s: pods that ended must be left out by the server, and nothing else asked", q)
		}
	}

	c.events <- map[string]any{"type": "DELETED", "object": object("shop", "w2", nil)}
	c.events <- map[string]any{"type": "ADDED", "object": object("shop", "w9", web)}
	for end := time.Now().Add(10 * time.Second); names(t, o, Pods, "shop", "app=web") != "w1 w9"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after the events: %s", names(t, o, Pods, "shop", "app=web"))
		}
	}
}

func TestListTellsLabelsAcrossNamespaces(t *testing.T) {
	c := newCluster(t)
	web := map[string]string{"app": "web"}
	c.objects[podPath] = []map[string]any{
		object("shop", "w1", web), object("shop", "mail", nil), object("bank", "w1", web, "deletionTimestamp"),
	}
	c.objects["/api/v1/nodes"] = []map[string]any{object("", "n1", web)}
	o := start(t, c, RunningPods)
	for _, q := range []struct {
		resource                  schema.GroupResource
		namespace, selector, want string
	}{
		{RunningPods, "shop", "", "shop/mail[] shop/w1[app=web]"},
		{RunningPods, "", "app=web", "bank/w1[app=web] shop/w1[app=web]"},
		{RunningPods, "none", "", ""},
		{Nodes, "", "app=web", "/n1[app=web]"},
	} {
		selector, err := labels.Parse(q.selector)
		if err != nil {
			t.Fatal(err)
		}
		found, err := o.List(t.Context(), q.resource, q.namespace, selector)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, object := range found {
			got = append(got, object.Namespace+"/"+object.Name+"["+labels.FormatLabels(object.Labels)+"]")
		}
		slices.Sort(got)
		if text := strings.ReplaceAll(strings.Join(got, " "), "<none>", ""); text != q.want {
			t.Errorf("%s of %q, %q: %s, want %s", q.resource, q.namespace, q.selector, text, q.want)
		}
	}
	if got := names(t, o, RunningPods, "", ""); got != "" {
		t.Errorf("names of no namespace: %s", got) // they would be taken for those of any
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.queries, podPath+"?status.phase=Running") {
		t.Errorf("asked %q: pods that do not run must be left out by the server", c.queries)
	}
}

func TestOnlyNamesAndLabelsAreKept(t *testing.T) {
	c := newCluster(t)
	c.objects[podPath] = []map[string]any{object("shop", "w1", map[string]string{"app": "web"})}
	o := start(t, c, Pods)
	names(t, o, Pods, "shop", "")
	for _, kept := range o.watches[Pods].informer.GetIndexer().List() {
		text, err := json.Marshal(kept)
		if err != nil {
			t.Fatal(err)
		}
		want := `{"metadata":{"name":"w1","namespace":"shop","resourceVersion":"2","labels":{"app":"web"}}}`
		if string(text) != want {
			t.Errorf("kept %s, want %s", text, want)
		}
	}
}

func TestOtherResourcesAreWatchedWhenAskedFor(t *testing.T) {
	c := newCluster(t)
	c.objects["/api/v1/nodes"] = []map[string]any{object("", "n1", map[string]string{"zone": "a"}), object("", "n2", nil)}
	c.objects["/api/v1/services"] = []map[string]any{object("shop", "front", nil), object("bank", "back", nil)}
	o := start(t, c)
	nodes, services := schema.GroupResource{Resource: "nodes"}, schema.GroupResource{Resource: "services"}
	if got := names(t, o, nodes, "shop", "zone=a"); got != "n1" { // an autoscaler asks through its own namespace
		t.Errorf("nodes: %s", got)
	}
	if got := names(t, o, services, "shop", ""); got != "front" {
		t.Errorf("services: %s", got)
	}
	widgets := schema.GroupResource{Group: "example.org", Resource: "widgets"}
	for range 5 {
		if got := names(t, o, widgets, "shop", ""); !strings.HasPrefix(got, "cannot find the resource widgets.example.org: no matches for") {
			t.Errorf("widgets: %s", got)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.discovery != 1 { // and not again because of the unknown one so soon after
		t.Errorf("the cluster's resources were asked for %d times, want 1", c.discovery)
	}
}

func TestNotAllowed(t *testing.T) {
	c := newCluster(t)
	c.denied = true
	o := start(t, c, Pods)
	o.watches[Pods].deadline = time.Now().Add(300 * time.Millisecond)
	began := time.Now()
	if o.Synced() {
		t.Error("synced without an answer")
	}
	got := names(t, o, Pods, "shop", "")
	if !strings.HasPrefix(got, "cannot watch pods: ") || !strings.Contains(got, "pods is forbidden: no") {
		t.Errorf("error %q", got)
	}
	if !o.Synced() {
		t.Error("a resource that may not be watched keeps the server from being ready")
	}
	// Later readers do not wait again: slow reads hold up every autoscaler.
	for range 20 {
		names(t, o, Pods, "shop", "")
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("21 reads took %v", took)
	}
}

func TestBeforeStart(t *testing.T) {
	o, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Mapper: NewStaticMapper(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, o, Pods, "shop", ""); got != "cannot watch pods: the program is starting or ending" {
		t.Errorf("error %q", got)
	}
}

func TestKindOf(t *testing.T) {
	for resource, want := range map[string]string{
		"pods": "/v1, Kind=Pod", "nodes": "/v1, Kind=Node", "deployments.apps": "apps/v1, Kind=Deployment",
		"ingresses.networking.k8s.io": "networking.k8s.io/v1, Kind=Ingress", "endpoints": "/v1, Kind=Endpoints", "widgets.example.org": "",
	} {
		got, known := KindOf(schema.ParseGroupResource(resource))
		if text := fmt.Sprint(got); known != (want != "") || known && text != want {
			t.Errorf("%s: %s, %v", resource, text, known)
		}
	}
}
