package kafka

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/kafka/connect"
	"github.com/foresail/foresail/test/authority"
)

var jars = flag.String("kafka", "", "directory with the jars of a Kafka broker; without one there is nothing to test")

// lab is a real broker and a client of it that may do everything.
type lab struct {
	*broker
	t      *testing.T
	ca     *authority.Authority
	client *kgo.Client
	admin  *kadm.Client
}

func TestRealBroker(t *testing.T) {
	if *jars == "" {
		t.Skip("this needs a real Kafka broker: run make test-kafka")
	}
	l := &lab{t: t, ca: authority.New(t)}
	l.broker = startBroker(t, *jars, l.ca)
	l.client = l.newClient(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	l.admin = kadm.NewClient(l.client)
	expiring := l.beginExpiry(t)
	for _, test := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"classic group", l.classic},
		{"KIP-848 group", l.consumer},
		{"share group", l.share},
		{"unknown group", l.unknown},
		{"rebalance", l.rebalancing},
		{"messages by time", l.byTime},
		{"transactions", l.transactions},
		{"retention", l.retention},
		{"topic made anew", l.madeAnew},
		{"commit beyond the end", l.beyond},
		{"SASL", l.authenticated},
		{"TLS with files that are replaced", l.encrypted},
		{"rights", l.rights},
		{"wire answers", l.wire},
		{"offsets expire", expiring},
		{"broker killed", l.killed},
	} {
		t.Run(test.name, test.run)
	}
}

func (l *lab) newClient(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(l.plain), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// source returns a source of groups that connects as the configuration says, by default without name or encryption.
func (l *lab) source(t *testing.T, c kafka.Config, groups ...kafka.Group) *kafka.Source {
	t.Helper()
	c.Name, c.Groups = "lab", groups
	if len(c.Brokers) == 0 {
		c.Brokers = []string{l.plain}
	}
	c.Default()
	c.Validate(func(field, problem string) { t.Fatalf("%s: %s", field, problem) })
	s, err := kafka.New(kafka.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// collect makes one collection. Labels of the cluster and of the only topic and group that tests have are left out of the names.
func collect(t *testing.T, s *kafka.Source) (map[string]float64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 13500*time.Millisecond)
	defer cancel()
	points, err := s.Collect(ctx)
	values := make(map[string]float64)
	for _, p := range points {
		name := strings.TrimPrefix(p.Key.Metric, "kafka_")
		if st := p.Key.Get("state"); st != "" {
			name += "/" + st
		}
		values[name] = p.Value
		if p.Value < 0 && !strings.Contains(name, "growth") {
			t.Errorf("%s is %v", p.Key, p.Value)
		}
	}
	return values, err
}

// want makes one collection that must hold these values.
func want(t *testing.T, s *kafka.Source, values map[string]float64) {
	t.Helper()
	got, err := collect(t, s)
	if err != nil {
		t.Error(err)
	}
	for name, value := range values {
		if v, there := got[name]; !there || v != value {
			t.Errorf("%s = %v (there: %v), want %v", name, v, there, value)
		}
	}
}

// wantNone makes one collection in which there is no lag, for a reason.
func wantNone(t *testing.T, s *kafka.Source, reason collectors.Reason, words ...string) {
	t.Helper()
	got, err := collect(t, s)
	for _, name := range []string{"consumergroup_lag_sum", "consumergroup_group_lag_sum", "consumergroup_demand_messages_per_second"} {
		if v, there := got[name]; there {
			t.Errorf("%s = %v, want none", name, v)
		}
	}
	if err == nil || !slices.Contains(collectors.Reasons(err), reason) {
		t.Fatalf("error %v, want one for the reason %s", err, reason)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not hold %q: %v", w, err)
		}
	}
}

// topic makes a topic of some partitions and writes n messages to each of them.
func (l *lab) topic(t *testing.T, name string, partitions int32, n int) {
	t.Helper()
	if _, err := l.admin.CreateTopic(t.Context(), partitions, 1, nil, name); err != nil {
		t.Fatal(err)
	}
	for p := range partitions {
		l.produce(t, name, p, n)
	}
}

func (l *lab) produce(t *testing.T, topic string, partition int32, n int) {
	t.Helper()
	var records []*kgo.Record
	for range n {
		records = append(records, &kgo.Record{Topic: topic, Partition: partition, Value: []byte("x")})
	}
	if err := l.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) commit(t *testing.T, group, topic string, partition int32, at int64) {
	t.Helper()
	offsets := make(kadm.Offsets)
	offsets.AddOffset(topic, partition, at, -1)
	if err := l.admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
		t.Fatal(err)
	}
}

// consume joins a group, reads n messages and commits them.
func (l *lab) consume(t *testing.T, group, topic string, n int, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client := l.newClient(t, append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}, opts...)...)
	for read := 0; read < n; {
		fetches := client.PollRecords(t.Context(), n-read)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		read += fetches.NumRecords()
	}
	if err := client.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	return client
}

func (l *lab) classic(t *testing.T) {
	l.topic(t, "classic", 6, 100)
	live := l.consume(t, "classic", "classic", 250)
	s := l.source(t, kafka.Config{}, kafka.Group{Group: "classic"})
	want(t, s, map[string]float64{
		"consumergroup_lag_sum": 350, "consumergroup_members": 1, "consumergroup_state/stable": 1, "consumergroup_coverage_ratio": 1,
		"consumergroup_max_useful_consumers": 6, "consumergroup_lag_per_pod": 350,
	})
	l.aliases(t)
	live.Close()
	want(t, l.source(t, kafka.Config{}, kafka.Group{Group: "classic"}), map[string]float64{
		"consumergroup_lag_sum": 350, "consumergroup_members": 0, "consumergroup_state/empty": 1,
	})
}

// aliases: by the names of kafka_exporter, of one broker that has all there is. The members read 250 of 600 messages.
func (l *lab) aliases(t *testing.T) {
	t.Helper()
	s := l.source(t, kafka.Config{Aliases: "kafka_exporter"}, kafka.Group{Group: "classic"})
	if _, err := collect(t, s); err != nil {
		t.Error(err)
	}
	sums := make(map[string]float64)
	for _, p := range s.Aliases() {
		sums[strings.TrimPrefix(p.Key.Metric, "kafka_")] += p.Value
	}
	for name, want := range map[string]float64{
		"brokers": 1, "broker_info": 1, "topic_partitions": 6, "topic_partition_current_offset": 600, "topic_partition_oldest_offset": 0,
		"topic_partition_leader": 6, "topic_partition_leader_is_preferred": 6, "topic_partition_replicas": 6, // broker 1
		"topic_partition_in_sync_replica": 6, "topic_partition_under_replicated_partition": 0, "consumergroup_members": 1,
		"consumergroup_current_offset": 250, "consumergroup_current_offset_sum": 250, "consumergroup_lag": 350, "consumergroup_lag_sum": 350,
	} {
		if got, there := sums[name]; !there || got != want {
			t.Errorf("%s comes to %v (there: %v), want %v", name, got, there, want)
		}
	}
}

func (l *lab) consumer(t *testing.T) {
	l.topic(t, "next", 6, 100)
	live := l.consume(t, "next", "next", 250, kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer()))
	want(t, l.source(t, kafka.Config{}, kafka.Group{Group: "next"}), map[string]float64{
		"consumergroup_lag_sum": 350, "consumergroup_members": 1, "consumergroup_assigned_members": 1, "consumergroup_state/stable": 1,
	})
	// To those who know only classic groups it is dead, and has no lag and no error.
	lags, err := l.admin.Lag(t.Context(), "next")
	if err != nil || lags["next"].State != "Dead" || len(lags["next"].Lag) > 0 {
		t.Logf("kadm.Lag has learnt about such groups: %v, %v", lags["next"], err)
	}
	live.Close()
	want(t, l.source(t, kafka.Config{}, kafka.Group{Group: "next"}), map[string]float64{
		"consumergroup_lag_sum": 350, "consumergroup_members": 0, "consumergroup_state/empty": 1,
	})
}

func (l *lab) share(t *testing.T) {
	l.topic(t, "shared", 3, 0)
	set := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeGroupConfig, "shared"
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = "share.auto.offset.reset", new("earliest")
	resource.Configs = append(resource.Configs, config)
	set.Resources = append(set.Resources, resource)
	if _, err := set.RequestWith(t.Context(), l.client); err != nil {
		t.Fatal(err)
	}
	for p := range int32(3) {
		l.produce(t, "shared", p, 100)
	}
	client := l.newClient(t, kgo.ShareGroup("shared"), kgo.ConsumeTopics("shared"), kgo.ShareMaxRecordsStrict())
	done := 0
	for done < 120 {
		fetches := client.PollRecords(t.Context(), 120-done)
		fetches.EachRecord(func(r *kgo.Record) { r.Ack(kgo.AckAccept) })
		done += fetches.NumRecords()
	}
	client.FlushAcks(t.Context())
	s := l.source(t, kafka.Config{}, kafka.Group{Group: "shared"})
	deadline := time.Now().Add(20 * time.Second)
	for {
		got, err := collect(t, s)
		lag := got["consumergroup_lag_sum"]
		if err == nil && lag == float64(300-done) && got["sharegroup_lag"] == lag {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("lag %v, want %d: %v", lag, 300-done, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	got, err := collect(t, l.source(t, kafka.Config{}, kafka.Group{Group: "shared"}))
	if _, bound := got["consumergroup_max_useful_consumers"]; err != nil || bound || got["consumergroup_members"] != 1 {
		t.Errorf("%v, %v; want one member and no bound", got, err)
	}
}

// rebalancing: the first member of a group holds what it has while a second one joins. The broker waits for it, and what
// there is to read is known meanwhile.
func (l *lab) rebalancing(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state string
		opts  []kgo.Opt
	}{
		{"held", "preparing_rebalance", nil},
		{"held-next", "reconciling", []kgo.Opt{kgo.ServerSideBalancer(), kgo.Balancers(kgo.RangeBalancer())}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.topic(t, tt.name, 2, 100)
			first := l.consume(t, tt.name, tt.name, 100, append(tt.opts, kgo.BlockRebalanceOnPoll())...)
			first.AllowRebalance()
			first.PollRecords(t.Context(), 1) // and it does not allow one again
			second := l.newClient(t, append(tt.opts, kgo.ConsumerGroup(tt.name), kgo.ConsumeTopics(tt.name), kgo.DisableAutoCommit())...)
			go second.PollFetches(t.Context())
			s := l.source(t, kafka.Config{Interval: 30 * time.Second}, kafka.Group{Group: tt.name}) // asks for the state each time
			eventually(t, s, "consumergroup_state/"+tt.state, 1)
			want(t, s, map[string]float64{"consumergroup_lag_sum": 100, "consumergroup_state/stable": 0})
			first.AllowRebalance()
			eventually(t, s, "consumergroup_state/stable", 1)
			want(t, s, map[string]float64{"consumergroup_lag_sum": 100, "consumergroup_members": 2, "consumergroup_assigned_members": 2})
		})
	}
}

func (l *lab) unknown(t *testing.T) {
	l.topic(t, "unknown", 1, 10)
	wantNone(t, l.source(t, kafka.Config{}, kafka.Group{Group: "nope", Topics: []string{"unknown"}}), collectors.NotFound, "no such group")
	want(t, l.source(t, kafka.Config{}, kafka.Group{Group: "nope", Topics: []string{"unknown"}, BootstrapMin: 50}), map[string]float64{
		"consumergroup_lag_sum": 50, "consumergroup_group_lag_sum": 50,
	})
	// Those that are known are not touched by it, and each is named.
	l.commit(t, "known", "unknown", 0, 4)
	got, err := collect(t, l.source(t, kafka.Config{}, kafka.Group{Group: "nope"}, kafka.Group{Group: "known"}, kafka.Group{Group: "nope2"}))
	if got["consumergroup_lag_sum"] != 6 || err == nil || !strings.Contains(err.Error(), "group nope:") || !strings.Contains(err.Error(), "group nope2:") {
		t.Errorf("lag %v, error %v; want 6, and both groups that are not there", got["consumergroup_lag_sum"], err)
	}
	// There are members, and no commit yet.
	live := l.newClient(t, kgo.ConsumerGroup("fresh"), kgo.ConsumeTopics("unknown"), kgo.DisableAutoCommit())
	live.PollFetches(t.Context())
	eventually(t, l.source(t, kafka.Config{}, kafka.Group{Group: "fresh", Topics: []string{"unknown"}}), "consumergroup_lag_sum", 10)
}

// byTime: ten messages a minute apart. The broker answers with the first that is not older.
func (l *lab) byTime(t *testing.T) {
	l.topic(t, "times", 1, 0)
	now := time.Now()
	for i := range 10 {
		r := &kgo.Record{Topic: "times", Timestamp: now.Add(time.Duration(i-9)*time.Minute + 20*time.Second), Value: []byte("x")}
		if err := l.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	l.commit(t, "times", "times", 0, 1)
	for slo, old := range map[time.Duration]float64{
		5 * time.Minute:  3, // of minutes 1 to 9, those of 1 to 3 are older (it is 20 s before minute 9)
		30 * time.Minute: 0, // the commit is after the first that is not older
		time.Second:      8, // all but the one that is to come
		time.Millisecond: 8, time.Hour: 0,
	} {
		want(t, l.source(t, kafka.Config{}, kafka.Group{Group: "times", SLO: slo}), map[string]float64{
			"consumergroup_lag_sum": 9, "consumergroup_lag_older_than_messages": old,
		})
	}
	l.topic(t, "past", 1, 0)
	r := &kgo.Record{Topic: "past", Timestamp: now.Add(-time.Hour), Value: []byte("x")}
	if err := l.client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
	l.commit(t, "past", "past", 0, 0)
	want(t, l.source(t, kafka.Config{}, kafka.Group{Group: "past", SLO: time.Minute}), map[string]float64{"consumergroup_lag_older_than_messages": 1})
}

func (l *lab) transactions(t *testing.T) {
	l.topic(t, "tx", 1, 0)
	writer := l.newClient(t, kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("tx"))
	transaction := func(n int) {
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := writer.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	transaction(20)
	if err := writer.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	l.consume(t, "tx", "tx", 20, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	s := l.source(t, kafka.Config{}, kafka.Group{Group: "tx"})
	strict := l.source(t, kafka.Config{}, kafka.Group{Group: "tx", ReadCommitted: true})
	eventually(t, s, "consumergroup_lag_sum", 1) // the end marker stays
	transaction(5)
	eventually(t, s, "consumergroup_lag_sum", 6)
	want(t, strict, map[string]float64{"consumergroup_lag_sum": 1}) // open: nobody can read them yet
	if err := writer.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	eventually(t, strict, "consumergroup_lag_sum", 7) // aborted: they never will, and leave 7
}

// eventually waits for a value, as the broker shows some things late.
func eventually(t *testing.T, s *kafka.Source, name string, value float64) {
	t.Helper()
	var got map[string]float64
	var err error
	for range 50 {
		if got, err = collect(t, s); err == nil && got[name] == value {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%s = %v, want %v: %v", name, got[name], value, err)
}

func (l *lab) retention(t *testing.T) {
	l.topic(t, "short", 1, 100)
	l.commit(t, "short", "short", 0, 20)
	del := make(kadm.Offsets)
	del.AddOffset("short", 0, 50, -1)
	if _, err := l.admin.DeleteRecords(t.Context(), del); err != nil {
		t.Fatal(err)
	}
	want(t, l.source(t, kafka.Config{}, kafka.Group{Group: "short"}), map[string]float64{
		"consumergroup_lag_sum": 50, "consumergroup_messages_lost": 30, "consumergroup_retention_ratio": 1,
	})
}

func (l *lab) madeAnew(t *testing.T) {
	l.topic(t, "anew", 1, 100)
	l.commit(t, "anew", "anew", 0, 40)
	s := l.source(t, kafka.Config{}, kafka.Group{Group: "anew", Topics: []string{"anew"}})
	want(t, s, map[string]float64{"consumergroup_lag_sum": 60})
	if _, err := l.admin.DeleteTopic(t.Context(), "anew"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // The controller answers before the broker has heard of it.
	wantNone(t, s, collectors.NotFound, "topic anew")
	l.client.PurgeTopicsFromClient("anew") // it knows the id of the old one
	l.topic(t, "anew", 2, 5)
	l.commit(t, "anew", "anew", 0, 1) // with the topic the commits went, and with them the group
	eventually(t, s, "consumergroup_lag_sum", 9)
}

func (l *lab) beyond(t *testing.T) {
	l.topic(t, "beyond", 1, 100)
	l.commit(t, "beyond", "beyond", 0, 500)
	s := l.source(t, kafka.Config{}, kafka.Group{Group: "beyond"})
	for range 2 {
		want(t, s, map[string]float64{"consumergroup_lag_sum": 0})
	}
	want(t, s, map[string]float64{"consumergroup_lag_sum": 100, "consumergroup_state/out_of_range": 1})
}

// allow gives the user lab a right on a topic or a group.
func (l *lab) allow(t *testing.T, kind kmsg.ACLResourceType, name string) {
	t.Helper()
	req := kmsg.NewPtrCreateACLsRequest()
	acl := kmsg.NewCreateACLsRequestCreation()
	acl.ResourceType, acl.ResourceName, acl.ResourcePatternType = kind, name, kmsg.ACLResourcePatternTypeLiteral
	acl.Principal, acl.Host, acl.Operation, acl.PermissionType = "User:"+user, "*", kmsg.ACLOperationDescribe, kmsg.ACLPermissionTypeAllow
	req.Creations = append(req.Creations, acl)
	if _, err := req.RequestWith(t.Context(), l.client); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // The controller answers before the broker has heard of it, which says to nobody when it has.
}

func (l *lab) authenticated(t *testing.T) {
	l.topic(t, "login", 1, 100)
	l.commit(t, "login", "login", 0, 40)
	l.allow(t, kmsg.ACLResourceTypeTopic, "login")
	l.allow(t, kmsg.ACLResourceTypeGroup, "login")
	secrets := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(secrets, name)
		writeFile(t, path, []byte(text+"\n"))
		return path
	}
	right := file("right", password)
	now := time.Now()
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	token := part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d}`, user, now.Unix(), now.Add(time.Hour).Unix())) + "."
	for _, c := range []kafka.Config{
		{SASL: &connect.SASL{Mechanism: connect.Plain, Username: user, PasswordFile: right}},
		{SASL: &connect.SASL{Mechanism: connect.Scram256, Username: user, PasswordFile: right}},
		{SASL: &connect.SASL{Mechanism: connect.Scram512, Username: user, PasswordFile: right}},
		{SASL: &connect.SASL{Mechanism: connect.OAuthBearer, TokenFile: file("token", token)}},
		{
			SASL: &connect.SASL{Mechanism: connect.Scram512, Username: user, PasswordFile: right}, Brokers: []string{l.saslTLS},
			TLS: &connect.TLS{CAFile: filepath.Join(l.dir, "ca.pem")},
		},
	} {
		t.Run(c.SASL.Mechanism, func(t *testing.T) {
			if len(c.Brokers) == 0 {
				c.Brokers = []string{l.sasl}
			}
			want(t, l.source(t, c, kafka.Group{Group: "login", Topics: []string{"login"}}), map[string]float64{"consumergroup_lag_sum": 60})
		})
	}
	t.Run("wrong password, then the right one in the same file", func(t *testing.T) {
		changing := file("changing", "wrong")
		s := l.source(t, kafka.Config{Brokers: []string{l.sasl}, SASL: &connect.SASL{Mechanism: connect.Plain, Username: user, PasswordFile: changing}},
			kafka.Group{Group: "login", Topics: []string{"login"}})
		wantNone(t, s, collectors.Denied, "SASL_AUTHENTICATION_FAILED")
		file("changing", password)
		eventually(t, s, "consumergroup_lag_sum", 60)
	})
}

func (l *lab) encrypted(t *testing.T) {
	l.topic(t, "tls", 1, 100)
	l.commit(t, "tls", "tls", 0, 40)
	g := kafka.Group{Group: "tls"}
	caFile := filepath.Join(l.dir, "ca.pem")
	want(t, l.source(t, kafka.Config{Brokers: []string{l.tls}, TLS: &connect.TLS{CAFile: caFile}}, g), map[string]float64{"consumergroup_lag_sum": 60})
	wantNone(t, l.source(t, kafka.Config{Brokers: []string{l.tls}, TLS: &connect.TLS{}}, g), collectors.Unreachable, "certificate")
	wantNone(t, l.source(t, kafka.Config{Brokers: []string{l.mtls}, TLS: &connect.TLS{CAFile: caFile}}, g), collectors.Unreachable)
	wantNone(t, l.source(t, kafka.Config{Brokers: []string{l.plain}, TLS: &connect.TLS{CAFile: caFile}}, g), collectors.Unreachable)
	wantNone(t, l.source(t, kafka.Config{Brokers: []string{l.tls}}, g), collectors.Unreachable)
	wantNone(t, l.source(t, kafka.Config{Brokers: []string{l.sasl}}, g), collectors.Unreachable)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "me.pem"), filepath.Join(dir, "me.key")
	authority.New(t).Write(t, "foresail", filepath.Join(dir, "unused"), certFile, keyFile) // signed by somebody whom the broker does not know
	s := l.source(t, kafka.Config{Brokers: []string{l.mtls}, TLS: &connect.TLS{
		CAFile: caFile, CertFile: certFile, KeyFile: keyFile,
	}}, g)
	wantNone(t, s, collectors.Unreachable)
	l.ca.Write(t, "foresail", filepath.Join(dir, "unused"), certFile, keyFile)
	eventually(t, s, "consumergroup_lag_sum", 60)
}

// rights: what a client may not see, brokers leave out of their answers in silence.
func (l *lab) rights(t *testing.T) {
	l.topic(t, "secret", 1, 100)
	l.commit(t, "secret", "secret", 0, 40)
	path := filepath.Join(t.TempDir(), "password")
	writeFile(t, path, []byte(password))
	c := kafka.Config{Brokers: []string{l.sasl}, SASL: &connect.SASL{Mechanism: connect.Plain, Username: user, PasswordFile: path}}
	named, free := kafka.Group{Group: "secret", Topics: []string{"secret"}}, kafka.Group{Group: "secret"}
	wantNone(t, l.source(t, c, named), collectors.Denied, "GROUP_AUTHORIZATION_FAILED")
	l.allow(t, kmsg.ACLResourceTypeGroup, "secret")
	wantNone(t, l.source(t, c, named), collectors.Denied, "TOPIC_AUTHORIZATION_FAILED")
	wantNone(t, l.source(t, c, free), collectors.NotFound, "may not see")
	l.allow(t, kmsg.ACLResourceTypeTopic, "secret")
	want(t, l.source(t, c, named), map[string]float64{"consumergroup_lag_sum": 60})
	want(t, l.source(t, c, free), map[string]float64{"consumergroup_lag_sum": 60})
	// A group that it may not see takes nothing from the others.
	l.commit(t, "hidden", "secret", 0, 0)
	got, err := collect(t, l.source(t, c, named, kafka.Group{Group: "hidden", Topics: []string{"secret"}}))
	if got["consumergroup_lag_sum"] != 60 || err == nil || !strings.Contains(err.Error(), "group hidden: GROUP_AUTHORIZATION_FAILED") {
		t.Errorf("lag %v, error %v; want 60 of the one, and that the other may not be seen", got["consumergroup_lag_sum"], err)
	}
}

// beginExpiry commits for a group that nobody is in; a minute later its commits expire.
func (l *lab) beginExpiry(t *testing.T) func(t *testing.T) {
	t.Helper()
	l.topic(t, "expiry", 1, 100)
	l.commit(t, "expiry", "expiry", 0, 40)
	s := l.source(t, kafka.Config{}, kafka.Group{Group: "expiry", Topics: []string{"expiry"}, BootstrapMin: 1})
	want(t, s, map[string]float64{"consumergroup_lag_sum": 60, "consumergroup_state/offsets_expired": 0})
	return func(t *testing.T) {
		deadline := time.Now().Add(100 * time.Second)
		for time.Now().Before(deadline) {
			got, err := collect(t, s)
			if err != nil {
				t.Fatal(err)
			}
			if got["consumergroup_state/offsets_expired"] == 1 {
				if got["consumergroup_lag_sum"] != 100 {
					t.Errorf("lag %v, want 100: the group will begin anew", got["consumergroup_lag_sum"])
				}
				return
			}
			time.Sleep(time.Second)
		}
		t.Error("the commits did not expire")
	}
}

func (l *lab) killed(t *testing.T) {
	l.topic(t, "kill", 4, 100)
	l.commit(t, "kill", "kill", 0, 40)
	s := l.source(t, kafka.Config{}, kafka.Group{Group: "kill"})
	want(t, s, map[string]float64{"consumergroup_lag_sum": 360})
	l.end(syscall.SIGKILL)
	for range 2 {
		got, err := collect(t, s)
		if err == nil {
			t.Error("no error while the broker is away")
		}
		if v, there := got["consumergroup_lag_sum"]; there {
			t.Errorf("lag %v while the broker is away", v)
		}
	}
	l.start(t)
	var err error
	for range 2 { // within two intervals
		time.Sleep(4 * time.Second)
		var got map[string]float64
		if got, err = collect(t, s); err == nil && got["consumergroup_lag_sum"] == 360 {
			return
		}
	}
	t.Errorf("two intervals after the broker was back: %v", err)
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
