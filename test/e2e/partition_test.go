package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// cable joins a replica with its backend. Locked, it lets nothing through and says nothing, as a network that is partitioned.
type cable struct {
	sync.RWMutex
	url string
}

func startCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := &cable{url: "http://" + listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", strings.TrimPrefix(to, "http://"))
			if err != nil {
				_ = client.Close()
				continue
			}
			go c.carry(server, client)
			go c.carry(client, server)
		}
	}()
	return c
}

func (c *cable) carry(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		c.RLock()
		_, failed := to.Write(buffer[:n])
		c.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}

// TestPartition cuts one of two replicas off from the backend that both ask. Its reads are errors once its value is older than maxAge
// and never what was before; the other goes on; its metrics and its log say why; and it comes back by itself.
func TestPartition(t *testing.T) {
	if !*enabled {
		t.Skip("needs a control plane: run make e2e")
	}
	t.Parallel()
	const maxAge, failing = 10 * time.Second, "cannot evaluate rule"
	p, main := startPlane(t, time.Second), startSource(t)
	depth := main.gauge("queue_depth", 7)
	cut := startCable(t, main.url)
	replica := func(url string) (*serving, string) {
		web := freePort(t)
		config := fmt.Sprintf("backends: [{name: main, prometheus: {url: %q, timeout: 1s}}]\nweb: {listen: \"127.0.0.1:%d\"}\n"+
			"metrics: [{name: good, query: sum(queue_depth), interval: 1s, maxAge: %v, external: {}}]\n", url, web, maxAge)
		return serve(t, p, config, freePort(t)), fmt.Sprintf("http://127.0.0.1:%d", web)
	}
	whole, _ := replica(main.url)
	lone, lonePage := replica(cut.url)
	b := startBalancer(t, whole.port, lone.port)
	register(t, p, b.port(), whole)
	p.mustKubectl(t, readerManifest, "apply", "-f", "-")
	token := p.token(t, "shop", "reader")
	of := func(s *serving, want string) func(context.Context) error {
		return func(ctx context.Context) error {
			return tells(ctx, fmt.Sprintf("https://127.0.0.1:%d", s.port)+externalOfShop+"good", token, want)
		}
	}
	eventually(t, time.Minute, "the first answer of one", of(whole, "7"))
	eventually(t, time.Minute, "the first answer of the other", of(lone, "7"))

	cut.Lock()
	mended := sync.OnceFunc(cut.Unlock)
	t.Cleanup(mended) // or what is carried would wait for ever
	since, said := time.Now(), strings.Count(lone.tail(1000), failing)
	depth.set(8)
	eventually(t, time.Minute, "the new value", of(whole, "8"))
	refused := 0
	eventually(t, time.Minute, "errors of the replica that is cut off", func(ctx context.Context) error {
		if err := of(whole, "8")(ctx); err != nil {
			t.Fatalf("the other replica: %v", err)
		}
		late := time.Since(since) > maxAge // What it has was asked for before the cut.
		err := of(lone, "7")(ctx)
		switch {
		case err == nil && (late || refused > 0):
			t.Fatalf("it tells what was before %v after the cut", time.Since(since))
		case err == nil:
			return fmt.Errorf("its last value is told")
		case !strings.Contains(err.Error(), "status 503"), !strings.Contains(err.Error(), "more than its maxAge of 10s"), !strings.Contains(err.Error(), "no answer within"):
			t.Fatalf("it says %v", err)
		}
		if refused++; refused < 8 {
			return fmt.Errorf("%d reads were errors", refused)
		}
		return nil
	})
	if n := exposed(t, lonePage+"/metrics", "foresail_rule_failures_total", `rule="good"`, `reason="timeout"`); n == 0 {
		t.Error("no metric tells of the failures")
	}
	if age := exposed(t, lonePage+"/metrics", "foresail_rule_age_seconds", `rule="good"`); age <= maxAge.Seconds() {
		t.Errorf("a metric tells that the last value is %v s old", age)
	}
	if text := get(t, lonePage+"/-/ready"); !strings.Contains(strings.ToLower(text), "ready") {
		t.Errorf("its outage takes the replica away: %s", text)
	}
	// An API server keeps its connection to a replica, whichever that is: it tells the new value or none.
	if err := tells(t.Context(), p.config.Host+externalOfShop+"good", token, "8"); err != nil && !strings.Contains(err.Error(), "status 503") {
		t.Errorf("through the API server: %v", err)
	}
	if n := strings.Count(lone.tail(1000), failing) - said; n > 1 {
		t.Errorf("one failure is logged %d times", n)
	}

	mended()
	eventually(t, time.Minute, "an answer once the network is whole", func(ctx context.Context) error {
		if err := of(lone, "7")(ctx); err == nil {
			t.Fatal("it tells what was before")
		}
		return of(lone, "8")(ctx)
	})
	if text := lone.tail(1000); !strings.Contains(text, failing) || !strings.Contains(text, "rule is evaluated again") {
		t.Errorf("the log does not tell of it: %s", text)
	}
	t.Logf("%d reads of it were errors; all of the other were answered", refused)
}

// tells checks that a read is answered with one value.
func tells(ctx context.Context, url, token, want string) error {
	// Any other status is an error that holds the answer.
	err := answers(ctx, url, token, 0)
	if err != nil && strings.Contains(err.Error(), fmt.Sprintf(`"value":%q`, want)) {
		return nil
	}
	return err
}
