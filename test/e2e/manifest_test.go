package e2e

import (
	"path/filepath"
	"testing"
)

// manifestIsAccepted has the real API server check every object that the docs tell users to apply.
func manifestIsAccepted(t *testing.T, s *stage) {
	s.mustKubectl(t, "", "apply", "--dry-run=server", "--validate=strict", "-f", filepath.Join(root, "manifests", "foresail.yaml"))
	s.mustKubectl(t, "", "apply", "--dry-run=server", "--validate=strict", "-f", filepath.Join(root, "manifests", "resource-metrics.yaml"))
	s.mustKubectl(t, "", "apply", "--dry-run=server", "--validate=strict", "-f", filepath.Join(root, "manifests", "nodes-ahead.yaml"))
}
