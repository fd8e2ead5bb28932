package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/foresail/foresail/forecast/policy"
)

// kindsConfig serves a metric of each kind, each with a forecast.
const kindsConfig = `
metrics:
- {name: of-external, query: "sum(rate(requests_total[2m]))", external: {}, forecast: {}}
- {name: of-pods, query: "sum by (namespace, pod) (rate(requests_total[2m]))", pods: {}, forecast: {}}
- {name: of-deployments, query: "sum by (namespace, deployment) (rate(requests_total[2m]))", object: {resource: deployments.apps}, forecast: {}}
- {name: of-ingresses, query: "sum by (namespace, ingress) (rate(requests_total[2m]))", object: {resource: ingresses.networking.k8s.io}, forecast: {}}
- {name: of-namespaces, query: "sum by (namespace) (rate(requests_total[2m]))", object: {resource: namespaces}, forecast: {}}
`

// autoscalerIsAccepted pipes what foresail hpa writes into kubectl apply, for every policy and kind of metric. What is written is all that the API
// server makes of it: it fills nothing in.
func autoscalerIsAccepted(t *testing.T, s *stage) {
	config := filepath.Join(t.TempDir(), "foresail.yaml")
	write(t, config, kindsConfig)
	var written bytes.Buffer
	for _, name := range policy.Names() {
		for kind, object := range map[string]string{"external": "", "pods": "", "deployments": "", "ingresses": "front", "namespaces": "default"} {
			args := []string{
				"hpa", "--config", config, "--metric", "of-" + kind, "--policy", name, "--deployment", name + "-" + kind, "--namespace", "default",
				"--capacity", "50", "--start-delay", "3m",
			}
			if object != "" {
				args = append(args, "--object", object)
			}
			out, err := exec.Command(filepath.Join(root, "bin", "foresail"), args...).Output()
			if err != nil {
				t.Fatalf("%s, %s: %v", name, kind, err)
			}
			fmt.Fprintf(&written, "---\n%s", out)
		}
	}
	accepted := s.mustKubectl(t, written.String(), "apply", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-")
	var got autoscalingv2.HorizontalPodAutoscalerList
	if err := json.Unmarshal([]byte(accepted), &got); err != nil {
		t.Fatal(err)
	}
	documents, checked := yaml.NewYAMLOrJSONDecoder(&written, 4096), 0
	for ; ; checked++ {
		var want autoscalingv2.HorizontalPodAutoscaler
		if err := documents.Decode(&want); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if checked >= len(got.Items) || got.Items[checked].Name != want.Name {
			t.Fatalf("%s is not among what was accepted:\n%s", want.Name, accepted)
		}
		if spec := got.Items[checked].Spec; !equality.Semantic.DeepEqual(spec, want.Spec) {
			t.Errorf("%s: the server made of it\n%+v\nof\n%+v", want.Name, spec, want.Spec)
		}
	}
	if all := 5 * len(policy.Names()); checked != all {
		t.Errorf("%d were accepted, want %d", checked, all)
	}
}
