package kube

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// api is an API server's discovery: group/version to resources, of which those that are down answer 503.
type api struct {
	mu     sync.Mutex
	groups map[string][]map[string]any
	down   map[string]bool
	dead   bool
	asked  int
}

func kindOf(name, singular, kind string, namespaced bool) map[string]any {
	return map[string]any{"name": name, "singularName": singular, "kind": kind, "namespaced": namespaced, "verbs": []string{"list"}}
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis/"), "/api/")
	switch resources, known := a.groups[path]; {
	case a.dead || a.down[path]:
		http.Error(w, "away", http.StatusServiceUnavailable)
	case r.URL.Path == "/api":
		a.asked++
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case r.URL.Path == "/apis":
		var groups []any
		for gv := range a.groups {
			if group, version, ok := strings.Cut(gv, "/"); ok {
				v := map[string]any{"groupVersion": gv, "version": version}
				groups = append(groups, map[string]any{"name": group, "versions": []any{v}, "preferredVersion": v})
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
	case known:
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "APIResourceList", "groupVersion": path, "resources": resources})
	default:
		http.NotFound(w, r)
	}
}

func newMapper(t *testing.T, a *api) *Mapper {
	t.Helper()
	s := httptest.NewServer(a)
	t.Cleanup(s.Close)
	m, err := NewMapper(&rest.Config{Host: s.URL}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func core() map[string][]map[string]any {
	return map[string][]map[string]any{
		"v1":                              {kindOf("pods", "pod", "Pod", true), kindOf("nodes", "node", "Node", false), kindOf("pods/status", "", "Pod", true)},
		"apps/v1":                         {kindOf("deployments", "deployment", "Deployment", true)},
		"external.metrics.k8s.io/v1beta1": {kindOf("queue", "", "ExternalMetricValueList", true)},
	}
}

func TestMapper(t *testing.T) {
	a := &api{groups: core()}
	m := newMapper(t, a)
	f := func(group, resource, want string) {
		t.Helper()
		r, err := m.ResourceFor(schema.GroupVersionResource{Group: group, Resource: resource})
		got := r.GroupResource().String()
		if meta.IsNoMatchError(err) {
			got = "none"
		} else if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s of %q: got %s, want %s", resource, group, got, want)
		}
	}
	f("", "pod", "pods")
	f("", "deployment", "deployments.apps")
	f("app", "deployments", "deployments.apps") // a shortened group, as prometheus-adapter allows
	f("", "queue", "none")                      // a metric is no object
	f("", "widgets", "none")
	if kind, err := m.KindFor(schema.GroupVersionResource{Resource: "node"}); err != nil || kind.Kind != "Node" {
		t.Errorf("the kind of nodes: %v, %v", kind, err)
	}
	if mapping, err := m.RESTMapping(schema.GroupKind{Kind: "Node"}); err != nil || mapping.Scope.Name() != meta.RESTScopeNameRoot {
		t.Errorf("the mapping of Node: %+v, %v", mapping, err)
	}
	if singular, err := m.ResourceSingularizer("deployments"); err != nil || singular != "deployment" {
		t.Errorf("the singular of deployments: %s, %v", singular, err)
	}
	if groups := slices.Sorted(slices.Values(m.Groups())); !slices.Equal(groups, []string{"", "apps"}) {
		t.Errorf("groups %q", groups)
	}
	if a.asked != 1 {
		t.Errorf("asked %d times, want 1: the unknown ones came too soon after", a.asked)
	}
}

// The interval is that of --discovery-interval: what is gone from the cluster is gone from the mapper with the next look.
func TestMapperLooksAgainAtTheInterval(t *testing.T) {
	a := &api{groups: core()}
	m := newMapper(t, a)
	if _, err := m.KindFor(schema.GroupVersionResource{Resource: "deployments"}); err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	delete(a.groups, "apps/v1")
	a.mu.Unlock()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go m.Run(ctx, 10*time.Millisecond)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if _, err := m.KindFor(schema.GroupVersionResource{Resource: "deployments"}); meta.IsNoMatchError(err) {
			return
		}
	}
	t.Error("a resource that is gone stays known")
}

func TestMapperFindsWhatIsInstalledLater(t *testing.T) {
	a := &api{groups: core()}
	m := newMapper(t, a)
	look := func() error {
		_, err := m.ResourceFor(schema.GroupVersionResource{Resource: "widget"})
		return err
	}
	if err := look(); !meta.IsNoMatchError(err) {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.groups["shop.example.com/v1"] = []map[string]any{kindOf("widgets", "widget", "Widget", true)}
	a.mu.Unlock()
	if err := look(); !meta.IsNoMatchError(err) || a.asked != 1 {
		t.Fatalf("within the pause: %v, asked %d times", err, a.asked)
	}
	m.mu.Lock()
	m.asked = m.asked.Add(-missInterval)
	m.mu.Unlock()
	if err := look(); err != nil || a.asked != 2 {
		t.Fatalf("after the pause: %v, asked %d times", err, a.asked)
	}

	// The server of the group goes away, then the whole cluster: what is known stays.
	a.mu.Lock()
	a.down = map[string]bool{"shop.example.com/v1": true}
	a.mu.Unlock()
	m.refresh(0)
	if err := look(); err != nil {
		t.Errorf("with the group's server away: %v", err)
	}
	a.mu.Lock()
	a.dead = true
	a.mu.Unlock()
	m.refresh(0)
	if err := look(); err != nil {
		t.Errorf("with the cluster away: %v", err)
	}
}

func TestMapperOfADeadCluster(t *testing.T) {
	a := &api{groups: core(), dead: true}
	m := newMapper(t, a)
	_, err := m.KindFor(schema.GroupVersionResource{Resource: "pods"})
	if err == nil || meta.IsNoMatchError(err) || !strings.Contains(err.Error(), "cannot ask the cluster for its resources") {
		t.Errorf("error %v, want one that is not about the resource", err)
	}
	if m.Groups() != nil {
		t.Errorf("groups %q", m.Groups())
	}
	a.mu.Lock()
	a.dead = false
	a.mu.Unlock()
	m.mu.Lock()
	m.asked = time.Time{}
	m.mu.Unlock()
	if _, err := m.KindFor(schema.GroupVersionResource{Resource: "pods"}); err != nil {
		t.Errorf("once it answers: %v", err)
	}
}

func TestStaticMapper(t *testing.T) {
	m := NewStaticMapper()
	for resource, want := range map[string]string{
		"pod": "/Pod namespace", "nodes": "/Node root", "namespace": "/Namespace root", "ingress": "networking.k8s.io/Ingress namespace",
		"deployments": "apps/Deployment namespace", "job": "batch/Job namespace", "persistentvolume": "/PersistentVolume root",
		"persistentvolumeclaims": "/PersistentVolumeClaim namespace", "events": "/Event namespace", "storageclasses": "storage.k8s.io/StorageClass root",
	} {
		kind, err := m.KindFor(schema.GroupVersionResource{Resource: resource})
		if err != nil {
			t.Errorf("%s: %v", resource, err)
			continue
		}
		mapping, err := m.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			t.Errorf("%s: %v", resource, err)
			continue
		}
		if got := kind.Group + "/" + kind.Kind + " " + string(mapping.Scope.Name()); got != want {
			t.Errorf("%s: %s, want %s", resource, got, want)
		}
	}
	if _, err := m.ResourceFor(schema.GroupVersionResource{Resource: "widgets"}); !meta.IsNoMatchError(err) {
		t.Errorf("an unknown resource: %v", err)
	}
	m.Run(t.Context(), time.Minute) // has nothing to do and returns
}
