// Package kafka holds the Kafka collector to what a real Apache Kafka broker answers: `make test-kafka` runs it.
package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/test/authority"
)

// broker is one Kafka broker, in a process of its own, that is its own controller.
type broker struct {
	jars, dir string
	cmd       *exec.Cmd
	exited    chan struct{}
	// The addresses, by what the listener wants: nothing, SASL, TLS, SASL in TLS, a certificate.
	plain, sasl, tls, saslTLS, mtls string
}

const (
	user, password = "lab", "lab-pw"
	clusterID      = "MkU3OEVBNTcwNTJENDM2Qk"
)

// startBroker formats a directory and starts a broker in it; it ends with the test.
func startBroker(t *testing.T, jars string, ca *authority.Authority) *broker {
	t.Helper()
	b := &broker{jars: jars, dir: t.TempDir()}
	ports := freePorts(t, 6)
	for i, to := range []*string{&b.plain, &b.sasl, &b.tls, &b.saslTLS, &b.mtls} {
		*to = ports[i]
	}
	cert, key := ca.Issue(t, "127.0.0.1")
	writeFile(t, filepath.Join(b.dir, "keystore.pem"), append(key, cert...))
	writeFile(t, filepath.Join(b.dir, "ca.pem"), ca.PEM())
	listeners := fmt.Sprintf("PLAINTEXT://%s,SASL://%s,TLS://%s,SASLTLS://%s,MTLS://%s", b.plain, b.sasl, b.tls, b.saslTLS, b.mtls)
	writeFile(t, filepath.Join(b.dir, "kafka.properties"), []byte(`process.roles=broker,controller
node.id=1
listeners=`+listeners+`,CONTROLLER://`+ports[5]+`
advertised.listeners=`+listeners+`
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
controller.quorum.bootstrap.servers=`+ports[5]+`
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL,MTLS:SSL
log.dirs=data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.retention.minutes=1
offsets.retention.check.interval.ms=1000
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasltls.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasltls.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_lab="lab-pw";
listener.name.sasl.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";
ssl.keystore.type=PEM
ssl.keystore.location=keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=ca.pem
listener.name.mtls.ssl.client.auth=required
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:CN=foresail
`))
	format := b.java("kafka.tools.StorageTool", "format", "-t", clusterID, "-c", "kafka.properties", "--standalone",
		"--add-scram", "SCRAM-SHA-256=[name="+user+",password="+password+"]", "--add-scram", "SCRAM-SHA-512=[name="+user+",password="+password+"]")
	if out, err := format.CombinedOutput(); err != nil {
		t.Fatalf("cannot format: %v\n%s", err, out)
	}
	b.start(t)
	t.Cleanup(func() {
		b.end(os.Interrupt)
		if t.Failed() {
			t.Logf("the end of the broker's log:\n%s", b.tail())
		}
	})
	return b
}

func (b *broker) java(args ...string) *exec.Cmd {
	cmd := exec.Command("java", append([]string{"-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-cp", filepath.Join(b.jars, "*")}, args...)...)
	cmd.Dir = b.dir
	return cmd
}

// start starts the process and waits until it serves.
func (b *broker) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, "broker.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	b.cmd = b.java("kafka.Kafka", "kafka.properties")
	b.cmd.Stdout, b.cmd.Stderr = log, log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.exited = make(chan struct{})
	go func() {
		defer close(b.exited)
		_ = b.cmd.Wait() // it is ended by a signal
		_ = log.Close()
	}()
	begin := time.Now()
	for !bytes.Contains(readFile(t, log.Name()), []byte("Kafka Server started")) {
		select {
		case <-b.exited:
			t.Fatalf("the broker ended:\n%s", b.tail())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Since(begin) > 2*time.Minute {
			t.Fatalf("the broker does not start:\n%s", b.tail())
		}
	}
	t.Logf("the broker was ready after %v", time.Since(begin).Round(100*time.Millisecond))
}

// end sends a signal and waits for the process to go.
func (b *broker) end(signal os.Signal) {
	if err := b.cmd.Process.Signal(signal); errors.Is(err, os.ErrProcessDone) {
		return
	}
	select {
	case <-b.exited:
	case <-time.After(30 * time.Second):
		_ = b.cmd.Process.Kill()
		<-b.exited
	}
}

func (b *broker) tail() string {
	data, _ := os.ReadFile(filepath.Join(b.dir, "broker.log"))
	lines := strings.Split(string(data), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

// freePorts returns loopback addresses that nobody listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for range n {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
