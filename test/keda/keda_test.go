// Package keda_test has KEDA's own client of its external scaler protocol ask the program.
package keda_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// prometheus answers every query with the newest value; none where it is negative.
func prometheus(t *testing.T, milli *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		v := float64(milli.Load()) / 1000
		result := fmt.Sprintf(`{"metric":{},"value":[%d,"%g"]}`, time.Now().Unix(), v)
		if v < 0 {
			result = ""
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[%s]}}`, result)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// start builds and runs the program without a cluster, and returns where KEDA may ask.
func start(t *testing.T, backend string) (address string) {
	t.Helper()
	dir := t.TempDir()
	binary, config := filepath.Join(dir, "foresail"), filepath.Join(dir, "config.yaml")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/foresail")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the program: %v\n%s", err, out)
	}
	address = "127.0.0.1:16000"
	text := fmt.Sprintf("standalone: true\nweb: {listen: none}\nbackends: [{name: main, prometheus: {url: %q}}]\n"+
		"kedaScaler: {listen: %q, insecure: true}\nmetrics: [{name: gpu_queue, query: sum(queue), interval: 1s, maxAge: 3s, external: {}}]\n", backend, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "serve", "--config", config)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			t.Log(lines.Text())
		}
	}()
	t.Cleanup(func() {
		stop()
		<-read
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			t.Errorf("the program ended with %v", err)
		}
	})
	return address
}

func TestKEDA(t *testing.T) {
	var milli atomic.Int64
	conn, err := grpc.NewClient(start(t, prometheus(t, &milli)), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin":{}}]}`)) // as KEDA's operator has it
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	client := externalscaler.NewExternalScalerClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	object := &externalscaler.ScaledObjectRef{Name: "engine", Namespace: "ml", ScalerMetadata: map[string]string{
		"scalerAddress": "foresail:6000", "metricName": "gpu_queue", "targetValue": "2.5",
	}}

	// There is work for nobody: the module stays at zero.
	until(t, "an answer", func() (string, bool) {
		active, err := client.IsActive(ctx, object)
		return fmt.Sprint(active, err), err == nil && !active.Result
	})
	stream, err := client.StreamIsActive(ctx, object) // as an external-push trigger does
	if err != nil {
		t.Fatal(err)
	}
	if first, err := stream.Recv(); err != nil || first.Result {
		t.Fatalf("the stream begins with %v, %v", first, err)
	}

	// Work arrives: KEDA hears it without asking.
	milli.Store(7_300)
	if next, err := stream.Recv(); err != nil || !next.Result {
		t.Fatalf("the stream goes on with %v, %v", next, err)
	}
	spec, err := client.GetMetricSpec(ctx, object)
	if err != nil || len(spec.MetricSpecs) != 1 || spec.MetricSpecs[0].MetricName != "gpu_queue" ||
		spec.MetricSpecs[0].TargetSize != 3 || spec.MetricSpecs[0].TargetSizeFloat != 2.5 {
		t.Errorf("the spec is %v, %v", spec, err)
	}
	values, err := client.GetMetrics(ctx, &externalscaler.GetMetricsRequest{ScaledObjectRef: object, MetricName: spec.MetricSpecs[0].MetricName})
	if err != nil || len(values.MetricValues) != 1 || values.MetricValues[0].MetricValueFloat != 7.3 || values.MetricValues[0].MetricValue != 8 {
		t.Errorf("the value is %v, %v", values, err)
	}

	// The series is gone: after maxAge nothing is known, and KEDA is told so rather than 0.
	milli.Store(-1)
	until(t, "unavailable", func() (string, bool) {
		active, err := client.IsActive(ctx, object)
		return fmt.Sprint(active, err), status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), "gpu_queue")
	})

	// The work is done: down to zero.
	milli.Store(0)
	if next, err := stream.Recv(); err != nil || next.Result {
		t.Fatalf("the stream ends with %v, %v", next, err)
	}
}

// until tries for half a minute.
func until(t *testing.T, what string, try func() (saw string, good bool)) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) { // It is another process that is waited for.
		saw, good := try()
		if good {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain; the last was %s", what, saw)
		}
	}
}
