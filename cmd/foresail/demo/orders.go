package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	ordersTopic      = "orders"
	ordersGroup      = "invoicing:v2"
	ordersGroupAlias = "invoicing"
	ordersPartitions = 6
	// ordersSegment is how many bytes a segment of the broker's log has: it forgets whole segments only, and keeps 100 MiB
	// in memory unless told.
	ordersSegment = "65536"
)

// orders is a Kafka topic on an in-process broker, its producers and the consumer group that cannot keep up at peaks.
type orders struct {
	cluster  *kfake.Cluster
	producer *kgo.Client
	consumer *kgo.Client
	logger   *slog.Logger
}

func startOrders(logger *slog.Logger) (*orders, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(ordersPartitions, ordersTopic),
		kfake.BrokerConfigs(map[string]string{"log.segment.bytes": ordersSegment}))
	if err != nil {
		return nil, fmt.Errorf("cannot start the in-process Kafka broker: %w", err)
	}
	o := &orders{cluster: cluster, logger: logger}
	seeds := kgo.SeedBrokers(cluster.ListenAddrs()...)
	if o.producer, err = kgo.NewClient(seeds, kgo.DefaultProduceTopic(ordersTopic), kgo.ProducerLinger(50*time.Millisecond),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner())); err != nil {
		o.stop()
		return nil, fmt.Errorf("cannot connect the producer: %w", err)
	}
	if o.consumer, err = kgo.NewClient(seeds, kgo.ConsumeTopics(ordersTopic), kgo.ConsumerGroup(ordersGroup),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit()); err != nil {
		o.stop()
		return nil, fmt.Errorf("cannot connect the consumers: %w", err)
	}
	return o, nil
}

func (o *orders) brokers() []string { return o.cluster.ListenAddrs() }

// produce sends messages at the load's rate until ctx is done.
func (o *orders) produce(ctx context.Context, l load) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(float64(time.Second) / l.ordersPerSecond(time.Now()))):
		}
		o.producer.Produce(ctx, kgo.StringRecord("order"), func(_ *kgo.Record, err error) {
			if err != nil && ctx.Err() == nil {
				o.logger.Warn("an order could not be produced", "err", err)
			}
		})
	}
}

// consume reads at most ordersCapacity messages a second, commits every second, and lets the broker forget what was
// read, so that a demo left alone does not grow.
func (o *orders) consume(ctx context.Context) {
	admin := kadm.NewClient(o.producer)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for round := 1; ; round++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		poll, cancel := context.WithTimeout(ctx, 900*time.Millisecond)
		o.consumer.PollRecords(poll, int(ordersCapacity))
		cancel()
		if err := o.consumer.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
			o.logger.Warn("offsets could not be committed", "err", err)
		}
		if round%60 == 0 {
			o.forget(ctx, admin)
		}
	}
}

func (o *orders) forget(ctx context.Context, admin *kadm.Client) {
	committed, err := admin.FetchOffsets(ctx, ordersGroup)
	if err == nil {
		_, err = admin.DeleteRecords(ctx, committed.Offsets())
	}
	if err != nil && ctx.Err() == nil {
		o.logger.Warn("read orders could not be deleted", "err", err)
	}
}

func (o *orders) stop() {
	if o.consumer != nil {
		o.consumer.Close()
	}
	if o.producer != nil {
		o.producer.Close()
	}
	o.cluster.Close()
}
