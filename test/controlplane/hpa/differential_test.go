package hpa

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/go-logr/logr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
)

var (
	record = flag.String("record", "", "write the scenarios and the controller's answers to this file")
	count  = flag.Int("scenarios", 2000, "how many scenarios to make up")
	seed   = flag.Uint64("seed", 1, "which ones")
)

// Kubernetes' own controller and forecast/replay agree on the size after every sync of every scenario. The replay is in
// another module, whose dependencies this one's binaries must not take over, so it is asked through its own test.
func TestReplayAgreesWithTheController(t *testing.T) {
	klog.SetLogger(logr.Discard())
	utilruntime.ErrorHandlers = nil //nolint:reassign // They log, and wait.
	for _, gate := range []string{"HPAScaleToZero=true", "HPAConfigurableTolerance=true"} {
		if err := utilfeature.DefaultMutableFeatureGate.Set(gate); err != nil {
			t.Fatal(err)
		}
	}
	var all []*scenario
	syncs, changes := 0, 0
	for i := range *count {
		d := dice{rand.New(rand.NewPCG(*seed, uint64(i)))}
		c := &cluster{dice: d, scenario: d.scenario()}
		c.load = float64(c.scenario.Max) * d.Float64()
		synctest.Test(t, func(t *testing.T) {
			if err := c.answer(60); err != nil {
				t.Fatal(err)
			}
		})
		if n := len(c.scenario.Syncs); n != 60 {
			t.Fatalf("scenario %d has %d syncs, want 60", i, n)
		}
		for _, m := range c.scenario.Syncs {
			syncs++
			if m.Want != m.Spec {
				changes++
			}
		}
		all = append(all, c.scenario)
	}
	t.Logf("%d scenarios, %d syncs, %d of them changed the size", len(all), syncs, changes)
	if changes < syncs/20 {
		t.Errorf("only %d of %d syncs changed the size: the scenarios say little", changes, syncs)
	}
	path, err := filepath.Abs(cmp.Or(*record, filepath.Join(t.TempDir(), "controller.json.gz")))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, all)
	cmd := exec.Command("go", "test", "-count=1", "-run", "TestController", "./forecast/replay", "-controller", path)
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

func write(t *testing.T, path string, all []*scenario) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(file)
	encoder := json.NewEncoder(z)
	for _, s := range all {
		if err := encoder.Encode(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
