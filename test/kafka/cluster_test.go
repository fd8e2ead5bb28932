package kafka

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foresail/foresail/collectors/kafka"
)

// startCluster starts three brokers, the first of which is the controller, too. They keep the groups' commits three times.
func startCluster(t *testing.T, jars string) []*broker {
	t.Helper()
	ports := freePorts(t, 4)
	controller := ports[3]
	var all []*broker
	for i := range 3 {
		b := &broker{jars: jars, dir: t.TempDir(), plain: ports[i]}
		roles, listeners, format := "broker", "PLAINTEXT://"+b.plain, []string{"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", "kafka.properties"}
		advertised := listeners
		if i == 0 {
			roles, listeners, format = "broker,controller", listeners+",CONTROLLER://"+controller, append(format, "--standalone")
		}
		writeFile(t, b.dir+"/kafka.properties", fmt.Appendf(nil, `process.roles=%s
node.id=%d
listeners=%s
advertised.listeners=%s
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=%s
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data
offsets.topic.replication.factor=3
offsets.topic.num.partitions=6
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
`, roles, i+1, listeners, advertised, controller))
		if out, err := b.java(format...).CombinedOutput(); err != nil {
			t.Fatalf("cannot format: %v\n%s", err, out)
		}
		b.start(t)
		t.Cleanup(func() { b.end(os.Kill) }) // Without its controller a broker does not end by itself.
		all = append(all, b)
	}
	return all
}

// TestRealCluster kills one real broker of three for four intervals. No lag is wrong at any time; that of a topic with replicas is
// missing from two collections at most; that of one without is absent while its broker is, and back within two intervals.
func TestRealCluster(t *testing.T) {
	if *jars == "" {
		t.Skip("this needs real Kafka brokers: run make test-kafka")
	}
	const interval, partitions, replicated = 5 * time.Second, 3, "replicated"
	nodes := startCluster(t, *jars)
	l := &lab{t: t, broker: nodes[0]}
	l.client = l.newClient(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	l.admin = kadm.NewClient(l.client)
	var groups []kafka.Group
	for topic, replicas := range map[string]int16{replicated: 3, "alone": 1} {
		if _, err := l.admin.CreateTopic(t.Context(), partitions, replicas, nil, topic); err != nil {
			t.Fatal(err)
		}
		for p := range int32(partitions) {
			l.produce(t, topic, p, 100)
		}
		for i := range 8 { // of which some have the broker that is killed for a coordinator
			group := fmt.Sprint(topic, i)
			groups = append(groups, kafka.Group{Group: group})
			for p := range int32(partitions) {
				l.commit(t, group, topic, p, 40)
			}
		}
	}
	s := l.source(t, kafka.Config{Interval: interval, Brokers: []string{nodes[0].plain, nodes[1].plain, nodes[2].plain}, Aliases: "kafka_exporter"}, groups...)
	gaps, longest := make(map[string]int), 0
	// cycle makes a collection and returns how many lags of each topic are known.
	cycle := func() map[string]int {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), interval*9/10)
		defer cancel()
		points, err := s.Collect(ctx)
		lags, known := make(map[string]bool), make(map[string]int)
		for _, p := range points {
			if p.Value < 0 {
				t.Errorf("%s = %v", p.Key, p.Value)
			}
			if p.Key.Metric == "kafka_consumergroup_lag_sum" {
				lags[p.Key.Get("consumergroup")] = true
				known[p.Key.Get("topic")]++
				if p.Value != 3*60 {
					t.Errorf("%s = %v, want 180", p.Key, p.Value)
				}
			}
		}
		for _, g := range groups {
			if gaps[g.Group]++; lags[g.Group] {
				delete(gaps, g.Group)
			}
			if strings.HasPrefix(g.Group, replicated) {
				longest = max(longest, gaps[g.Group])
			}
		}
		t.Logf("lags known: %v; error: %v", known, err != nil)
		time.Sleep(time.Until(start.Add(interval)))
		return known
	}
	cycle() // The brokers may have answered some commits before all had heard of the groups.
	if known := cycle(); known[replicated] != 8 || known["alone"] != 8 {
		t.Fatalf("lags known: %v, want 8 each", known)
	}
	nodes[2].end(syscall.SIGKILL)
	for i := range 4 {
		known := cycle()
		if known["alone"] != 0 {
			t.Errorf("%d lags of a topic of which one partition is away", known["alone"])
		}
		if i == 3 && known[replicated] != 8 {
			t.Errorf("%d lags of a topic with replicas after 4 intervals, want 8", known[replicated])
		}
	}
	under := 0
	for _, p := range s.Aliases() {
		if p.Key.Metric == "kafka_topic_partition_under_replicated_partition" && p.Key.Get("topic") == replicated {
			under += int(p.Value)
		}
	}
	if under != partitions {
		t.Errorf("%d partitions are told to lack a replica, want %d", under, partitions)
	}
	nodes[2].start(t)
	if known := cycle(); known[replicated] != 8 || known["alone"] != 8 {
		if known = cycle(); known[replicated] != 8 || known["alone"] != 8 {
			t.Errorf("lags known two intervals after the broker was back: %v, want 8 each", known)
		}
	}
	if longest > 2 {
		t.Errorf("a lag of the topic with replicas was missing from %d collections in a row, want 2 at most", longest)
	}
}
