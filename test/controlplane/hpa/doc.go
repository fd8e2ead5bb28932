// Package hpa asks Kubernetes' own HorizontalPodAutoscaler controller what it would do, scenario by scenario, in virtual
// time. Its answers are what forecast/replay is held to: see forecast/replay/testdata/README.md.
package hpa
