package e2e

import (
	"path/filepath"
	"testing"
)

// TestManifestIsAccepted has the real API server check every object that the README tells users to apply.
func TestManifestIsAccepted(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	plane := startPlane(t, 0)
	plane.mustKubectl(t, "", "create", "namespace", "foresail")
	plane.mustKubectl(t, "", "apply", "--dry-run=server", "--validate=strict", "-f", filepath.Join(root, "manifests", "foresail.yaml"))
}
