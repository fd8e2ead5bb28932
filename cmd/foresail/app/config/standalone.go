package config

import (
	"fmt"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/collectors/nodemem"
)

// standAlone reports what needs a cluster. A metric need not say by which API it is served, as none is.
func (f *File) standAlone(report func(field, problem string)) {
	const without = "needs a cluster, and there is none with standalone: "
	for i := range f.Metrics {
		m, at := &f.Metrics[i], fmt.Sprintf("metrics[%d].", i)
		switch {
		case m.Pods != nil:
			report(at+"pods", without+"leave it out")
		case m.Object != nil:
			report(at+"object", without+"leave it out")
		case m.External == nil:
			m.External = &rules.External{}
		}
	}
	for field, set := range map[string]bool{"rules": len(f.Custom) > 0, "externalRules": len(f.External) > 0, "resourceRules": f.Resource != nil} {
		if set {
			report(field, without+"write what is to be known under metrics")
		}
	}
	for i, c := range f.Collectors.GRPC {
		if c.Pods != nil {
			report(fmt.Sprintf("collectors.grpc[%d].pods", i), without+"list the servers under targets")
		}
	}
	for i, c := range f.Collectors.NodeMemory {
		at := fmt.Sprintf("collectors.nodeMemory[%d].", i)
		switch {
		case c.Source == nodemem.MetricsAPI:
			report(at+"source", without+"use proc, or nodeExporter with targets")
		case c.Source != nodemem.Proc && c.Targets == nil:
			report(at+"targets", "missing: with standalone there is no cluster that knows the nodes: list their pages")
		}
	}
}
