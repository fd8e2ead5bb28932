package kafka

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/foresail/foresail/collectors/collectortest"
	"github.com/foresail/foresail/collectors/kafka/connect"
	"github.com/foresail/foresail/collectors/kafka/exporter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	basePort = 9092
	interval = 15 * time.Second
)

// cluster is a fake Kafka cluster on a network in memory, with a real client. It lives in a bubble of
// testing/synctest, so that an hour of lag takes no time.
type cluster struct {
	*kfake.Cluster
	t       *testing.T
	network *kfake.VirtualNetwork
	client  *kgo.Client
	admin   *kadm.Client
}

// newCluster starts a cluster of some brokers.
func newCluster(t *testing.T, brokers int, opts ...kfake.Opt) *cluster {
	t.Helper()
	return newClusterAs(t, brokers, nil, opts...)
}

// newClusterAs starts a cluster that clients must say their name to.
func newClusterAs(t *testing.T, brokers int, auth *connect.SASL, opts ...kfake.Opt) *cluster {
	t.Helper()
	c := &cluster{t: t, network: &kfake.VirtualNetwork{}}
	var ports []int
	for i := range brokers {
		ports = append(ports, basePort+i)
	}
	fake, err := kfake.NewCluster(append(opts, kfake.NumBrokers(brokers), kfake.Ports(ports...), kfake.ListenFn(c.network.Listen))...)
	if err != nil {
		t.Fatal(err)
	}
	c.Cluster = fake
	c.client = c.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.SASL(auth.Mechanisms()...))
	c.admin = kadm.NewClient(c.client)
	t.Cleanup(c.close)
	return c
}

func (c *cluster) close() {
	c.client.Close()
	c.Close()
}

func (c *cluster) newClient(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...), kgo.Dialer(c.network.DialContext), kgo.DisableClientMetrics())...)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

// source returns a source of the cluster that tracks groups.
func (c *cluster) source(groups ...Group) *Source {
	c.t.Helper()
	return c.sourceOf(Config{Groups: groups})
}

// sourceOf returns a source of the cluster with a configuration that names neither it nor its brokers.
func (c *cluster) sourceOf(config Config) *Source {
	c.t.Helper()
	config.Name, config.Brokers = "orders", c.ListenAddrs()
	config.Default()
	config.Validate(func(field, problem string) { c.t.Fatalf("%s: %s", field, problem) })
	s, err := New(Options{Config: config, Dial: c.network.DialContext})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			c.t.Error(err)
		}
	})
	return s
}

func (c *cluster) createTopic(name string, partitions int32) {
	c.t.Helper()
	if err := c.CreateTopic(name, partitions, nil); err != nil {
		c.t.Fatal(err)
	}
}

// produce writes n messages to each of some partitions.
func (c *cluster) produce(topic string, n int, partitions ...int32) {
	c.t.Helper()
	var records []*kgo.Record
	for _, p := range partitions {
		for range n {
			records = append(records, &kgo.Record{Topic: topic, Partition: p, Value: []byte("x")})
		}
	}
	if err := c.client.ProduceSync(c.t.Context(), records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// commit commits an offset for a group from outside, which makes the group where there is none.
func (c *cluster) commit(group, topic string, partition int32, offset int64) {
	c.t.Helper()
	offsets := make(kadm.Offsets)
	offsets.AddOffset(topic, partition, offset, -1)
	if err := c.admin.CommitAllOffsets(c.t.Context(), group, offsets); err != nil {
		c.t.Fatal(err)
	}
}

// collect makes one collection with the deadline of the loop: text to value, and the error.
func collect(t *testing.T, s *Source) (map[string]float64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), interval*9/10)
	defer cancel()
	points, err := s.Collect(ctx)
	collectortest.Told(t, Metrics(), points)
	collectortest.Told(t, exporter.Metrics(), s.Aliases())
	out := make(map[string]float64, len(points))
	for _, p := range points {
		out[p.Key.String()] = p.Value
	}
	return out, err
}

// lagOf is how the lag of a group on a topic is called.
func lagOf(group, topic string) string {
	return fmt.Sprintf(`kafka_consumergroup_lag_sum{cluster="orders",consumergroup=%q,topic=%q}`, group, topic)
}

func coverageOf(group, topic string) string {
	return fmt.Sprintf(`kafka_consumergroup_coverage_ratio{cluster="orders",consumergroup=%q,topic=%q}`, group, topic)
}

func stateOf(group, name string) string {
	return fmt.Sprintf(`kafka_consumergroup_state{cluster="orders",consumergroup=%q,state=%q}`, group, name)
}

// wantLag fails where the lag is not there or another one.
func wantLag(t *testing.T, got map[string]float64, group, topic string, want float64) {
	t.Helper()
	if v, there := got[lagOf(group, topic)]; !there || v != want {
		t.Errorf("%s = %v (there: %v), want %v", lagOf(group, topic), v, there, want)
	}
}

// wantNoLag fails where there is a lag, or the error does not hold all of some words.
func wantNoLag(t *testing.T, got map[string]float64, err error, group, topic string, words ...string) {
	t.Helper()
	if v, there := got[lagOf(group, topic)]; there {
		t.Errorf("%s = %v, want none: it is not known", lagOf(group, topic), v)
	}
	wantError(t, err, words...)
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not hold %q: %v", w, err)
		}
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// consume joins a group and reads at least n messages, commits them and stays. It returns how many it has read and a
// function that leaves the group.
func (c *cluster) consume(group, topic string, n int, opts ...kgo.Opt) (read int, leave func()) {
	c.t.Helper()
	client := c.newClient(append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(2000),
	}, opts...)...)
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for read < n {
		fetches := client.PollRecords(ctx, n-read)
		if err := fetches.Err0(); err != nil {
			c.t.Fatal(err)
		}
		read += fetches.NumRecords()
	}
	if n > 0 {
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			c.t.Fatal(err)
		}
	} else if _, err := c.WaitGroupInfo(ctx, group, func(g *kfake.GroupInfo) bool { return g != nil && len(g.Members) > 0 }); err != nil {
		c.t.Fatal(err)
	}
	return read, client.Close
}

func sum(values map[string]float64, prefix string) float64 {
	var total float64
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(key, prefix) {
			total += values[key]
		}
	}
	return total
}

func near(a, b, within float64) bool { return math.Abs(a-b) <= within }
