package plane

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"text/template"
	"time"
)

//go:embed manifests/bootstrap.yaml
var bootstrapYAML string

//go:embed manifests/apiservices.yaml
var apiServicesYAML string

// kubectl runs one kubectl command. Its home is a folder of the plane's, so that it caches nothing in the user's own.
type kubectl struct{ binary, kubeconfig, home string }

// apply renders a manifest and applies it. Validation is off: its schema comes through the aggregator, which is slow while
// an aggregated server is not there yet.
func (k kubectl) apply(ctx context.Context, manifest string, data any) error {
	t, err := template.New("manifest").Parse(manifest)
	if err != nil {
		return fmt.Errorf("cannot parse manifest: %w", err)
	}
	var rendered bytes.Buffer
	if err := t.Execute(&rendered, data); err != nil {
		return fmt.Errorf("cannot render manifest: %w", err)
	}
	_, err = k.run(ctx, rendered.Bytes(), "apply", "--validate=false", "-f", "-")
	return err
}

// run returns what the command printed, also when it failed.
func (k kubectl) run(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, k.binary, append([]string{"--kubeconfig", k.kubeconfig}, args...)...)
	cmd.Env = childEnv(k.home)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("cannot run kubectl %s: %w: %s", args[0], err, bytes.TrimSpace(out))
	}
	return string(out), nil
}
