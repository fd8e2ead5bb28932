package nodemem

import "github.com/foresail/foresail/collectors"

// Metrics returns all that the collector tells of. What could not be read, or needs more history, is absent, never 0.
func Metrics() []collectors.Metric {
	node, of := []string{"source", "node", "[pool]"}, []string{"source", "namespace", "kind", "workload"}
	return []collectors.Metric{
		{Name: capacityBytes, Labels: node, Unit: "B", Help: "All of the node's memory."},
		{Name: allocatable, Labels: node, Unit: "B", Help: "What pods may ask for in sum; in a cluster."},
		{Name: workingSetBytes, Labels: node, Unit: "B", Help: "Working set of the node, as kubelets and metrics.k8s.io tell it."},
		{Name: availableBytes, Labels: node, Unit: "B", Help: "MemAvailable; of proc and nodeExporter."},
		{Name: usedBytes, Labels: node, Unit: "B", Help: "Capacity less what is available; of proc and nodeExporter."},
		{Name: anonymousBytes, Labels: node, Unit: "B", Help: "Memory with no file behind it: leaks grow here, caches do not; of proc and nodeExporter."},
		{Name: headroomBytes, Labels: node, Unit: "B", Help: "What pods can still use before one is evicted: the smaller of capacity - working set - `reserveBytes` and, where pods' working sets are told, allocatable - their sum; at least 0. Of proc and nodeExporter: available - `reserveBytes`."},
		{Name: growth, Labels: node, Unit: "B/s", Help: "Theil-Sen slope of the working set (or of what is used) over 10 minutes; readings before and after a start or end of a container or pod on the node are not compared, because memory steps there."},
		{Name: anonymousGrowth, Labels: node, Unit: "B/s", Help: "The same slope of anonymous memory."},
		{Name: exhaustion, Labels: node, Unit: "s", Help: "Headroom over growth, at most a day; absent unless the growth is above 0 with a probability of .95."},
		{Name: pressureRatio, Labels: append(node, "kind"), Unit: "0 to 1", Help: "Share of the time in which tasks waited for memory (PSI), by kind: some, full; of proc and nodeExporter, where the kernel tells."},
		{Name: coverageRatio, Labels: []string{"source", "[pool]"}, Unit: "0 to 1", Help: "Nodes read over nodes, per pool, or for all nodes of none; absent where none was read."},

		{Name: feasibleReplicas, Labels: of, Unit: "pods", Help: "Pods that have a node, and how many more fit on the nodes that are Ready, not cordoned, not under memory pressure, and let the workload's pods on (node selector, required node affinity, taints): on each the least of free requests of cpu and memory, free pod slots, and headroom over what one pod will use."},
		{Name: workloadExpected, Labels: of, Unit: "B", Help: "What one more pod will use: the .9 quantile of the workload's pods that are older than `warmup`; with kubelet."},
		{Name: workloadExhaustion, Labels: of, Unit: "s", Help: "The exhaustion of the worst node that runs one of its pods; absent where none is running out."},
		{Name: podInfo, Labels: append(of, "pod", "node"), Unit: "1", Help: "On which node each pod runs: it gives pods the metrics of their nodes, of which an HPA takes the mean."},
	}
}
