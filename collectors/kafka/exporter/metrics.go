package exporter

import "github.com/foresail/foresail/collectors"

// Metrics returns all that a page tells of, and what of it differs from kafka_exporter.
func Metrics() []collectors.Metric {
	cluster, group := []string{"cluster"}, []string{"cluster", "consumergroup"}
	topic, both := append(cluster, "topic"), append(group, "topic")
	partition, each := append(topic, "partition"), append(both, "partition")
	return []collectors.Metric{
		{Name: clusterBrokers, Labels: cluster, Unit: "brokers", Help: "Brokers of the cluster."},
		{Name: brokerInfo, Labels: append(cluster, "id", "address"), Unit: "1", Help: "Which brokers there are."},
		{Name: topicPartitions, Labels: topic, Unit: "partitions", Help: "Partitions of the topic."},
		{Name: newestOffset, Labels: partition, Unit: "offset", Help: "Where the log ends."},
		{Name: oldestOffset, Labels: partition, Unit: "offset", Help: "Where the log starts; up to 5 minutes old where no group is near it."},
		{Name: partitionLeader, Labels: partition, Unit: "broker", Help: "Id of the leader; absent without a leader, never 0 for that."},
		{Name: leaderIsPreferred, Labels: partition, Unit: "0 or 1", Help: "Whether the leader is the preferred one; absent without a leader."},
		{Name: replicas, Labels: partition, Unit: "replicas", Help: "Replicas of the partition."},
		{Name: inSync, Labels: partition, Unit: "replicas", Help: "Replicas of the partition that are in sync."},
		{Name: underReplicated, Labels: partition, Unit: "0 or 1", Help: "Whether a replica of the partition is not in sync."},
		{Name: groupMembers, Labels: group, Unit: "members", Help: "Members of the group, of KIP-848 and share groups too."},
		{Name: groupOffset, Labels: each, Unit: "offset", Help: "What is committed; absent where nothing is, never -1; not of share groups."},
		{Name: offsetSum, Labels: both, Unit: "offsets", Help: "Sum of what is committed, over the partitions with a commit; not of share groups."},
		{Name: groupLag, Labels: each, Unit: "messages", Help: "End of the log less the commit, never -1 or below 0; by `noCommit` without a commit; absent for a topic that could not be read as a whole."},
		{Name: lagSum, Labels: both, Unit: "messages", Help: "Sum of the lag over the partitions; absent for a topic that could not be read as a whole."},
	}
}
