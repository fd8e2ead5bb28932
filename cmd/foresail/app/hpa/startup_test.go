package hpa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

var born = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)

type fields = map[string]any

func owned(name, uid, kind, owner string) fields {
	return fields{"name": name, "uid": uid, "creationTimestamp": born, "ownerReferences": []fields{{"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": owner, "controller": true}}}
}

// pod is one of the ReplicaSet set that had a node and was Ready so long after it was created; negative for not yet.
func pod(name, set string, node, ready time.Duration, restarts int) fields {
	var conditions []fields
	for kind, after := range map[string]time.Duration{"PodScheduled": node, "Ready": ready} {
		status := "True"
		if after < 0 {
			status, after = "False", 0
		}
		conditions = append(conditions, fields{"type": kind, "status": status, "lastTransitionTime": born.Add(after)})
	}
	return fields{
		"metadata": owned(name, name, "ReplicaSet", set),
		"status":   fields{"conditions": conditions, "containerStatuses": []fields{{"name": "c", "restartCount": restarts}}},
	}
}

// cluster is an API server with the Deployment web of the namespace shop.
func cluster(t *testing.T, pods []fields) kubernetes.Interface {
	t.Helper()
	list := func(kind, version string, items []fields) fields {
		return fields{"kind": kind, "apiVersion": version, "items": items}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chosen := r.URL.Query().Get("labelSelector") == "app=web"
		var body fields
		switch path := r.URL.Path; {
		case path == "/apis/apps/v1/namespaces/shop/deployments/web":
			body = fields{
				"kind": "Deployment", "apiVersion": "apps/v1", "metadata": fields{"name": "web", "uid": "d"},
				"spec": fields{"selector": fields{"matchLabels": fields{"app": "web"}}},
			}
		case path == "/apis/apps/v1/namespaces/shop/replicasets" && chosen:
			body = list("ReplicaSetList", "apps/v1", []fields{{"metadata": owned("web-1", "r1", "Deployment", "d")}, {"metadata": owned("other", "r2", "Deployment", "else")}})
		case path == "/api/v1/namespaces/shop/pods" && chosen:
			body = list("PodList", "v1", pods)
		default:
			body = fields{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "deployments.apps not found"}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(body)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Of 20 pods that start within 1 to 20 seconds of having a node the 19th is the P95. Two of them waited for it, 100 and 50 seconds.
func TestMeasure(t *testing.T) {
	var pods []fields
	for i := range 20 {
		wait := time.Second
		switch i {
		case 4:
			wait = 100 * time.Second
		case 5:
			wait = 50 * time.Second
		}
		rest := time.Duration(i+1) * time.Second
		if wait == time.Second {
			rest -= time.Second // Scheduling is part of the start where nobody waits for a node.
		}
		pods = append(pods, pod(fmt.Sprintf("web-1-%d", i), "r1", wait, wait+rest, 0))
	}
	pods = append(pods,
		pod("starting", "r1", 0, -1, 0), pod("restarted", "r1", 0, time.Second, 3), pod("again", "r1", 0, 5*time.Hour, 0), pod("foreign", "r2", 0, time.Minute, 0),
		pod("skewed", "r1", 5*time.Second, time.Second, 0))
	s, err := Measure(context.Background(), cluster(t, pods), "shop", "web")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Pods) != 20 || s.Few() || s.Ready != 19*time.Second || s.Node != 100*time.Second || s.Total() != 119*time.Second || s.Pods[0].Name != "web-1-4" {
		t.Errorf("%+v", s)
	}
	left := strings.Join(s.LeftOut, "\n")
	for _, want := range []string{"starting is not Ready", "restarted was restarted", "again became Ready 5h0m0s", "skewed was Ready before"} {
		if !strings.Contains(left, want) {
			t.Errorf("not said: %q in %s", want, left)
		}
	}
	if len(s.LeftOut) != 4 {
		t.Errorf("left out %v", s.LeftOut)
	}
}

func TestMeasureOfFewPods(t *testing.T) {
	s, err := Measure(context.Background(), cluster(t, []fields{pod("a", "r1", 0, 7*time.Second, 0), pod("b", "r1", 0, 9*time.Second, 0)}), "shop", "web")
	if err != nil || !s.Few() || s.Ready != 9*time.Second || s.Node != 0 {
		t.Errorf("%v, %+v", err, s)
	}
	_, err = Measure(context.Background(), cluster(t, []fields{pod("a", "r1", 0, -1, 0)}), "shop", "web")
	if !errors.Is(err, ErrNoPods) || !strings.Contains(err.Error(), "cannot measure the start-up of Deployment shop/web: it has no pod whose start can be told: a is not Ready") {
		t.Errorf("%v", err)
	}
	_, err = Measure(context.Background(), cluster(t, nil), "shop", "api")
	if err == nil || errors.Is(err, ErrNoPods) || !strings.Contains(err.Error(), "shop/api") {
		t.Errorf("%v", err)
	}
}
