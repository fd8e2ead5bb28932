package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/forecast/series"
)

const (
	outageBrokers, outageGroups, outagePartitions = 12, 480, 4
	// behind is how many messages of each partition every group has still to read, at all times.
	behind = 60
	// outageFlow is how many messages are written to and read from each partition between two collections.
	outageFlow = 10
	// outageLasts is how long the broker is away, outageTakeover how long it takes the others to notice and take over
	// what it led: the default of broker.session.timeout.ms.
	outageLasts, outageTakeover = time.Minute, 9 * time.Second
	outageSettling              = 3
	victim                      = 5
)

// benchOutage kills one broker of 12 for a minute, at the same time in two clusters: in one, others take over what it led, as with
// replicas; in the other nobody does.
func benchOutage() ([]figure, error) {
	alone, failover := &outage{}, &outage{takeover: true}
	var all sync.WaitGroup
	var errs [2]error
	for i, o := range []*outage{alone, failover} {
		all.Go(func() { errs[i] = o.run() })
	}
	all.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	count := func(n int) float64 { return float64(n) }
	return []figure{
		{"kafka_outage_samples", count(alone.samples + failover.samples), unbounded, "of 2 x 480 groups on 12 brokers, one killed for 60 s"},
		{"kafka_outage_samples_not_positive", count(alone.notPositive + failover.notPositive), 0, "0 or negative and not so in truth"},
		{"kafka_outage_wrong_lags", count(alone.wrong + failover.wrong), 0, "lags that are there and not what they are in truth"},
		{"kafka_outage_affected_groups", count(len(alone.affected)), unbounded, "led by the broker that is away in part, where nobody takes over"},
		{"kafka_outage_lost_groups", count(alone.lost), 0, "others that missed a reading of their lag"},
		{"kafka_outage_recovery_intervals", count(alone.recovery), 2, "until all lags are known, from when it is back"},
		{"kafka_failover_lost_groups", count(failover.lost), 0, "without a lag for more than 2 intervals, where others take over after 9 s"},
		{"kafka_failover_longest_gap_intervals", count(failover.longest), 2, "of any group's lag"},
		{"kafka_failover_recovery_intervals", count(failover.recovery), 2, "until all lags are known, from when it is back"},
	}, nil
}

// outage is one cluster, its source, and what became of the samples.
type outage struct {
	takeover bool // others take over what the broker led

	cluster *kfake.Cluster
	source  *kafka.Source
	client  *kgo.Client
	admin   *kadm.Client
	address string // of the broker that is killed
	port    int
	down    atomic.Bool

	written                                              [outageGroups]int64 // to each partition of the group's topic
	affected                                             map[int]bool        // groups that the broker leads a part of, while it is away and nobody has taken over
	gaps                                                 map[int]int         // collections in a row without a group's lag
	samples, notPositive, wrong, lost, recovery, longest int
}

func (o *outage) run() (err error) {
	if err := o.start(); err != nil {
		return err
	}
	defer func() {
		err = keep(err, o.source.Close())
		o.client.Close()
		o.cluster.Close()
	}()
	for range outageSettling {
		if err := o.cycle(); err != nil {
			return err
		}
	}
	if len(o.gaps) > 0 {
		return fmt.Errorf("%d lags are not known before anything has happened", len(o.gaps))
	}
	killed := time.Now()
	o.kill()
	if o.takeover {
		time.AfterFunc(outageTakeover, func() { _ = o.cluster.RemoveNode(victim) }) // It is there: nobody else removes it.
	}
	for time.Since(killed) < outageLasts-time.Second {
		if err := o.cycle(); err != nil {
			return err
		}
	}
	if err := o.restore(); err != nil {
		return err
	}
	for o.recovery = 1; o.recovery < 5; o.recovery++ {
		if err := o.cycle(); err != nil {
			return err
		}
		if len(o.gaps) == 0 {
			break
		}
	}
	return nil
}

// start starts the brokers and writes what the groups have still to read.
func (o *outage) start() (err error) {
	o.gaps, o.affected = make(map[int]int), make(map[int]bool)
	var topics []string
	config := kafka.Config{Name: "bench", Interval: kafkaInterval}
	for i := range outageGroups {
		topics = append(topics, topicName(i))
		config.Groups = append(config.Groups, kafka.Group{Group: groupName(i)})
	}
	if o.cluster, err = kfake.NewCluster(kfake.NumBrokers(outageBrokers), kfake.SeedTopics(outagePartitions, topics...)); err != nil {
		return fmt.Errorf("cannot start the fake brokers: %w", err)
	}
	config.Brokers = o.cluster.ListenAddrs()
	o.address = config.Brokers[victim]
	if _, err := fmt.Sscanf(o.address[strings.LastIndexByte(o.address, ':'):], ":%d", &o.port); err != nil {
		return fmt.Errorf("%s has no port: %w", o.address, err)
	}
	o.cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		o.cluster.KeepControl()
		if o.down.Load() && o.cluster.CurrentNode() == victim {
			return nil, syscall.ECONNRESET, true
		}
		return nil, nil, false
	})
	if err := o.connect(); err != nil {
		return err
	}
	if err := o.flow(behind); err != nil {
		return err
	}
	config.Default()
	o.source, err = kafka.New(kafka.Options{Config: config, Dial: o.dial})
	return err
}

// connect makes the client that writes and commits.
func (o *outage) connect() (err error) {
	if o.client != nil {
		o.client.Close()
	}
	o.client, err = kgo.NewClient(kgo.SeedBrokers(o.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics())
	o.admin = kadm.NewClient(o.client)
	return err
}

// dial refuses connections to the broker while it is away.
func (o *outage) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if o.down.Load() && address[strings.LastIndexByte(address, ':'):] == o.address[strings.LastIndexByte(o.address, ':'):] {
		return nil, syscall.ECONNREFUSED
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// kill takes the broker away. Groups that it leads a part of can neither be written to nor commit as long as nobody takes over.
func (o *outage) kill() {
	for i := range outageGroups {
		led := o.cluster.CoordinatorFor(groupName(i)) == victim
		for p := range int32(outagePartitions) {
			led = led || o.cluster.LeaderFor(topicName(i), p) == victim
		}
		if led {
			o.affected[i] = true
		}
	}
	o.down.Store(true)
}

func (o *outage) restore() error {
	if o.takeover {
		if _, _, err := o.cluster.AddNode(victim, o.port); err != nil {
			return fmt.Errorf("cannot start the broker again: %w", err)
		}
	}
	o.down.Store(false)
	return o.connect() // The fake never closes connections to a broker that was removed, and answers on them as if it still were.
}

// stands tells whether a group can be written to and commit.
func (o *outage) stands(group int) bool { return !o.down.Load() || !o.affected[group] }

// flow writes n messages to each partition, and has the groups commit all but the last 60.
func (o *outage) flow(n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), kafkaInterval)
	defer cancel()
	var records []*kgo.Record
	for i := range outageGroups {
		if !o.stands(i) {
			continue
		}
		o.written[i] += int64(n)
		for p := range int32(outagePartitions) {
			for range n {
				records = append(records, &kgo.Record{Topic: topicName(i), Partition: p, Value: []byte("x")})
			}
		}
	}
	if err := o.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("cannot write: %w", err)
	}
	var all sync.WaitGroup
	errs := make([]error, outageGroups)
	for i := range outageGroups {
		if o.stands(i) {
			all.Go(func() { errs[i] = o.commit(ctx, i) })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// commit commits all that a group has been written but the last 60. Where others have taken over, the client has to learn that.
func (o *outage) commit(ctx context.Context, group int) error {
	offsets := make(kadm.Offsets)
	for p := range int32(outagePartitions) {
		offsets.AddOffset(topicName(group), p, o.written[group]-behind, -1)
	}
	err := o.admin.CommitAllOffsets(ctx, groupName(group), offsets)
	for err != nil && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
		err = o.admin.CommitAllOffsets(ctx, groupName(group), offsets)
	}
	if err != nil {
		return fmt.Errorf("cannot commit for %s: %w", groupName(group), err)
	}
	return nil
}

// cycle is one interval: messages flow, and there is a collection. What it misses is judged by the samples that are not there.
func (o *outage) cycle() error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), kafkaInterval*9/10)
	points, _ := o.source.Collect(ctx) // What an error names is not among the points.
	cancel()
	o.judge(points)
	time.Sleep(time.Until(start.Add(kafkaInterval * 3 / 4)))
	if o.takeover {
		clear(o.affected) // The others have taken over by now.
	}
	if err := o.flow(outageFlow); err != nil {
		return err
	}
	time.Sleep(time.Until(start.Add(kafkaInterval)))
	return nil
}

// judge counts samples that must not be there, and groups without a lag.
func (o *outage) judge(points []series.Point) {
	known := make(map[string]bool)
	for _, p := range points {
		o.samples++
		if !(p.Value > 0) && !mayBeZero(p.Key.Metric) {
			o.notPositive++
		}
		if p.Key.Metric == "kafka_consumergroup_lag_sum" {
			known[p.Key.Get("consumergroup")] = true
			if p.Value != outagePartitions*behind {
				o.wrong++
			}
		}
	}
	for i := range outageGroups {
		if known[groupName(i)] {
			delete(o.gaps, i)
			continue
		}
		o.gaps[i]++
		o.longest = max(o.longest, o.gaps[i])
		if o.takeover && o.gaps[i] == 3 || !o.takeover && !o.affected[i] {
			o.lost++
		}
	}
}

// mayBeZero tells of which metrics 0 is the truth here: there are no members, nothing is lost, and as much is read as is written.
// The growth may be below 0 by definition. Coverage is 0 where none of a topic is known: that is what it is there to say.
func mayBeZero(metric string) bool {
	for _, suffix := range []string{
		"_growth_messages_per_second", "_growth_positive_messages_per_second", "_state", "_messages_lost", "_stuck_partitions", "_abandoned_topics", "_members",
		"_last_commit_age_seconds", "_coverage_ratio", "_compacted",
	} {
		if strings.HasSuffix(metric, suffix) {
			return true
		}
	}
	return false
}
