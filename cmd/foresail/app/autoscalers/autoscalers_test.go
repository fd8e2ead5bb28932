package autoscalers

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/cmd/foresail/app/readers"
)

const path = "/apis/autoscaling/v2/horizontalpodautoscalers"

// hpa is an autoscaler of shop with these metrics.
func hpa(name string, metrics ...string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"shop"},"spec":{"metrics":[%s]}}`, name, strings.Join(metrics, ","))
}

// list is the API server's answer.
func list(more string, items ...string) string {
	return fmt.Sprintf(`{"kind":"HorizontalPodAutoscalerList","apiVersion":"autoscaling/v2","metadata":{"resourceVersion":"7","continue":%q},"items":[%s]}`,
		more, strings.Join(items, ","))
}

// answering is an API server that answers the list with a text and a status.
func answering(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text))
	}
}

func lister(t *testing.T, config *rest.Config) *List {
	t.Helper()
	l, err := New(Options{Config: config, Mapper: kube.NewStaticMapper(kube.Custom{
		GroupResource: schema.GroupResource{Group: "shop.example", Resource: "mice"}, Singular: "mouse", Kind: "Mouse", Namespaced: true,
	})})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve starts an API server.
func serve(t *testing.T, answer http.HandlerFunc) *List {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return lister(t, &rest.Config{Host: server.URL})
}

// Each metric of a spec is found under what its read is noted as, and nothing else is.
func TestAsks(t *testing.T) {
	items := []string{
		hpa("web", `{"type":"External","external":{"metric":{"name":"Load"}}}`,
			`{"type":"External","external":{"metric":{"name":"load","selector":{}}}}`,
			`{"type":"Resource","resource":{"name":"cpu"}}`),
		hpa("api", `{"type":"External","external":{"metric":{"name":"load"}}}`,
			`{"type":"External","external":{"metric":{"name":"lag","selector":{"matchLabels":{"topic":"t","group":"g"},"matchExpressions":[{"key":"a","operator":"In","values":["y","x"]}]}}}}`),
		hpa("pods", `{"type":"Pods","pods":{"metric":{"name":"queue","selector":{"matchLabels":{"verb":"GET"}}}}}`),
		hpa("objects", `{"type":"Object","object":{"describedObject":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"metric":{"name":"inflight"}}}`,
			`{"type":"Object","object":{"describedObject":{"apiVersion":"v1","kind":"Namespace","name":"bank"},"metric":{"name":"tenant"}}}`,
			`{"type":"Object","object":{"describedObject":{"apiVersion":"shop.example/v1","kind":"Mouse","name":"m"},"metric":{"name":"squeaks"}}}`,
			`{"type":"Object","object":{"describedObject":{"apiVersion":"shop.example/v1","kind":"Gadget","name":"g"},"metric":{"name":"calls"}}}`),
	}
	l := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); r.URL.Path != path || q.Get("resourceVersion") != "0" || q.Get("limit") != "5000" || q.Has("watch") || r.Method != http.MethodGet {
			t.Errorf("asked %s %s", r.Method, r.URL)
		}
		answering(http.StatusOK, list("", items...))(w, r)
	})
	asks, err := l.Asks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const controller = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
	for _, c := range []struct {
		read readers.Read
		want string
	}{
		{readers.Read{Namespace: "shop", Metric: "LOAD"}, "api web"},
		{readers.Read{Namespace: "bank", Metric: "load"}, ""},
		{readers.Read{Namespace: "shop", Metric: "load", Selector: "queue=a"}, ""},
		{readers.Read{Namespace: "shop", Metric: "load", Resource: "pods"}, ""},
		{readers.Read{Namespace: "shop", Metric: "lag", Selector: "a in (x,y),group=g,topic=t"}, "api"},
		{readers.Read{Namespace: "shop", Metric: "queue", Resource: "pods", Objects: "app=web", Selector: "verb=GET"}, "pods"},
		{readers.Read{Namespace: "shop", Metric: "queue", Resource: "pods", Objects: "app=web"}, ""},
		{readers.Read{Namespace: "shop", Metric: "queue", Resource: "pods", Object: "web-1", Selector: "verb=GET"}, ""},
		{readers.Read{Namespace: "shop", Metric: "inflight", Resource: "deployments.apps", Object: "web"}, "objects"},
		{readers.Read{Namespace: "shop", Metric: "inflight", Resource: "deployments.apps", Object: "api"}, ""},
		{readers.Read{Metric: "tenant", Resource: "namespaces", Object: "shop"}, "objects"},
		{readers.Read{Namespace: "shop", Metric: "squeaks", Resource: "mice.shop.example", Object: "m"}, "objects"},
		{readers.Read{Namespace: "shop", Metric: "calls", Resource: "gadgets.shop.example", Object: "g"}, "objects"}, // guessed
	} {
		c.read.User = controller
		if got := strings.Join(asks[c.read.Ask()], " "); got != c.want {
			t.Errorf("%+v is asked for by %q, want %q", c.read, got, c.want)
		}
	}
	if len(asks) != 7 { // load, lag, queue, inflight, tenant, squeaks, calls
		t.Errorf("%d things are asked for: %v", len(asks), slices.Collect(maps.Keys(asks)))
	}
}

// What is wrong is said in a line, and what is known all the same is told.
func TestPartial(t *testing.T) {
	ok := hpa("web", `{"type":"External","external":{"metric":{"name":"load"}}}`)
	odd := hpa("odd", `{"type":"External","external":{"metric":{"name":"depth","selector":{"matchExpressions":[{"key":"a","operator":"Like"}]}}}}`,
		`{"type":"External","external":{"metric":{"name":"load"}}}`)
	status := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"horizontalpodautoscalers.autoscaling is forbidden: no list for foresail"}`
	for _, c := range []struct {
		name   string
		code   int
		answer string
		want   string
		names  string
	}{
		{"forbidden", http.StatusForbidden, status, "cannot list the autoscalers: horizontalpodautoscalers.autoscaling is forbidden: no list for foresail", "none"},
		{"garbage", http.StatusOK, "<html>", "cannot list the autoscalers: ", "none"},
		{"too large", http.StatusOK, list("", strings.Repeat(" ", largest)+ok), "cannot list the autoscalers: the answer has more than 32 MiB", "none"},
		{"too many", http.StatusOK, list("", slices.Repeat([]string{ok}, most+1)...), "there are more than 5000 autoscalers, and the others are not looked at", "web"},
		{"a part", http.StatusOK, list("more", ok), "there are more than 5000 autoscalers, and the others are not looked at", "web"},
		{"a selector", http.StatusOK, list("", odd, ok), `cannot read the selector of depth in the autoscaler shop/odd: "Like" is not a valid label selector operator`, "odd web"},
		{"none", http.StatusOK, list(""), "", ""},
	} {
		asks, err := serve(t, answering(c.code, c.answer)).Asks(t.Context())
		names := "none"
		if asks != nil {
			names = strings.Join(asks[readers.Read{Namespace: "shop", Metric: "load"}], " ")
		}
		if said := fmt.Sprint(err); err == nil && c.want != "" || err != nil && (c.want == "" || !strings.HasPrefix(said, c.want) || strings.Contains(said, "\n")) || names != c.names {
			t.Errorf("%s: %q and %q, want %q and %q", c.name, err, names, c.want, c.names)
		}
	}
}

// inside answers requests in the process itself, so that a test has a clock of its own.
type inside struct{ http.Handler }

func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// The cluster is asked once a minute however many ask, also where it fails, and has five seconds; who goes away spoils it for nobody.
func TestOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		var hangs atomic.Bool
		l := lister(t, &rest.Config{Host: "http://cluster.example", Transport: inside{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			if hangs.Load() {
				<-r.Context().Done()
			}
			answering(http.StatusOK, list("", hpa("web", `{"type":"External","external":{"metric":{"name":"load"}}}`)))(w, r)
		})}})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			if asks, err := l.Asks(gone); len(asks) != 1 || err != nil {
				t.Errorf("%v, %v", asks, err)
			}
		}
		time.Sleep(kept - time.Second) // of the test's clock
		_, _ = l.Asks(t.Context())
		if asked.Load() != 1 {
			t.Errorf("asked %d times within a minute", asked.Load())
		}
		hangs.Store(true)
		time.Sleep(time.Second)
		began := time.Now()
		for range 3 {
			if asks, err := l.Asks(t.Context()); asks != nil || err == nil || !strings.Contains(err.Error(), "deadline") {
				t.Errorf("%v, %v", asks, err)
			}
		}
		if asked.Load() != 2 || time.Since(began) != patience {
			t.Errorf("asked %d times, for %v", asked.Load(), time.Since(began))
		}
	})
}
