package takeover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

const (
	apis     = "/apis/apiregistration.k8s.io/v1/apiservices"
	external = "v1beta1.external.metrics.k8s.io"
	custom1  = "v1beta1.custom.metrics.k8s.io"
	custom2  = "v1beta2.custom.metrics.k8s.io"
)

// cluster is the part of an API server that is read and written here: objects by path, as JSON.
type cluster struct {
	mu      sync.Mutex
	objects map[string]map[string]any
	// broken names the Service that is never Available.
	broken string
	// stop is called once, after something has been written and before that is answered, which nobody waits for.
	stop func()
}

func object(kind, text string) map[string]any {
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		o = map[string]any{"broken": err.Error()}
	}
	o["kind"] = kind
	return o
}

// newCluster has APIServices of prometheus-adapter, and none of the custom metrics' v1beta2.
func newCluster() *cluster {
	api := `{"apiVersion":"apiregistration.k8s.io/v1","metadata":{"name":%q,"resourceVersion":"1"},"spec":{"group":%q,"version":"v1beta1",` +
		`"groupPriorityMinimum":100,"versionPriority":100,"insecureSkipTLSVerify":true,"service":{"name":"prometheus-adapter","namespace":"monitoring","port":443}},` +
		`"status":{"conditions":[{"type":"Available","status":"True"}]}}`
	service := `{"apiVersion":"v1","metadata":{"name":"x"},"spec":{"selector":{"app":"foresail"}}}`
	return &cluster{objects: map[string]map[string]any{
		apis + "/" + custom1:                                        object("APIService", fmt.Sprintf(api, custom1, "custom.metrics.k8s.io")),
		apis + "/" + external:                                       object("APIService", fmt.Sprintf(api, external, "external.metrics.k8s.io")),
		"/api/v1/namespaces/foresail/services/foresail":             object("Service", service),
		"/api/v1/namespaces/monitoring/services/prometheus-adapter": object("Service", service),
		"/api/v1/namespaces/foresail/pods":                          object("PodList", `{"apiVersion":"v1","items":[]}`),
		"/apis/autoscaling/v2/horizontalpodautoscalers":             object("HorizontalPodAutoscalerList", `{"apiVersion":"autoscaling/v2","items":[]}`),
	}}
}

// ServeHTTP implements http.Handler.
func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		sent := object("APIService", string(body))
		metadata := sent["metadata"].(map[string]any)
		if r.Method == http.MethodPost {
			path += "/" + metadata["name"].(string)
		}
		metadata["resourceVersion"] = "2"
		status := "True"
		if sent["spec"].(map[string]any)["service"].(map[string]any)["name"] == c.broken {
			status = "False"
		}
		sent["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": status, "message": "no response"}}}
		c.objects[path] = sent
		if c.stop != nil {
			c.stop()
			c.stop = nil
			<-r.Context().Done()
		}
	case http.MethodDelete:
		delete(c.objects, path)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
		return
	}
	found, ok := c.objects[path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(found)
}

// specs are those of all APIServices, with annotations.
func (c *cluster) specs(t *testing.T) map[string]string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]string{}
	for path, o := range c.objects {
		if name, is := strings.CutPrefix(path, apis+"/"); is {
			text, err := json.Marshal([]any{o["spec"], o["metadata"].(map[string]any)["annotations"]})
			if err != nil {
				t.Fatal(err)
			}
			all[name] = strings.Replace(string(text), ",null]", "]", 1)
			all[name] = strings.Replace(all[name], ",{}]", "]", 1)
		}
	}
	return all
}

// options are those of a cluster, whose Foresail is asked at an URL and not verified.
func (c *cluster) options(t *testing.T) Options {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	foresail := httptest.NewServer(http.HandlerFunc(explain))
	t.Cleanup(foresail.Close)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
	"users":[{"name":"u","user":{}}],"clusters":[{"name":"c","cluster":{"server":%q}}]}`, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Options{
		Kubeconfig: file, APIs: []string{"custom", "external"}, Service: "foresail/foresail", Port: 443, Unverified: true, URL: foresail.URL,
		Timeout: 5 * time.Second, poll: time.Millisecond,
	}
}

// explain is Foresail's web port: it serves two metrics, of which one has no value.
func explain(w http.ResponseWriter, r *http.Request) {
	switch r.FormValue("metric") {
	case "queue":
		fmt.Fprint(w, `{"ways":[{"api":"custom","resource":"pods","metric":"queue","value":"each its own"}]}`)
	case "lag":
		fmt.Fprint(w, `{"ways":[{"api":"external","metric":"lag","value":"unknown, so the autoscaler holds its size: it is stale"}]}`)
	case "secret":
		fmt.Fprint(w, `{"ways":[{"api":"external","metric":"secret","refused":"not from shop"}]}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":"no rule serves a metric like that"}`)
	}
}

// scaled adds an autoscaler with these metrics.
func (c *cluster) scaled(active string, metrics ...string) {
	c.objects["/apis/autoscaling/v2/horizontalpodautoscalers"] = object("HorizontalPodAutoscalerList", fmt.Sprintf(
		`{"apiVersion":"autoscaling/v2","items":[{"metadata":{"name":"web","namespace":"shop"},"spec":{"metrics":[%s]},`+
			`"status":{"conditions":[{"type":"ScalingActive","status":%q}]}}]}`, strings.Join(metrics, ","), active))
}

func hpaExternal(name string) string {
	return fmt.Sprintf(`{"type":"External","external":{"metric":{"name":%q}}}`, name)
}

func hpaPods(name string) string {
	return fmt.Sprintf(`{"type":"Pods","pods":{"metric":{"name":%q}}}`, name)
}

func TestThereAndBack(t *testing.T) {
	c := newCluster()
	c.scaled("True", hpaPods("queue"))
	o := c.options(t)
	before := c.specs(t)
	var shown strings.Builder
	if err := Take(t.Context(), &shown, o); err != nil {
		t.Fatal(err)
	}
	const want = `v1beta1.custom.metrics.k8s.io
- service: monitoring/prometheus-adapter, port 443
+ service: foresail/foresail, port 443
v1beta1.external.metrics.k8s.io
- service: monitoring/prometheus-adapter, port 443
+ service: foresail/foresail, port 443
v1beta2.custom.metrics.k8s.io (does not exist)
+ group: custom.metrics.k8s.io
+ groupPriorityMinimum: 100
+ insecureSkipTLSVerify: true
+ service: foresail/foresail, port 443
+ version: v1beta2
+ versionPriority: 200
autoscalers read 1 metrics through this, of which Foresail does not serve 0
nothing was changed; --yes does it
`
	if shown.String() != want {
		t.Errorf("shown\n%s\nwant\n%s", shown.String(), want)
	}
	if now := c.specs(t); !maps.Equal(now, before) {
		t.Errorf("showing changed something: %v", now)
	}
	o.Yes = true
	if err := Take(t.Context(), io.Discard, o); err != nil {
		t.Fatal(err)
	}
	taken := c.specs(t)
	if len(taken) != 3 {
		t.Errorf("there are %d APIServices", len(taken))
	}
	for name, spec := range taken {
		if !strings.Contains(spec, `"service":{"name":"foresail","namespace":"foresail","port":443}`) {
			t.Errorf("%s is %s", name, spec)
		}
	}
	shown.Reset()
	if err := Take(t.Context(), &shown, o); err != nil || strings.Count(shown.String(), "is Foresail's already") != 3 {
		t.Errorf("again: %v, %s", err, shown.String())
	}
	if err := Rollback(t.Context(), io.Discard, o); err != nil {
		t.Fatal(err)
	}
	if now := c.specs(t); !maps.Equal(now, before) {
		t.Errorf("after the rollback\n%v\nwant\n%v", now, before)
	}
	shown.Reset()
	if err := Rollback(t.Context(), &shown, o); err != nil || !strings.Contains(shown.String(), "there is nothing to roll back") {
		t.Errorf("again: %v, %s", err, shown.String())
	}
}

func TestWhatDoesNotBecomeAvailableIsPutBack(t *testing.T) {
	c := newCluster()
	c.broken = "foresail"
	o := c.options(t)
	before := c.specs(t)
	o.Yes, o.Timeout = true, 20*time.Millisecond
	var shown strings.Builder
	err := Take(t.Context(), &shown, o)
	if err == nil || !strings.Contains(err.Error(), "not all was Available within 20ms: v1beta1.custom.metrics.k8s.io: no response") {
		t.Errorf("%v", err)
	}
	if now := c.specs(t); !maps.Equal(now, before) || !strings.Contains(shown.String(), "undone") {
		t.Errorf("%s: left as\n%v\nwant\n%v", shown.String(), now, before)
	}
}

// Whoever stops it gets back what was there, and what was being written at that moment, too.
func TestWhatIsStoppedIsPutBack(t *testing.T) {
	c := newCluster()
	o := c.options(t)
	o.Yes = true
	before := c.specs(t)
	ctx, cancel := context.WithCancel(t.Context())
	c.stop = cancel
	var shown strings.Builder
	if err := Take(ctx, &shown, o); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "cannot write the APIService "+custom1) {
		t.Errorf("%v", err)
	}
	if now := c.specs(t); !maps.Equal(now, before) || !strings.Contains(shown.String(), "undone") {
		t.Errorf("%s: left as\n%v\nwant\n%v", shown.String(), now, before)
	}
}

func TestAutoscalersKeepTheirMetrics(t *testing.T) {
	for _, c := range []struct {
		name, active string
		metrics      []string
		apis         []string
		want         string // of what is written
		refused      bool
	}{
		{"not served", "True", []string{hpaPods("queue"), hpaExternal("nothing")}, nil, "shop/web: external metric nothing: not served: no rule serves", true},
		{"of another kind", "True", []string{hpaExternal("queue")}, nil, "external metric queue: not served: Foresail has a metric of that name, but not of this kind", true},
		{"not from there", "True", []string{hpaExternal("secret")}, nil, "not served: not from shop", true},
		{"a value now", "True", []string{hpaExternal("lag")}, nil, "no value, and the autoscaler has one now: it is stale", true},
		{"no value on both sides", "False", []string{hpaExternal("lag")}, nil, "no value now, as before: it is stale", false},
		{"of an API that stays", "True", []string{hpaExternal("nothing")}, []string{"custom"}, "nothing was changed", false},
		{"of CPU", "True", []string{`{"type":"Resource","resource":{"name":"cpu"}}`}, nil, "nothing was changed", false},
	} {
		cluster := newCluster()
		cluster.scaled(c.active, c.metrics...)
		o := cluster.options(t)
		if c.apis != nil {
			o.APIs = c.apis
		}
		var shown strings.Builder
		err := Take(t.Context(), &shown, o)
		if (err != nil) != c.refused || !strings.Contains(shown.String(), c.want) {
			t.Errorf("%s: %v\n%s", c.name, err, shown.String())
		}
		o.Force, o.Yes = true, true
		if err := Take(t.Context(), io.Discard, o); err != nil {
			t.Errorf("%s, by force: %v", c.name, err)
		}
	}
}

func TestKEDAKeepsItsAPI(t *testing.T) {
	c := newCluster()
	c.objects[apis+"/"+external]["spec"].(map[string]any)["service"].(map[string]any)["name"] = "keda-operator-metrics-apiserver"
	o := c.options(t)
	var shown strings.Builder
	if err := Take(t.Context(), &shown, o); err != nil || !strings.Contains(shown.String(), "end KEDA's operator first") {
		t.Errorf("without ScaledObjects: %v\n%s", err, shown.String())
	}
	c.objects["/apis/keda.sh/v1alpha1/scaledobjects"] = object("ScaledObjectList",
		`{"apiVersion":"keda.sh/v1alpha1","items":[{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"web","namespace":"shop"}}]}`)
	o.Yes = true
	err := Take(t.Context(), io.Discard, o)
	if err == nil || !strings.Contains(err.Error(), "1 ScaledObjects read their metrics through it (shop/web)") || !strings.Contains(err.Error(), "trigger of type external") {
		t.Errorf("%v", err)
	}
	o.APIs = []string{"custom"}
	if err := Take(t.Context(), io.Discard, o); err != nil {
		t.Errorf("custom alone: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	c := newCluster()
	c.scaled("True", hpaPods("queue"))
	for _, m := range []struct {
		spoil func(o *Options)
		want  string
	}{
		{func(o *Options) { o.APIs = nil }, "name the APIs"},
		{func(o *Options) { o.APIs = []string{"pods"} }, `there is no API "pods" to switch`},
		{func(o *Options) { o.Service = "foresail" }, `--service is "foresail": write NAMESPACE/NAME`},
		{func(o *Options) { o.Service = "foresail/other" }, "the Service foresail/other does not exist"},
		{func(o *Options) { o.Kubeconfig = "nowhere" }, "cannot use the kubeconfig"},
		{func(o *Options) { o.Context = "nowhere" }, "cannot use the kubeconfig"},
		{func(o *Options) { o.URL = "localhost" }, `--url is "localhost"`},
		{func(o *Options) { o.URL = "" }, "no Ready pod of the Service foresail/foresail has a port named http"},
		{func(o *Options) { o.Unverified = false }, "cannot tell how Foresail is to be verified"},
		{func(o *Options) { o.Unverified, o.CAFile = false, "nowhere" }, "cannot read --ca-file"},
		{func(o *Options) { o.Unverified, o.CAFile = false, o.Kubeconfig }, "--ca-file holds no certificates in PEM"},
	} {
		o := c.options(t)
		m.spoil(&o)
		err := Take(t.Context(), io.Discard, o)
		if !errors.As(err, new(mistake.Error)) || !strings.Contains(err.Error(), m.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want a line with %s", err, m.want)
		}
	}
}

// What the Service's own pod says counts where no URL is given.
func TestAPodIsAskedThroughTheAPIServer(t *testing.T) {
	c := newCluster()
	c.scaled("True", hpaPods("other"))
	c.objects["/api/v1/namespaces/foresail/pods"] = object("PodList", `{"apiVersion":"v1","items":[{"metadata":{"name":"foresail-0"},
	"spec":{"containers":[{"ports":[{"name":"http","containerPort":8080}]}]},"status":{"conditions":[{"type":"Ready","status":"True"}]}}]}`)
	c.objects["/api/v1/namespaces/foresail/pods/http:foresail-0:8080/proxy/api/v1alpha/explain"] = object("",
		`{"ways":[{"api":"custom","resource":"pods","metric":"other","value":"each its own"}]}`)
	o := c.options(t)
	o.URL = ""
	var shown strings.Builder
	if err := Take(t.Context(), &shown, o); err != nil || !strings.Contains(shown.String(), "of which Foresail does not serve 0") {
		t.Errorf("%v\n%s", err, shown.String())
	}
}

func TestTheRollbackNeedsTheServiceFromBefore(t *testing.T) {
	c := newCluster()
	o := c.options(t)
	o.Yes = true
	if err := Take(t.Context(), io.Discard, o); err != nil {
		t.Fatal(err)
	}
	delete(c.objects, "/api/v1/namespaces/monitoring/services/prometheus-adapter")
	if err := Rollback(t.Context(), io.Discard, o); err == nil || !strings.Contains(err.Error(), "the Service monitoring/prometheus-adapter does not exist") {
		t.Errorf("%v", err)
	}
	o.Force = true
	if err := Rollback(t.Context(), io.Discard, o); err != nil {
		t.Error(err)
	}
}
