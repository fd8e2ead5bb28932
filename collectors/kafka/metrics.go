package kafka

import "github.com/foresail/foresail/collectors"

// Metrics returns all that the collector tells of. What is not known is absent, never 0 or negative: total figures of a group
// while one of its topics cannot be read, those of a topic while one of its partitions cannot.
func Metrics() []collectors.Metric {
	topic, group, both := []string{"cluster", "topic", "[shard]"}, []string{"cluster", "consumergroup"}, []string{"cluster", "consumergroup", "topic"}
	return []collectors.Metric{
		{Name: lagSum, Labels: both, Unit: "messages", Help: "End of the log less the commit, over all partitions; never counts what retention has deleted."},
		{Name: lagMax, Labels: both, Unit: "messages", Help: "The lag of the worst partition."},
		{Name: lagPartition, Labels: append(both, "partition"), Unit: "messages", Help: "The lag of each partition; with `partitions: true`."},
		{Name: lagSeconds, Labels: both, Unit: "s", Help: "Age of the oldest message that is waiting, read off the ends of the logs at known times; absent where it is older than Foresail's memory of them (6 h at most, less after a start)."},
		{Name: olderThan, Labels: append(both, "slo"), Unit: "messages", Help: "Messages waiting longer than `slo`, as the brokers say; with `slo`."},
		{Name: growth, Labels: both, Unit: "messages/s", Help: "Theil-Sen slope of the lag over 2 minutes or 4 commit intervals; that of before while the group rebalances."},
		{Name: growthPositive, Labels: both, Unit: "messages/s", Help: "The growth of the lag, at least 0."},
		{Name: consumeRate, Labels: both, Unit: "messages/s", Help: "Progress of the commits."},
		{Name: messagesLost, Labels: both, Unit: "messages", Help: "Messages deleted by retention before they were read."},
		{Name: retentionRatio, Labels: both, Unit: "ratio", Help: "Lag over what the log holds, in the worst partition; at 1 messages are being lost."},
		{Name: withLag, Labels: both, Unit: "partitions", Help: "Partitions in which messages are waiting."},
		{Name: stuck, Labels: both, Unit: "partitions", Help: "Partitions with work and no commit for 3 commit intervals and 2 minutes, while others move; they are not in the demand, as more pods cannot help."},
		{Name: hotRatio, Labels: both, Unit: "ratio", Help: "Rate of the busiest partition over the mean."},
		{Name: coverage, Labels: both, Unit: "0 to 1", Help: "Partitions known over partitions that count."},
		{Name: shareLag, Labels: both, Unit: "messages", Help: "The lag as `kafka_consumergroup_lag_sum` has it, of share groups only."},

		{Name: groupLag, Labels: group, Unit: "messages", Help: "The lag over all topics; unlike a sum over the topics' lags, absent where one is not known."},
		{Name: groupGrowth, Labels: group, Unit: "messages/s", Help: "The growth of the lag over all topics; absent where one topic's is not known."},
		{Name: demand, Labels: group, Unit: "messages/s", Help: "What has to be read: produced + max(0, lag - `acceptableLag`) / `drainWithin`."},
		{Name: capacity, Labels: group, Unit: "messages/s", Help: "What one consumer can read: as configured, or the .9 quantile of what consumers did while there was a backlog."},
		{Name: required, Labels: group, Unit: "consumers", Help: "Demand over capacity, rounded up, at most `kafka_consumergroup_max_useful_consumers`."},
		{Name: maxUseful, Labels: group, Unit: "consumers", Help: "Partitions, or those of the largest topic with the range assignor; absent for share groups, which have no such bound."},
		{Name: drain, Labels: group, Unit: "s", Help: "Time until the lag is gone at its present growth; absent where it does not shrink."},
		{Name: lagPerPod, Labels: group, Unit: "messages", Help: "Queue per pod: lag over members, times `consumersPerPod`; absent without members."},
		{Name: members, Labels: group, Unit: "members", Help: "Members of the group."},
		{Name: assigned, Labels: group, Unit: "members", Help: "Members that have a partition."},
		{Name: commitInterval, Labels: group, Unit: "s", Help: "Time between two commits, as learnt from them."},
		{Name: lastCommit, Labels: group, Unit: "s", Help: "Time since the newest commit, as learnt from the commits."},
		{Name: abandoned, Labels: group, Unit: "topics", Help: "Topics committed to and read by nobody for 10 minutes, which are not counted; topics named in the config always count."},
		{Name: state, Labels: append(group, "state"), Unit: "0 or 1", Help: "By state: stable, empty, preparing_rebalance, completing_rebalance, assigning, reconciling; and, whatever else holds, offsets_expired, out_of_range."},

		{Name: produceRate, Labels: topic, Unit: "messages/s", Help: "What is written to the topic."},
		{Name: topicCompacted, Labels: topic, Unit: "0 or 1", Help: "Whether the topic is compacted, so that offsets count messages that are gone; absent without the right to describe configurations."},
	}
}
