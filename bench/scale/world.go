package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// world is what Foresail finds around it: gRPC servers with metrics pages, and a cluster whose API server allows
// everything.
type world struct {
	kubeconfig string
	port       int // Of the pages, on every loopback address.
	servers    []*http.Server
}

// hosts is how many addresses the pages are spread over, so that connections are kept as to that many nodes.
const hosts = 64

func newWorld(dir string, n loads) (*world, error) {
	w := &world{kubeconfig: filepath.Join(dir, "kubeconfig")}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /pod/{pod}", n.page)
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	w.port = listener.Addr().(*net.TCPAddr).Port
	w.serve(listener, pages)
	if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.serve(listener, cluster())
	return w, os.WriteFile(w.kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: bench
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
clusters: [{name: bench, cluster: {server: "http://%s"}}]
users: [{name: bench, user: {}}]
`, listener.Addr()), 0o600)
}

func (w *world) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	w.servers = append(w.servers, s)
	go func() { _ = s.Serve(l) }()
}

func (w *world) close() error {
	var errs []error
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// url is where the page of a pod is.
func (w *world) url(pod int) string {
	return fmt.Sprintf("http://127.0.1.%d:%d/pod/%d", 1+pod%hosts, w.port, pod)
}

// cluster is as much of an API server as Foresail needs: one that has no objects and allows everybody everything.
func cluster() http.Handler {
	const review = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
	answers := map[string]string{
		"GET /version": `{"major":"1","minor":"36","gitVersion":"v1.36.3"}`,
		"GET /api":     `{"kind":"APIVersions","versions":["v1"]}`,
		"GET /apis":    `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
		"GET /api/v1": `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod",` +
			`"verbs":["get","list","watch"]}]}`,
		"POST " + review: `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":true}}`,
	}
	mux := http.NewServeMux()
	for pattern, body := range answers {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusCreated)
			}
			_, _ = w.Write([]byte(body))
		})
	}
	return mux
}

// The two metrics of a pod.
const (
	inflight = "grpc_server_inflight"
	requests = "grpc_server_requests_per_second"
)

// loads is how many different ones there are; pods that differ by it have the same.
type loads int

// epoch is before all times of the bench.
var epoch = time.Now().Add(-60 * 24 * time.Hour).Truncate(24 * time.Hour)

// started is the calls so far: their rate has cycles of half a day, a day and a week.
func (n loads) started(pod int, at time.Time) float64 {
	k := float64(pod % int(n))
	level, t := 20*(1+math.Mod(k, 7)), at.Sub(epoch).Seconds()
	integral := func(amplitude, period, phase float64) float64 {
		return -amplitude * period / (2 * math.Pi) * math.Cos(2*math.Pi*(t/period+phase))
	}
	const day, week = 86400, 7 * 86400
	return level * (t + integral(.4, day, k/float64(n)) + integral(.15, day/2, 2*k/float64(n)) + integral(.15, week, 0) + 6*n.noise(pod, at))
}

// busy is the calls under way.
func (n loads) busy(pod int, at time.Time) float64 {
	now := (n.started(pod, at) - n.started(pod, at.Add(-time.Minute))) / 60
	return math.Round(now * (.2 + .05*n.noise(pod+1, at)))
}

// noise is a number below 1 that changes every minute.
func (n loads) noise(pod int, at time.Time) float64 {
	x := uint64(at.Sub(epoch)/time.Minute)*0x9e3779b97f4a7c15 ^ uint64(pod%int(n)+1)*0xbf58476d1ce4e5b9
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64(x>>11) / (1 << 53)
}

// page is the metrics page of a pod now.
func (n loads) page(w http.ResponseWriter, r *http.Request) {
	pod, err := strconv.Atoi(r.PathValue("pod"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	now := time.Now()
	calls := n.started(pod, now)
	const labels = `{grpc_method="Do",grpc_service="shop.Cart",grpc_type="unary"`
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, "grpc_server_started_total%s} %f\ngrpc_server_handled_total%s,grpc_code=\"OK\"} %f\n", labels, calls, labels, calls-n.busy(pod, now))
}

func podName(pod int) string     { return "pod-" + strconv.Itoa(pod) }
func namespaceName(n int) string { return "ns-" + strconv.Itoa(n) }

// podsEach is how many pods are in a namespace at most.
const podsEach = 500

// past is what a store would have of the pods' metrics in the time before now, a sample a minute.
func (n loads) past(pods int, length time.Duration, now time.Time) []series.Run {
	var runs []series.Run
	for pod := range pods {
		labels := []series.Label{{Name: "namespace", Value: namespaceName(pod / podsEach)}, {Name: "pod", Value: podName(pod)}}
		calls := series.Run{Key: series.NewKey(requests, labels...)}
		under := series.Run{Key: series.NewKey(inflight, labels...)}
		for at := now.Add(-length); at.Before(now); at = at.Add(time.Minute) {
			calls.Samples = append(calls.Samples, series.Sample{Time: at, Value: (n.started(pod, at) - n.started(pod, at.Add(-time.Minute))) / 60})
			under.Samples = append(under.Samples, series.Sample{Time: at, Value: n.busy(pod, at)})
		}
		runs = append(runs, calls, under)
	}
	return runs
}

// metric is the name of the rule of a namespace's metric, and query is what it asks.
func metric(of string, namespace int) string {
	return strings.TrimPrefix(of, "grpc_server_") + "_" + strconv.Itoa(namespace)
}

func query(of string, namespace int) string {
	return fmt.Sprintf("%s{namespace=%q}", of, namespaceName(namespace))
}
