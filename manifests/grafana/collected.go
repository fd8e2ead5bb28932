package grafana

// largest is the largest of the replicas' values of a collected series, by labels.
func largest(name, matchers, by string) string {
	return "max by (" + by + ") (${prefix}" + name + "{" + matchers + "})"
}

func kafka() Dashboard {
	const groups = "${prefix}kafka_consumergroup_state"
	const of = `cluster="$cluster",consumergroup="$group"`
	one := func(name string) string { return "max(${prefix}kafka_consumergroup_" + name + "{" + of + "})" }
	topics := func(name string) string { return top(largest("kafka_consumergroup_"+name, of, "topic")) }
	return dashboard("kafka-lag", "Kafka lag",
		"A consumer group: what waits, whether it grows, and how many consumers that takes.",
		[]Variable{
			prefix(),
			choice("cluster", "Cluster", "label_values("+groups+", cluster)"),
			choice("group", "Group", `label_values(`+groups+`{cluster="$cluster"}, consumergroup)`),
		},
		figure("Lag", "Over all topics; none while one of them is not known.", "short", one("group_lag_sum"), colours("text")),
		figure("Oldest message that waits", "The oldest of all topics.", "s", one("lag_seconds"), colours("green", at(60, "yellow"), at(600, "red"))),
		figure("Stuck partitions", "With work and without a commit, while others move. More pods cannot help.", "short",
			one("stuck_partitions"), colours("green", at(1, "red"))),
		figure("Lag over what the log holds", "Of the worst partition. At 1 messages are lost.", "percentunit", one("retention_ratio"),
			colours("green", at(.5, "yellow"), at(.8, "red"))),
		chart("Lag by topic", "The end of the log less the commit, over all partitions.", "short", query{topics("lag_sum"), "{{topic}}"}).fromZero(),
		chart("Oldest message by topic", "Absent where it is older than what Foresail remembers of the log.", "s", query{topics("lag_seconds"), "{{topic}}"}).fromZero(),
		chart("Produced and consumed", "Messages per second, by topic; consumed is the progress of the commits.", "mps",
			query{top("max by (topic) (${prefix}kafka_topic_produce_messages_per_second{cluster=\"$cluster\"} and on (topic) ${prefix}kafka_consumergroup_lag_sum{" + of + "})"), "produced to {{topic}}"},
			query{topics("consume_messages_per_second"), "consumed of {{topic}}"}).fromZero(),
		chart("Growth of the lag", "Theil-Sen slope over 2 minutes or 4 commit intervals; below 0 the group catches up.", "mps",
			query{topics("lag_growth_messages_per_second"), "{{topic}}"}),
		chart("Consumers", "required: by the demand and what one consumer can do. More than max useful have no partition.", "short",
			query{one("members"), "members"}, query{one("assigned_members"), "with a partition"},
			query{one("required_consumers"), "required"}, query{one("max_useful_consumers"), "max useful"}).fromZero(),
		chart("Demand and capacity", "demand: produced, and what drains the lag in time. capacity: of one consumer.", "mps",
			query{one("demand_messages_per_second"), "demand"}, query{one("capacity_messages_per_second"), "capacity of one"}).fromZero(),
		states("State of the group", "As the coordinator says, and whether its offsets can still be read.",
			query{largest("kafka_consumergroup_state", of, "state"), "{{state}}"}),
		chart("Partitions", "With lag, and stuck.", "short",
			query{one("partitions_with_lag"), "of the topic with the most: with lag"}, query{one("stuck_partitions"), "stuck"}).fromZero(),
		chart("Commits", "The age of the last one, and how far apart they usually are.", "s",
			query{one("last_commit_age_seconds"), "age of the last"}, query{one("commit_interval_seconds"), "interval"}).fromZero(),
		chart("Messages lost", "Deleted by retention before they were read.", "short", query{topics("messages_lost"), "{{topic}}"}).fromZero(),
		chart("Known partitions", "Over those that count. Below 1 the sums of a topic are absent.", "percentunit",
			query{bottom(largest("kafka_consumergroup_coverage_ratio", of, "topic")), "{{topic}}"}).within(0, 1),
		ranking("Groups with the most lag", "Of all clusters.", "short",
			query{top(largest("kafka_consumergroup_group_lag_sum", "", "cluster, consumergroup")), "{{cluster}} {{consumergroup}}"}, colours("blue")),
	)
}

func rpc() Dashboard {
	const of, pods = `namespace="$namespace",workload="$workload"`, `namespace="$namespace"`
	one := func(name string) string { return "max(${prefix}grpc_server_" + name + "{" + of + "})" }
	each := func(name string) string { return top(largest("grpc_server_"+name, pods, "pod")) }
	return dashboard("grpc", "gRPC",
		"Servers of a workload: calls in flight, their rate and time, and the pods that have the most of them.",
		[]Variable{
			prefix(),
			choice("namespace", "Namespace", "label_values(${prefix}grpc_server_workload_coverage_ratio, namespace)"),
			choice("workload", "Workload", `label_values(${prefix}grpc_server_workload_coverage_ratio{namespace="$namespace"}, workload)`),
		},
		figure("Calls in flight", "Over all pods; none while one that is Ready is not known.", "short", one("workload_inflight"), colours("text")),
		figure("Calls per second", "Over all pods.", "reqps", one("workload_requests_per_second"), colours("text")),
		figure("Known pods", "Over those that are Ready. Below 1 the sums are absent.", "percentunit", one("workload_coverage_ratio"),
			colours("red", at(1, "green"))),
		figure("Idle", "Since the last sign of a call.", "s", one("idle_seconds"), colours("text")),
		chart("Latency", "By quantile, over all pods.", "s",
			query{largest("grpc_server_latency_seconds", of, "quantile"), "quantile {{quantile}}"}).fromZero(),
		chart("Calls of the workload", "In flight now, and their mean since the reading before.", "short",
			query{one("workload_inflight"), "in flight"}, query{one("workload_inflight_mean"), "in flight, mean"}).fromZero(),
		chart("Calls in flight by pod", "Started and not ended. The pods of the namespace with the most.", "short", query{each("inflight"), "{{pod}}"}).fromZero(),
		chart("Queue by pod", "In flight beyond what a server works on at once (concurrencyLimit).", "short", query{each("queue"), "{{pod}}"}).fromZero(),
		chart("Calls per second by pod", "The pods of the namespace with the most.", "reqps", query{each("requests_per_second"), "{{pod}}"}).fromZero(),
		chart("Failed and refused calls by pod", "Of the calls that ended. refused: RESOURCE_EXHAUSTED.", "percentunit",
			query{each("errors_ratio"), "{{pod}} failed"}, query{each("overload_ratio"), "{{pod}} refused"}).fromZero(),
	)
}

func nodes() Dashboard {
	const node, of = "node, source", `node=~"$node"`
	least := func(name string) string {
		return bottom("min by (" + node + ") (${prefix}node_memory_" + name + "{" + of + "})")
	}
	most := func(name string) string { return top(largest("node_memory_"+name, of, node)) }
	room := colours("red", at(256<<20, "yellow"), at(1<<30, "green"))
	all := choice("node", "Node", `label_values({__name__=~"${prefix}node_memory_(capacity|working_set)_bytes"}, node)`)
	all.Multi, all.IncludeAll, all.Current = true, true, &Choice{"All", "$__all"}
	return dashboard("node-memory", "Node memory",
		"How much room nodes have before pods are evicted, and when it will be gone.",
		[]Variable{prefix(), all},
		figure("Least headroom", "What pods can still use on the fullest node before one is evicted.", "bytes",
			"min(${prefix}node_memory_headroom_bytes{"+of+"})", room),
		figure("First node to run out", "Headroom over growth; told only of nodes that surely grow.", "s",
			"min(${prefix}node_memory_exhaustion_seconds{"+of+"})", colours("red", at(1800, "yellow"), at(7200, "green"))),
		figure("Used", "Of all memory of the nodes.", "percentunit",
			"1 - sum(max by ("+node+") (${prefix}node_memory_headroom_bytes{"+of+"})) / sum(max by ("+node+") (${prefix}node_memory_capacity_bytes{"+of+"}))",
			colours("green", at(.8, "yellow"), at(.9, "red"))),
		figure("Nodes", "That are read.", "short", "count(max by ("+node+") (${prefix}node_memory_capacity_bytes{"+of+"}))", colours("text")),
		chart("Headroom", "The nodes with the least.", "bytes", query{least("headroom_bytes"), "{{node}} ({{source}})"}).fromZero(),
		chart("Time until memory is gone", "At the present growth, at most a day.", "s", query{least("exhaustion_seconds"), "{{node}} ({{source}})"}).fromZero(),
		chart("Growth", "Theil-Sen slope over 10 minutes.", "Bps", query{most("growth_bytes_per_second"), "{{node}} ({{source}})"}),
		chart("Growth of anonymous memory", "Leaks grow here, caches do not.", "Bps", query{most("anonymous_growth_bytes_per_second"), "{{node}} ({{source}})"}),
		chart("Working set", "As kubelets and metrics.k8s.io tell it.", "bytes", query{most("working_set_bytes"), "{{node}} ({{source}})"}).fromZero(),
		chart("Used and anonymous", "As /proc and node_exporter tell it.", "bytes",
			query{most("used_bytes"), "{{node}} used"}, query{most("anonymous_bytes"), "{{node}} anonymous"}).fromZero(),
		chart("Waiting for memory", "Share of the time in which some tasks, or all, waited (PSI).", "percentunit",
			query{top(largest("node_memory_pressure_ratio", of, "node, kind")), "{{node}} {{kind}}"}).fromZero(),
		ranking("Fullest nodes", "Headroom over capacity.", "percentunit",
			query{bottom("min by (" + node + ") (${prefix}node_memory_headroom_bytes{" + of + "} / ${prefix}node_memory_capacity_bytes{" + of + "})"), "{{node}} ({{source}})"},
			colours("red", at(.1, "yellow"), at(.2, "green"))),
	)
}
