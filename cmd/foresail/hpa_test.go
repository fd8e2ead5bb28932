package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/foresail/foresail/cmd/foresail/app/replay"
	"github.com/foresail/foresail/forecast/policy"
	sim "github.com/foresail/foresail/forecast/replay"
)

const serves = `metrics:
- {name: rps, query: "sum(rate(requests_total[2m]))", external: {}, forecast: {}}
- {name: latency, query: avg(latency), external: {}, forecast: {}}
- {name: plain, query: sum(x), external: {}}
- {name: hits, query: "sum by (namespace, ingress) (hits)", object: {resource: ingresses.networking.k8s.io}, forecast: {}}
`

// What foresail hpa writes has nothing that foresail lint would say, is replayed as it is, and asks for the metric as the config serves it.
func TestHPAOfEveryPolicy(t *testing.T) {
	config := write(t, serves)
	for _, name := range policy.Names() {
		status, stdout, stderr := call(t, "hpa", "--config", config, "--metric", "rps", "--policy", name, "--deployment", "web", "--capacity", "50", "--start-delay", "5m", "--max", "40")
		if status != 0 || stderr != "" {
			t.Fatalf("%s: status %d, %s", name, status, stderr)
		}
		file := writeAs(t, "hpa.yaml", stdout)
		if status, stdout, stderr := call(t, "lint", file, "--config", config, "--capacity", "50"); status != 0 || stderr != "" || stdout != "1 autoscalers, no problems\n" {
			t.Errorf("%s: lint: status %d, %s%s", name, status, stdout, stderr)
		}
		p, _ := policy.Find(name)
		got, err := replay.ReadHPA([]byte(stdout), "")
		if err != nil || got.Target != 50*p.Target || got.Spec.Max != 40 || got.Spec.Behavior.Down.Stabilization != p.Behavior.Down.Stabilization {
			t.Errorf("%s: %v, %+v", name, err, got)
		}
	}
}

func TestHPAByHand(t *testing.T) {
	status, stdout, stderr := call(t, "hpa", "--metric", "rps", "--policy", "aggressive", "--deployment", "web", "--max-up", "50%", "--max-down", "10", "--every", "5m", "--target", "0.5")
	want := []string{
		"# But for what was chosen by hand: --target 0.5, --max-up 50%, --max-down 10, --every 5m0s.\n",
		"# It looks 9m ahead, for pods that are Ready after 3m.\n", // 3m, a minute until it counts, and five until two halves have come
		"      - periodSeconds: 300\n        type: Percent\n        value: 50\n      selectPolicy: Max\n", "value: 10\n", "averageValue: 500m", "foresail.io/lead: 9m", "maxReplicas: 20",
	}
	for _, w := range want {
		if !strings.Contains(stdout, w) {
			t.Errorf("not written: %q in\n%s", w, stdout)
		}
	}
	if status != 0 || !strings.Contains(stderr, "without --config, rps is taken for an External metric") || !strings.Contains(stderr, "pods are taken to be Ready after 3m") {
		t.Errorf("status %d, %s", status, stderr)
	}
	status, stdout, stderr = call(t, "hpa", "--config", write(t, serves), "--metric", "hits", "--object", "front", "--policy", "conservative", "--deployment", "web", "--start-delay", "1m")
	if status != 0 || stderr != "" || strings.Count(stdout, "describedObject:\n        apiVersion: networking.k8s.io/v1\n        kind: Ingress\n        name: front\n") != 2 {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}

func TestHPARefuses(t *testing.T) {
	config := write(t, serves)
	wrong := write(t, "metrics: [{name: rps}]\n")
	for _, c := range []struct{ args, want string }{
		{"--policy reckless", `--policy: there is no policy "reckless": they are high-performance, conservative`},
		{"--policy=", "--policy is missing"},
		{"--capacity 0", "the capacity is 0: say how much load one pod carries, above 0"},
		{"--metric nothing --config " + config, "serves no metric nothing: foresail compat --config"},
		{"--metric plain --config " + config, "plain has no forecast: add forecast: {} to metrics[2] of"},
		{"--metric latency --config " + config, "latency is an average, a quantile or a ratio (metrics[1] of"},
		{"--metric hits --config " + config, "hits is told of objects of the kind Ingress (metrics[3] of"},
		{"--start-delay 40m --config " + config, "the forecast looks 30m ahead, not 41m, so that each read is an error"},
		{"--config nowhere.yaml", "cannot read config file"},
		{"--crd rollouts --config " + config, `--crd is "rollouts"`},
		{"--lead 0", "--lead is 0s: a forecast looks ahead by more than 0"},
		{"--quantile 1", "--quantile is 1: it is between 0 and 1"},
		{"--quantile .995", "there is no quantile 0.995 of a forecast"},
		{"--target 0", "--target is 0: say which share"},
		{"--start-delay -1s", "cannot be negative"},
		{"--max-up 0%", `--max-up is "0%": write whole percent, from 1% to 1000%`},
		{"--max-down 101%", `--max-down is "101%": write whole percent, from 1% to 100%`},
		{"--every 31m", "--every is 31m0s: whole seconds, from 1s to 30m0s"},
		{"--every 0", "--every is 0s"},
		{"--max-up 1% --every 30m", "by steps of 1% each 30m0s the number of pods does not double within an hour"},
		{"--min 0", "the least number of pods is 0"},
		{"--max 1", "and the largest 1"},
		{"--max 0", "--max is 0"},
		{"--deployment Web", `"Web" is no name of a Deployment`},
		{"--kubeconfig nowhere", "cannot use the kubeconfig: stat nowhere"},
		{"--kubeconfig x --start-delay 1m", "are measured with --kubeconfig or --context: keep one"},
		{"--config " + wrong, "metrics[0]"},
	} {
		args := append([]string{"hpa", "--metric", "rps", "--policy", "aggressive", "--deployment", "web"}, strings.Fields(c.args)...)
		status, stdout, stderr := call(t, args...)
		if status != 2 || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 && !strings.Contains(c.args, wrong) {
			t.Errorf("%s: status %d, %q, not %q", c.args, status, stderr, c.want)
		}
	}
}

// fakeCluster is an API server with the Deployment web in the namespace of its kubeconfig's context, shop; its pods took a minute to get a node, and
// two more from there.
func fakeCluster(t *testing.T, pods int) (kubeconfig string) {
	t.Helper()
	type fields = map[string]any
	born := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	meta := func(name, kind, owner string) fields {
		return fields{"name": name, "uid": name, "creationTimestamp": born, "ownerReferences": []fields{{"kind": kind, "name": owner, "uid": owner, "controller": true}}}
	}
	var items []fields
	for i := range pods {
		items = append(items, fields{"metadata": meta(fmt.Sprintf("web-%d", i), "ReplicaSet", "set"), "status": fields{"conditions": []fields{
			{"type": "PodScheduled", "status": "True", "lastTransitionTime": born.Add(time.Minute)}, {"type": "Ready", "status": "True", "lastTransitionTime": born.Add(3 * time.Minute)},
		}}})
	}
	answers := map[string]fields{
		"/apis/apps/v1/namespaces/shop/deployments/web": {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": fields{"name": "web", "uid": "d"}, "spec": fields{"selector": fields{"matchLabels": fields{"app": "web"}}}},
		"/apis/apps/v1/namespaces/shop/replicasets":     {"kind": "ReplicaSetList", "apiVersion": "apps/v1", "items": []fields{{"metadata": meta("set", "Deployment", "d")}}},
		"/api/v1/namespaces/shop/pods":                  {"kind": "PodList", "apiVersion": "v1", "items": items},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, ok := answers[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			body = fields{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "deployments.apps is forbidden"}
		}
		_ = json.NewEncoder(w).Encode(body)
	}))
	t.Cleanup(server.Close)
	return writeAs(t, "kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: here
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {}}]
contexts: [{name: here, context: {cluster: c, user: u, namespace: shop}}, {name: denied, context: {cluster: c, user: u}}]
`, server.URL))
}

// The lead follows from how long the Deployment's own pods took: two minutes from having a node, and one to get it.
func TestHPAMeasuresStartUp(t *testing.T) {
	args := []string{"hpa", "--metric", "rps", "--policy", "aggressive", "--deployment", "web", "--config", write(t, serves), "--kubeconfig"}
	status, stdout, stderr := call(t, append(args, fakeCluster(t, 20))...)
	if status != 0 || !strings.Contains(stdout, "# It looks 4m ahead, for pods that are Ready after 3m.\n# Measured on 20 pods: the P95 from a node to Ready is 2m, of the wait for a node 1m.\n") ||
		!strings.Contains(stdout, "foresail.io/start-up: 3m") || !strings.Contains(stderr, "foresail:   web-7: 1m to a node, 2m from there to Ready\n") || strings.Contains(stderr, "too few") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	few := fakeCluster(t, 3)
	status, _, stderr = call(t, append(args, few)...)
	if status != 0 || !strings.Contains(stderr, "That is merely the slowest: 3 pods are too few for a P95, which takes 20") {
		t.Errorf("status %d, %s", status, stderr)
	}
	status, stdout, stderr = call(t, append(args, fakeCluster(t, 0))...)
	if status != 2 || stdout != "" || !strings.Contains(stderr, "cannot measure the start-up of Deployment shop/web: it has no pod whose start can be told; name the time with --start-delay") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	// Another context is another namespace; that the cluster refuses is no mistake of the caller.
	status, stdout, stderr = call(t, append(args, few, "--context", "denied")...)
	if status != 1 || stdout != "" || !strings.Contains(stderr, "Deployment default/web: deployments.apps is forbidden") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	t.Setenv("KUBECONFIG", few)
	if status, _, stderr = call(t, append(args[:len(args)-1], "--context", "here")...); status != 0 || !strings.Contains(stderr, "Measured on 3 pods") {
		t.Errorf("by $KUBECONFIG: status %d, %s", status, stderr)
	}
}

func TestLint(t *testing.T) {
	text := strings.Replace(replayed, "minReplicas: 3", "minReplicas: 60", 1)
	hpa := writeAs(t, "hpa.yaml", text)
	status, stdout, stderr := call(t, "lint", hpa)
	if status != 0 || stderr != "" || stdout != hpa+":7: warning: HorizontalPodAutoscaler web: spec.maxReplicas: it is the same as minReplicas, 60, so that nothing is ever scaled: raise it, or do without the autoscaler\n" {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	two := writeAs(t, "two.yaml", text+"---\n"+strings.Replace(text, "name: web}", "name: api}", 1))
	status, stdout, stderr = call(t, "lint", two, "--json")
	var findings []struct{ Severity, Field, Text string }
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil || status != 1 || len(findings) != 3 || findings[1].Field != "spec.scaleTargetRef" || stderr != "foresail: 1 errors, 2 warnings\n" {
		t.Errorf("status %d, %v, %s%s", status, err, stdout, stderr)
	}
	none := writeAs(t, "none.yaml", "kind: Deployment\n")
	for _, c := range []struct{ args, want string }{
		{none, "there is no HorizontalPodAutoscaler in " + none},
		{"", "foresail lint wants the manifests to judge"},
		{"nowhere.yaml", "cannot read manifests"},
		{hpa + " --config nowhere.yaml", "cannot read config file"},
		{hpa + " --capacity 0", "--capacity is 0"},
		{hpa + " --start-delay -1s", "--start-delay cannot be negative"},
		{hpa + " --crd x", `--crd is "x"`},
	} {
		status, stdout, stderr := call(t, append([]string{"lint"}, strings.Fields(c.args)...)...)
		if status != 2 || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, %q, not %q", c.args, status, stderr, c.want)
		}
	}
}

// The page on policies has them as they are.
func TestPoliciesAreDocumented(t *testing.T) {
	page := read(t, "../../docs/POLICIES.md")
	steps := func(r sim.Rules) string {
		var all []string
		for _, p := range r.Policies {
			unit := "pods"
			if p.Percent {
				unit = "%"
			}
			all = append(all, fmt.Sprintf("%d %s", p.Value, unit))
		}
		return strings.Join(all, " or ") + " in " + model.Duration(r.Policies[0].Period).String()
	}
	for _, p := range policy.All() {
		row := fmt.Sprintf("| `%s` | %s | %g | %g %% | %g %% | %s | %s | %s |", p.Name, p.For, p.Quantile, 100*p.Target, 100*p.Reserve, steps(p.Behavior.Up),
			steps(p.Behavior.Down), model.Duration(p.Behavior.Down.Stabilization))
		if !strings.Contains(page, row) {
			t.Errorf("not in the page: %s", row)
		}
	}
}
