package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// balancer is the cluster's Service: it hands each new connection to the next replica that takes it, of those that were ready when last probed.
type balancer struct {
	listener net.Listener
	next     atomic.Int64
	ports    []int
	unready  []atomic.Bool // by index of ports
}

func startBalancer(t *testing.T, ports ...int) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: listener, ports: ports, unready: make([]atomic.Bool, len(ports))}
	t.Cleanup(func() { _ = listener.Close() })
	for i := range ports {
		go b.probe(t.Context(), i)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go b.join(conn)
		}
	}()
	return b
}

func (b *balancer) port() int { return b.listener.Addr().(*net.TCPAddr).Port }

// probe asks a replica whether it is ready, as the kubelet does. Where nobody answers, what was said last counts.
func (b *balancer) probe(ctx context.Context, i int) {
	client := unverified()
	for ; ctx.Err() == nil; time.Sleep(250 * time.Millisecond) {
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/readyz", b.ports[i]), http.NoBody)
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			b.unready[i].Store(response.StatusCode != http.StatusOK)
		}
	}
}

func (b *balancer) join(client net.Conn) {
	defer client.Close()
	for range b.ports {
		i := int(b.next.Add(1)) % len(b.ports)
		if b.unready[i].Load() {
			continue
		}
		port := b.ports[i]
		server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		go func() {
			_, _ = io.Copy(server, client)
			_ = server.Close()
		}()
		_, _ = io.Copy(client, server)
		return
	}
}

// counted are reads that go on: those that were answered, those that were at the second try, and those that were not.
type counted struct{ reads, again, lost int }

// TestReplicas reads a metric fifty times a second through the API server while one of two replicas is killed and comes back, and
// then the other is told to end: no read is lost beyond one retry, a quarter of a second later, and none at all of an orderly end.
func TestReplicas(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	p, main := startPlane(t, time.Second), startSource(t)
	main.gauge("queue_depth", 7, "namespace", "shop", "queue", "orders")
	config := fmt.Sprintf("backends: [{name: main, prometheus: {url: %q}}]\nweb: {listen: none}\n"+
		"metrics: [{name: good, query: sum(queue_depth), interval: 1s, external: {}}]\n", main.url)
	start := func(port int) *serving { return serve(t, p, config, port, "--shutdown-delay-duration=5s") } // as it is by default
	first, second := start(freePort(t)), start(freePort(t))
	b := startBalancer(t, first.port, second.port)
	register(t, p, b.port(), first)
	p.mustKubectl(t, readerManifest, "apply", "-f", "-")
	token := p.token(t, "shop", "reader")
	url := p.config.Host + externalOfShop + "good"
	eventually(t, time.Minute, "the first answer", func(ctx context.Context) error { return answers(ctx, url, token, http.StatusOK) })

	var mu sync.Mutex
	var now counted
	var why string
	ctx, cancel := context.WithCancel(context.Background())
	var reads sync.WaitGroup
	reads.Go(func() {
		for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			reads.Go(func() {
				err := answers(context.Background(), url, token, http.StatusOK)
				var again error
				if err != nil {
					time.Sleep(250 * time.Millisecond) // less than any client waits; at once, the port of a process that is being killed may still take connections
					again = answers(context.Background(), url, token, http.StatusOK)
				}
				mu.Lock()
				defer mu.Unlock()
				now.reads++
				if err != nil {
					now.again++
					why = err.Error()
				}
				if again != nil {
					now.lost++
				}
			})
		}
	})
	defer func() {
		cancel()
		reads.Wait()
	}()
	during := func(what string, do func(), most int) {
		t.Helper()
		mu.Lock()
		before := now
		mu.Unlock()
		do()
		time.Sleep(4 * time.Second) // two hundred reads of other processes
		mu.Lock()
		defer mu.Unlock()
		n, again, lost := now.reads-before.reads, now.again-before.again, now.lost-before.lost
		t.Logf("%s: %d reads, %d answered at the second try, %d lost", what, n, again, lost)
		if lost > 0 || again > most || n < 100 {
			t.Errorf("%s: that is not what is promised: %s", what, why)
		}
	}
	during("two replicas", func() {}, 0)
	during("one killed", func() {
		if err := first.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-first.done
	}, 20)
	back := func(s *serving) *serving {
		again := start(s.port)
		eventually(t, time.Minute, "an answer of the replica that is back", func(ctx context.Context) error {
			return answers(ctx, fmt.Sprintf("https://127.0.0.1:%d", s.port)+externalOfShop+"good", token, http.StatusOK)
		})
		return again
	}
	during("it comes back", func() { first = back(first) }, 0)
	during("the other is told to end", func() {
		if err := second.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-second.done:
		case <-time.After(20 * time.Second):
			t.Fatal("it did not end within 20 s")
		}
	}, 0)
	if text := second.tail(10); strings.Contains(text, "level=ERROR") {
		t.Errorf("it ended with %s", text)
	}
	during("it comes back, too", func() { second = back(second) }, 0)
}
