package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/foresail/foresail/bench/ask"
	"github.com/foresail/foresail/bench/child"
)

// foresail is the binary under way.
type foresail struct {
	*child.Process
	begun   time.Time
	store   string
	config  string
	web     string
	socket  string
	address string
	client  *http.Client
}

// prepare writes the config of a Foresail whose store has a past.
func (b *bench) prepare(name string, pods int, interval string, store string) (*foresail, error) {
	ports := [2]int{}
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	f := &foresail{
		store: store, config: filepath.Join(b.dir, name+".yaml"), web: "127.0.0.1:" + strconv.Itoa(ports[0]), socket: filepath.Join(b.dir, name+".sock"),
		address: "127.0.0.1:" + strconv.Itoa(ports[1]),
		client:  &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}, //nolint:gosec // its own, self-signed
	}
	text := &strings.Builder{}
	fmt.Fprintf(text, "store: {path: %q}\nweb: {listen: %q}\nsnapshots: {interval: %s}\nmetrics:\n", store, f.web, interval)
	for namespace := range (pods + podsEach - 1) / podsEach {
		for _, of := range []string{requests, inflight} {
			fmt.Fprintf(text, "  - {name: %s, query: '%s', interval: 1m, external: {}, forecast: {}}\n", metric(of, namespace), query(of, namespace))
		}
	}
	fmt.Fprint(text, "collectors:\n  grpc:\n    - name: shop\n      interval: 1m\n      targets:\n")
	for pod := range pods {
		fmt.Fprintf(text, "        - {url: %q, pod: %s, namespace: %s}\n", b.world.url(pod), podName(pod), namespaceName(pod/podsEach))
	}
	return f, os.WriteFile(f.config, []byte(text.String()), 0o600)
}

// snapshot is where it keeps what was learnt.
func (f *foresail) snapshot() string { return filepath.Join(f.store, "forecasts.snapshot") }

// start runs the binary.
func (b *bench) start(f *foresail, name string) (err error) {
	f.begun = time.Now()
	_, port, err := net.SplitHostPort(f.address)
	if err != nil {
		return err
	}
	f.Process, err = child.Start(b.dir, name, b.foresail, "serve", "--config="+f.config, "--lister-kubeconfig="+b.world.kubeconfig,
		"--authentication-kubeconfig="+b.world.kubeconfig, "--authorization-kubeconfig="+b.world.kubeconfig, "--authentication-skip-lookup",
		"--bind-address=127.0.0.1", "--secure-port="+port, "--cert-dir="+filepath.Join(b.dir, "certs"), "--debug-socket-path="+f.socket)
	return err
}

// served waits until a forecast is served and returns how long after the start that was. A rule whose forecast is not trusted has
// the live value in its place.
func (f *foresail) served(ctx context.Context, pod int, limit time.Duration) (time.Duration, error) {
	name, selector := metric(requests, pod/podsEach), "?labelSelector=pod%3D"+podName(pod)
	var at time.Time
	err := f.Wait(ctx, "a forecast is served", limit, func(ctx context.Context) error {
		ahead, err := f.value(ctx, name+"_forecast"+selector)
		if err != nil {
			return err
		}
		at = time.Now()
		live, err := f.value(ctx, name+selector)
		if err != nil {
			return err
		}
		if live == ahead {
			return fmt.Errorf("the live value %v is served", live)
		}
		return nil
	})
	return at.Sub(f.begun), err
}

// resumed returns an error unless so many series go on from the snapshot.
func (f *foresail) resumed(series int) error {
	if f.Wrote("resumed the forecasts from their snapshot", fmt.Sprintf(" series=%d ", series)) {
		return nil
	}
	return fmt.Errorf("it has not resumed %d series; it said:\n%s", series, f.Tail())
}

// value reads an external metric of one series, as an autoscaler does.
func (f *foresail) value(ctx context.Context, path string) (float64, error) {
	body, err := f.get(ctx, "https://"+f.address+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/"+path)
	if err != nil {
		return 0, err
	}
	var list struct {
		Items []struct{ Value resource.Quantity }
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return 0, err
	}
	if len(list.Items) != 1 {
		return 0, fmt.Errorf("%d values", len(list.Items))
	}
	return list.Items[0].Value.AsApproximateFloat64(), nil
}

func (f *foresail) get(ctx context.Context, url string) ([]byte, error) {
	return ask.Get(ctx, f.client, url)
}

// metrics returns the sums over all series of some of its own metrics.
func (f *foresail) metrics(ctx context.Context, names ...string) (map[string]float64, error) {
	body, err := f.get(ctx, "http://"+f.web+"/metrics")
	if err != nil {
		return nil, err
	}
	sums := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		for _, name := range names {
			rest, found := strings.CutPrefix(line, name)
			if !found || rest[0] != ' ' && rest[0] != '{' {
				continue
			}
			fields := strings.Fields(rest)
			v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				return nil, fmt.Errorf("cannot read %s: %w", line, err)
			}
			sums[name] += v
		}
	}
	return sums, nil
}

// profiles writes what its processor and its memory are used for into the folder.
func (f *foresail) profiles(ctx context.Context, dir string, length time.Duration) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", f.socket)
	}}}
	for file, path := range map[string]string{"cpu.pprof": fmt.Sprintf("profile?seconds=%d", int(length.Seconds())), "heap.pprof": "heap"} {
		via := &foresail{client: client}
		body, err := via.get(ctx, "http://socket/debug/pprof/"+path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name+"."+file), body, 0o600); err != nil {
			return err
		}
	}
	return nil
}
