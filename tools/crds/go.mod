// The modules whose custom resources are in manifests/, for the test that has an API server check those. They hold no package
// that is imported, so go mod tidy would empty this file.
module github.com/foresail/foresail/tools/crds

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
