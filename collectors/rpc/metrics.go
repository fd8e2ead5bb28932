package rpc

import "github.com/foresail/foresail/collectors"

// Metrics returns all that the collector tells of. What could not be read, or needs a second reading, is absent, never 0.
func Metrics() []collectors.Metric {
	server, set := []string{"[namespace]", "pod"}, []string{"[namespace]", "workload"}
	return []collectors.Metric{
		{Name: inflight, Labels: server, Unit: "calls", Help: "Calls started and not ended, by method, at least 0; absent where the library does not count starts (OpenTelemetry's semantic conventions)."},
		{Name: inflightUnary, Labels: server, Unit: "calls", Help: "Unary calls in flight, where the page tells kinds."},
		{Name: inflightStreaming, Labels: server, Unit: "calls", Help: "Streams in flight, where the page tells kinds; streams that live for days say little about load."},
		{Name: inflightMean, Labels: server, Unit: "calls", Help: "Seconds that calls took over seconds passed (Little's law), since the reading before; without streams where kinds are told; late for calls longer than the interval; absent without durations."},
		{Name: queue, Labels: server, Unit: "calls", Help: "Calls in flight beyond `concurrencyLimit`. What waits in clients for a stream (MAX_CONCURRENT_STREAMS) no server sees."},
		{Name: requests, Labels: server, Unit: "calls/s", Help: "Calls started; those ended where starts are not counted."},
		{Name: errorsRatio, Labels: server, Unit: "0 to 1", Help: "Of the calls that ended, those with UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE or DATA_LOSS; absent without calls."},
		{Name: overloadRatio, Labels: server, Unit: "0 to 1", Help: "Of the calls that ended, those with RESOURCE_EXHAUSTED; absent without calls."},
		{Name: utilization, Labels: append(server, "source"), Unit: "0 and above", Help: "By ORCA (source: orca): what the application says, else its CPU; absent where it says 0, which is what it says when it does not know."},

		{Name: totalInflight, Labels: set, Unit: "calls", Help: "Calls in flight over all pods, those that are ending too; unlike a sum over the pods' series, absent while one Ready pod is not known."},
		{Name: totalMean, Labels: set, Unit: "calls", Help: "Calls in flight by Little's law over all pods; absent while one Ready pod's are not known."},
		{Name: totalRequests, Labels: set, Unit: "calls/s", Help: "Calls started over all pods; absent while one Ready pod's are not known."},
		{Name: coverage, Labels: set, Unit: "0 to 1", Help: "Ready pods that were read over Ready pods."},
		{Name: latency, Labels: append(set, "quantile"), Unit: "s", Help: "Quantiles .5, .9 and .99 of the calls of `window` (without streams where kinds are told), buckets added up over all pods; told from 10, 30 and 100 calls on."},
		{Name: saturated, Labels: append(set, "quantile"), Unit: "0 or 1", Help: "Whether the quantile lies above the highest bound (1), and the latency is absent."},
		{Name: idleSeconds, Labels: set, Unit: "s", Help: "Time since the last sign of a call, or since Foresail or a pod was new, whichever is later; absent where starts are not counted and with fewer than 9 of 10 readings of 5 minutes. It cannot wake a workload with 0 pods: nobody counts there."},
	}
}
