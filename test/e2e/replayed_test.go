package e2e

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics/v1beta1"

	manifest "github.com/foresail/foresail/cmd/foresail/app/replay"
	"github.com/foresail/foresail/forecast/backtest"
	"github.com/foresail/foresail/forecast/replay"
)

// A load changes every second sync, and a pod carries ten of it. The plane's HPA controller has these two flags. No whole number of syncs takes a whole
// number of seconds: a window counts from when the controller wrote a size, some time after the read that the replay knows of, and what just falls into a window
// on a quick machine would just not on a busy one.
const (
	syncPeriod    = 1150 * time.Millisecond
	stepSyncs     = 2
	stabilization = 10 * time.Second
	carries       = 10.
	starting      = 2500 * time.Millisecond
)

// pace is how an HPA of the comparison may go: the lines of its behavior.
type pace string

const (
	stock   pace = ""
	eagerly pace = `
  behavior:
    scaleDown: {stabilizationWindowSeconds: 3}`
	percents pace = `
  behavior:
    scaleUp: {stabilizationWindowSeconds: 2, policies: [{type: Percent, value: 50, periodSeconds: 3}]}
    scaleDown: {stabilizationWindowSeconds: 4, policies: [{type: Percent, value: 20, periodSeconds: 2}]}`
	fewest pace = `
  behavior:
    scaleUp: {selectPolicy: Min, policies: [{type: Percent, value: 100, periodSeconds: 4}, {type: Pods, value: 2, periodSeconds: 1}]}
    scaleDown: {stabilizationWindowSeconds: 0, selectPolicy: Min, policies: [{type: Percent, value: 50, periodSeconds: 3}, {type: Pods, value: 3, periodSeconds: 2}]}`
)

// compared is one load under one HPA.
type compared struct {
	name   string
	least  int
	pace   pace
	values []float64 // The load in each step; NaN is an error of the metrics API.

	reads []time.Time // One a sync.
	sizes []moment
}

// loadsToCompare are a weekday of a road and one of a city's taxis by the hour, and the shapes that scenarios are made of.
func loadsToCompare(t *testing.T) []*compared {
	nan := math.NaN()
	road, taxis := hours(t, "pems_lane_flow_5m", 2), hours(t, "nab_nyc_taxi_passengers_30m", 24*8+2)
	ramp, noise := make([]float64, 22), make([]float64, 22)
	for i := range ramp {
		ramp[i] = math.Min(20+12*float64(i), 200)
		noise[i] = 100 + 14*math.Sin(2.4*float64(i)) // At the edge of the tolerance of a tenth.
	}
	crowd := []float64{50, 50, 53, 48, 50, 200, 210, 205, 190, 80, 52, 50, 47, 50, 50, 50, 50, 160, 50, 50, 50, 50}
	outage := []float64{60, 60, 90, 120, 150, 170, nan, nan, nan, nan, 190, 180, 150, 120, nan, nan, 60, 60, 60, 60, 60, 60}
	release := []float64{70, 72, 69, 70, 71, 70, 113, 112, 110, 112, 114, 112, 111, 112, 110, 112, 70, 70, 70, 70, 70, 70}
	batch := []float64{30, 30, 0, 0, 0, 0, 0, 0, 0, 120, 120, 120, 120, 0, 0, 0, 0, 0, 0, 0, 60, 60}
	return []*compared{
		{name: "road", least: 1, pace: stock, values: road}, {name: "road-percents", least: 1, pace: percents, values: road},
		{name: "taxis", least: 2, pace: stock, values: taxis}, {name: "taxis-eager", least: 2, pace: eagerly, values: taxis},
		{name: "ramp", least: 1, pace: stock, values: ramp}, {name: "ramp-fewest", least: 1, pace: fewest, values: ramp},
		{name: "noise", least: 1, pace: stock, values: noise}, {name: "noise-eager", least: 1, pace: eagerly, values: noise},
		{name: "crowd", least: 1, pace: stock, values: crowd}, {name: "crowd-fewest", least: 1, pace: fewest, values: crowd},
		{name: "outage", least: 1, pace: stock, values: outage}, {name: "outage-eager", least: 1, pace: eagerly, values: outage},
		{name: "release", least: 1, pace: stock, values: release}, {name: "release-percents", least: 1, pace: percents, values: release},
		{name: "batch", least: 0, pace: stock, values: batch}, {name: "batch-eager", least: 0, pace: eagerly, values: batch},
	}
}

// hours are 22 hourly means of a recorded load, from an hour on, as a share of 200.
func hours(t *testing.T, trace string, from int) []float64 {
	t.Helper()
	f, err := os.Open(filepath.Join(root, "bench", "traces", trace+".csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	in, err := backtest.ReadCSV(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	grid, err := backtest.NewGrid(in.Samples, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	values, most := grid.Values[from:from+22], 0.
	for _, v := range values {
		most = max(most, v)
	}
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = 200 * v / most
	}
	return out
}

// TestReplayIsWhatTheControllerDoes runs loads, compressed in time, through stock HPAs under the real controller manager, and the same
// loads and the same HPA objects through forecast/replay. The sizes are compared after each sync. A load goes on with the controller's syncs,
// and the replay syncs when the controller did: how many syncs a window of 10 s has depends on how busy the machine is.
func TestReplayIsWhatTheControllerDoes(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	plane := startPlane(t, starting, "--hpa-sync", syncPeriod.String())
	const ns = "replayed"
	all := loadsToCompare(t)
	metrics := &fakeMetrics{}
	startMetrics(t, plane, metrics)
	plane.mustKubectl(t, "", "create", "namespace", ns)
	objects := ""
	for _, c := range all {
		objects += deployment(c.name, podsOf(c.values[0]))
	}
	plane.mustKubectl(t, objects, "-n", ns, "apply", "-f", "-")
	for _, c := range all {
		eventually(t, time.Minute, "starting "+c.name, func(ctx context.Context) error {
			d, err := plane.client.AppsV1().Deployments(ns).Get(ctx, c.name, metav1.GetOptions{})
			if err == nil && int(d.Status.ReadyReplicas) != podsOf(c.values[0]) {
				err = fmt.Errorf("%d are Ready", d.Status.ReadyReplicas)
			}
			return err
		})
	}
	metrics.tell(all)
	watchSizes(t, plane, ns, metrics)
	hpas := ""
	for _, c := range all {
		hpas += c.manifest() + "---"
	}
	plane.mustKubectl(t, hpas, "-n", ns, "apply", "-f", "-")
	eventually(t, 3*time.Minute, "the end of the loads", func(context.Context) error { return metrics.unfinished() })

	metrics.mu.Lock()
	defer metrics.mu.Unlock()
	var sum agreement
	for _, c := range all {
		sum.add(c.compare(t))
	}
	if sum.syncs < 500 {
		t.Fatalf("only %d syncs", sum.syncs)
	}
	percent := 100 / float64(sum.syncs)
	t.Logf("replay and controller: the same size at %d of %d syncs (%.2f %%), of the others %d are more than a sync apart; Ready pods the same at %.2f %%; a sync every %v, at most %v",
		sum.same, sum.syncs, percent*float64(sum.same), sum.late, percent*float64(sum.ready), (sum.took / time.Duration(sum.syncs)).Round(time.Millisecond), sum.longest.Round(time.Millisecond))
	if float64(sum.same) < .99*float64(sum.syncs) || sum.late > 0 {
		t.Errorf("the same size at %d of %d syncs and %d more than a sync apart, want 99 %% and none", sum.same, sum.syncs, sum.late)
	}
}

func podsOf(load float64) int { return int(math.Ceil(load / carries)) }

// manifest is the HPA of the comparison.
func (c *compared) manifest() string {
	return fmt.Sprintf(`
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: %[1]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}
  minReplicas: %[2]d
  maxReplicas: 25%[3]s
  metrics:
%[4]s`, c.name, c.least, c.pace, external("load-of-"+c.name, fmt.Sprint(carries)))
}

// agreement counts syncs, and those at which replay and controller had the same size, and as many Ready pods.
type agreement struct {
	syncs, same, late, ready int
	took, longest            time.Duration
}

func (a *agreement) add(b agreement) {
	a.syncs, a.same, a.late, a.ready, a.took = a.syncs+b.syncs, a.same+b.same, a.late+b.late, a.ready+b.ready, a.took+b.took
	a.longest = max(a.longest, b.longest)
}

// compare replays the load and holds the size after each sync of the controller against the one after the same of the replay.
func (c *compared) compare(t *testing.T) (a agreement) {
	read, err := manifest.ReadHPA([]byte(c.manifest()), "")
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	spec := read.Spec
	spec.Stabilization = stabilization
	spec.Metrics = []replay.Metric{{Type: replay.AverageValue, Target: int64(1000 * read.Target)}}
	syncs := make([]time.Duration, len(c.reads))
	for k, at := range c.reads {
		syncs[k] = at.Sub(c.reads[0])
	}
	var sizes, ready []int
	replay.Run(replay.Options{
		Load: replay.Load{Step: syncs[len(syncs)-1] + 1, Values: c.values[:1]}, To: 1, // What it begins with.
		Spec: spec, Signals: []replay.Signal{{Now: func() float64 { return c.load(len(sizes) - 1) }}}, Syncs: syncs,
		Workload: replay.Workload{Capacity: carries, Starts: []time.Duration{starting}},
		Watch: func(_ time.Duration, _ float64, r, size int32) {
			sizes, ready = append(sizes, int(size)), append(ready, int(r))
		},
	})
	var live, said []string
	for k, at := range c.reads[:max(0, len(c.reads)-1)] {
		i := k + 1 // The replay tells the size before a sync, which is that after the one before.
		if i+1 >= len(sizes) {
			break
		}
		before, after := c.at(at), c.at(c.reads[k+1])
		a.syncs++
		a.took, a.longest = a.took+c.reads[k+1].Sub(at), max(a.longest, c.reads[k+1].Sub(at))
		live, said = append(live, fmt.Sprint(after.desired)), append(said, fmt.Sprint(sizes[i]))
		if before.ready == ready[i-1] {
			a.ready++
		}
		switch after.desired {
		case sizes[i]:
			a.same++
		case sizes[i-1], sizes[i+1]:
		default:
			a.late++
		}
	}
	if a.same < a.syncs {
		t.Logf("%s: the same at %d of %d syncs\ncontroller %s\nreplay     %s", c.name, a.same, a.syncs, strings.Join(live, " "), strings.Join(said, " "))
	}
	return a
}

// load is that at a sync, counted from 0.
func (c *compared) load(sync int) float64 { return c.values[min(sync/stepSyncs, len(c.values)-1)] }

// at is what the Deployment was before a time.
func (c *compared) at(when time.Time) (last moment) {
	for _, m := range c.sizes {
		if m.at.Before(when) {
			last = m
		}
	}
	return last
}

// fakeMetrics is a metrics API whose values are loads in their time; it notes when each is read.
type fakeMetrics struct {
	mu  sync.Mutex
	all map[string]*compared
}

func (f *fakeMetrics) tell(all []*compared) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = map[string]*compared{}
	for _, c := range all {
		f.all[c.name] = c
	}
}

// unfinished names a load that has not been read to its end and one sync more.
func (f *fakeMetrics) unfinished() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.all {
		if len(c.reads) <= stepSyncs*len(c.values) {
			return fmt.Errorf("%s was read %d times", c.name, len(c.reads))
		}
	}
	return nil
}

// startMetrics makes the server the plane's metrics APIs.
func startMetrics(t *testing.T, p *plane, f *fakeMetrics) {
	t.Helper()
	server := httptest.NewTLSServer(f)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(root, "test", "controlplane", "bin")
	registration := process(t, "registration", filepath.Join(bin, "controlplane"), "register", "--kubeconfig", p.kubeconfig, "--port", at.Port(), "--bin", bin)
	select {
	case <-registration.done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the metrics APIs did not become available within two minutes")
	}
	if registration.err != nil {
		t.Fatalf("cannot register the metrics: %v\n%s", registration.err, registration.tail(20))
	}
}

// ServeHTTP implements http.Handler.
func (f *fakeMetrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	group, version := path.Split(strings.TrimPrefix(r.URL.Path, "/apis/"))
	if name, ok := strings.CutPrefix(path.Base(r.URL.Path), "load-of-"); ok {
		f.read(w, name)
		return
	}
	answer(w, metav1.APIResourceList{
		TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: group + version, APIResources: []metav1.APIResource{},
	}, http.StatusOK)
}

func (f *fakeMetrics) read(w http.ResponseWriter, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, now := f.all[name], time.Now()
	if c == nil {
		answer(w, apierrors.NewNotFound(external_metrics.Resource(""), name).Status(), http.StatusNotFound)
		return
	}
	load := c.load(len(c.reads))
	c.reads = append(c.reads, now)
	if math.IsNaN(load) {
		answer(w, apierrors.NewServiceUnavailable("the load is not known").Status(), http.StatusServiceUnavailable)
		return
	}
	answer(w, v1beta1.ExternalMetricValueList{
		TypeMeta: metav1.TypeMeta{Kind: "ExternalMetricValueList", APIVersion: v1beta1.SchemeGroupVersion.String()},
		Items: []v1beta1.ExternalMetricValue{{
			MetricName: "load-of-" + name, Timestamp: metav1.NewTime(now), Value: *resource.NewMilliQuantity(int64(math.Ceil(1000*load)), resource.DecimalSI),
		}},
	}, http.StatusOK)
}

func answer(w http.ResponseWriter, object any, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object)
}

// watchSizes notes every change of the Deployments' sizes.
func watchSizes(t *testing.T, p *plane, ns string, f *fakeMetrics) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	watch, err := p.client.AppsV1().Deployments(ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range watch.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok {
				f.mu.Lock()
				if c := f.all[d.Name]; c != nil {
					c.sizes = append(c.sizes, moment{at: time.Now(), desired: int(*d.Spec.Replicas), ready: int(d.Status.ReadyReplicas)})
				}
				f.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}
