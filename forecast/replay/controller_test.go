package replay

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"testing"
	"time"
)

var controller = flag.String("controller", "testdata/controller.json.gz", "what Kubernetes' own controller did")

// scenario is one of test/controlplane/hpa, which records what Kubernetes' own controller answered.
type scenario struct {
	Min           int32   `json:"min"`
	Max           int32   `json:"max"`
	Stabilization int64   `json:"stabilizationSeconds"`
	Tolerance     float64 `json:"tolerance"`
	Metrics       []struct {
		Type   string `json:"type"`
		Target int64  `json:"target"`
	} `json:"metrics"`
	Behavior *struct {
		Up   recordedRules `json:"up"`
		Down recordedRules `json:"down"`
	} `json:"behavior"`
	Syncs []struct {
		At       int64     `json:"ms"`
		Spec     int32     `json:"spec"`
		Status   int32     `json:"status"`
		Ready    int32     `json:"ready"`
		Pending  int32     `json:"pending"`
		Silent   int32     `json:"silent"`
		Readings [][]int64 `json:"readings"`
		Want     int32     `json:"want"`
	} `json:"syncs"`
}

type recordedRules struct {
	Stabilization int64    `json:"stabilizationSeconds"`
	Select        string   `json:"select"`
	Tolerance     *float64 `json:"tolerance"`
	Policies      []struct {
		Type   string `json:"type"`
		Value  int32  `json:"value"`
		Period int64  `json:"periodSeconds"`
	} `json:"policies"`
}

func (r *recordedRules) rules() Rules {
	out := Rules{
		Stabilization: time.Duration(r.Stabilization) * time.Second, Tolerance: math.NaN(),
		Select: map[string]Select{"Max": SelectMax, "Min": SelectMin, "Disabled": SelectDisabled}[r.Select],
	}
	if r.Tolerance != nil {
		out.Tolerance = *r.Tolerance
	}
	for _, p := range r.Policies {
		out.Policies = append(out.Policies, Policy{Percent: p.Type == "Percent", Value: p.Value, Period: time.Duration(p.Period) * time.Second})
	}
	return out
}

func (s *scenario) spec() Spec {
	spec := Spec{Min: s.Min, Max: s.Max, Stabilization: time.Duration(s.Stabilization) * time.Second, Tolerance: s.Tolerance}
	for _, m := range s.Metrics {
		kind := map[string]TargetType{"AverageValue": AverageValue, "Value": Value, "Pods": PodsAverage}[m.Type]
		spec.Metrics = append(spec.Metrics, Metric{Type: kind, Target: m.Target})
	}
	if b := s.Behavior; b != nil {
		spec.Behavior = &Behavior{Up: b.Up.rules(), Down: b.Down.rules()}
	}
	return spec
}

// At every sync of every recorded scenario the size is what Kubernetes' own controller set.
func TestController(t *testing.T) {
	file, err := os.Open(*controller)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(unpacked)
	scenarios, syncs, wrong := 0, 0, 0
	for {
		var s scenario
		if err := decoder.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		a := NewAutoscaler(s.spec())
		for k, m := range s.Syncs {
			readings := make([]Reading, len(s.Metrics))
			for i, r := range m.Readings {
				switch {
				case r == nil:
					readings[i].Unknown = true
				case len(r) == 2:
					readings[i] = Reading{Each: r[0], Counted: int32(r[1])} //nolint:gosec // A few pods.
				default:
					readings[i].Total = r[0]
				}
			}
			pods := Pods{Spec: m.Spec, Status: m.Status, Ready: m.Ready, Pending: m.Pending, Silent: m.Silent}
			got, err := a.Sync(time.Duration(m.At)*time.Millisecond, pods, readings)
			if got != m.Want {
				if wrong++; wrong <= 5 {
					t.Errorf("scenario %d, sync %d: %d pods (%v), the controller set %d\n%+v\n%+v", scenarios, k, got, err, m.Want, a.spec, m)
				}
				break // What follows differs by this.
			}
			syncs++
		}
		scenarios++
	}
	t.Logf("%d scenarios, %d syncs, %d scenarios differ", scenarios, syncs, wrong)
	if scenarios < 50 {
		t.Errorf("only %d scenarios", scenarios)
	}
}
