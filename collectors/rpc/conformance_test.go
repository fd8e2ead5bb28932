package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"google.golang.org/grpc"
	channelz "google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/foresail/foresail/collectors/collectortest"
)

// pair is two servers of metrics pages on a network in memory, so that time can be virtual.
type pair struct {
	t       *testing.T
	network kfake.VirtualNetwork
	servers map[int]*http.Server
	pages   map[int]http.HandlerFunc
	mu      sync.Mutex
	calls   int
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{t: t, servers: make(map[int]*http.Server), pages: make(map[int]http.HandlerFunc)}
	p.set(p.good, 1, 2)
	p.start()
	return p
}

// start starts those that do not run.
func (p *pair) start() {
	for _, port := range []int{1, 2} {
		if p.servers[port] != nil {
			continue
		}
		listener, err := p.network.Listen("tcp", fmt.Sprintf("localhost:%d", port))
		if err != nil {
			p.t.Fatal(err)
		}
		p.servers[port] = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			page := p.pages[port]
			p.mu.Unlock()
			page(w, r)
		})}
		go p.servers[port].Serve(listener)
	}
}

func (p *pair) stop() {
	for _, server := range p.servers {
		server.Close()
	}
	clear(p.servers)
}

// good answers with more calls each time, of which 7 are in flight.
func (p *pair) good(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.calls += 10
	n := p.calls
	p.mu.Unlock()
	page := fmt.Sprintf("grpc_server_started_total{grpc_service=\"a.B\"} %d\n", n)
	for code, handled := range map[string]int{"OK": n - 7 - n/10 - n/5, "Internal": n / 10, "ResourceExhausted": n / 5} {
		page += fmt.Sprintf("grpc_server_handled_total{grpc_service=\"a.B\",grpc_code=%q} %d\n", code, handled)
	}
	answer(page)(w, r)
}

func (p *pair) set(page http.HandlerFunc, ports ...int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range ports {
		p.pages[port] = page
	}
}

// peer is the two as the other end of a source.
func (p *pair) peer(s *Source, closePeer func()) *collectortest.Peer {
	return &collectortest.Peer{
		Metrics:  Metrics(),
		Source:   s,
		Interval: s.config.Interval,
		Settle:   2,
		// Nothing lies above the highest bound, and calls are made all the time.
		MayBeZero: []string{idleSeconds, saturated},
		Hang: func() {
			p.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 1, 2)
		},
		Gone:    p.stop,
		Heal:    func() { p.set(p.good, 1, 2); p.start() },
		Partial: func() string { p.set(http.NotFound, 2); return "http://localhost:2/metrics" },
		Garble:  func() { p.set(answer("grpc_server_started_total NaN\n"), 1, 2) },
		Close:   func() { p.stop(); closePeer() },
	}
}

func TestConformanceOfPages(t *testing.T) {
	collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
		p := newPair(t)
		c := Config{Name: "a", ConcurrencyLimit: 2, Targets: []Target{
			{URL: "http://localhost:1/metrics", Pod: "one"}, {URL: "http://localhost:2/metrics", Pod: "two"},
		}}
		c.Default()
		s, err := New(Options{Config: c, Dial: p.network.DialContext})
		if err != nil {
			t.Fatal(err)
		}
		return p.peer(s, func() {})
	})
}

// TestConformanceOfPods has the servers found in a cluster, by annotations that say where their pages are.
func TestConformanceOfPods(t *testing.T) {
	collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
		p := newPair(t)
		client := fake.NewClientset()
		for port, name := range map[string]string{"1": "one", "2": "two"} {
			pod := &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "a"}, Annotations: map[string]string{"prometheus.io/port": port}},
				Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "localhost", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
			}
			if _, err := client.CoreV1().Pods("shop").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		c := Config{Name: "a", ConcurrencyLimit: 2, Pods: &Pods{Selector: "app=a"}}
		c.Default()
		s, err := New(Options{Config: c, Dial: p.network.DialContext, Cluster: client})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // The cluster lists its pods meanwhile.
		return p.peer(s, func() {})
	})
}

// asked is two gRPC servers that have channelz and ORCA, on a network in memory.
type asked struct {
	t       *testing.T
	network kfake.VirtualNetwork
	servers map[int]*grpc.Server
	calls   atomic.Int64
	mood    atomic.Pointer[string] // what they all do: "", hang, garble; or the address of the one that refuses
}

func (a *asked) start() {
	for _, port := range []int{1, 2} {
		if a.servers[port] != nil {
			continue
		}
		address := fmt.Sprintf("localhost:%d", port)
		listener, err := a.network.Listen("tcp", address)
		if err != nil {
			a.t.Fatal(err)
		}
		server := grpc.NewServer(grpc.ForceServerCodec(garbling{a}))
		channelz.RegisterChannelzServer(server, channelzOf{asked: a, address: address})
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: "xds.service.orca.v3.OpenRcaService", HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{StreamName: "StreamCoreMetrics", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
				if err := a.trouble(stream.Context(), address); err != nil {
					return err
				}
				half := protowire.AppendFixed64(protowire.AppendTag(nil, 9, protowire.Fixed64Type), 0x3fe0000000000000) // 0.5
				if err := stream.SendMsg(&half); err != nil {
					return err
				}
				<-stream.Context().Done()
				return nil
			}}},
		}, nil)
		a.servers[port] = server
		go server.Serve(listener)
	}
}

func (a *asked) stop() {
	for _, server := range a.servers {
		server.Stop()
	}
	clear(a.servers)
}

func (a *asked) set(mood string) { a.mood.Store(&mood) }

// trouble is what a server does instead of answering; nil where it answers.
func (a *asked) trouble(ctx context.Context, address string) error {
	switch *a.mood.Load() {
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	case address:
		return status.Error(codes.PermissionDenied, "no")
	}
	return nil
}

// channelzOf tells of a server that is called ten times between two answers, and works on 7 calls.
type channelzOf struct {
	channelz.UnimplementedChannelzServer
	*asked
	address string
}

func (c channelzOf) GetServers(ctx context.Context, _ *channelz.GetServersRequest) (*channelz.GetServersResponse, error) {
	if err := c.trouble(ctx, c.address); err != nil {
		return nil, err
	}
	n := c.calls.Add(10)
	return &channelz.GetServersResponse{End: true, Server: []*channelz.Server{{
		Ref:          &channelz.ServerRef{ServerId: 1},
		Data:         &channelz.ServerData{CallsStarted: n + 7, CallsSucceeded: n},
		ListenSocket: []*channelz.SocketRef{{SocketId: 2, Name: "[::]:8080"}},
	}}}, nil
}

// garbling sends messages as they are, or nonsense in their place.
type garbling struct{ *asked }

func (garbling) Name() string { return "proto" }

func (g garbling) Marshal(v any) ([]byte, error) {
	switch m := v.(type) {
	case *[]byte:
		if *g.mood.Load() == "garble" {
			return (*m)[:3], nil
		}
		return *m, nil
	case proto.Message:
		if *g.mood.Load() == "garble" {
			return []byte("<html>"), nil
		}
		return proto.Marshal(m)
	}
	return nil, errors.New("no message")
}

func (garbling) Unmarshal(data []byte, v any) error {
	if m, ok := v.(proto.Message); ok {
		return proto.Unmarshal(data, m)
	}
	return nil
}

// TestConformanceOfChannelzAndORCA: with pages ORCA is what can be bad beside good calls, with channelz both are.
func TestConformanceOfChannelzAndORCA(t *testing.T) {
	for _, orca := range []bool{false, true} {
		t.Run(fmt.Sprintf("orca %v", orca), func(t *testing.T) {
			collectortest.Run(t, func(t *testing.T) *collectortest.Peer {
				a := &asked{t: t, servers: make(map[int]*grpc.Server)}
				a.set("")
				a.start()
				c := Config{
					Name: "a", ConcurrencyLimit: 2, ORCA: orca, Channelz: &Channelz{AppPort: 8080},
					Targets: []Target{{Address: "localhost:1", Pod: "one"}, {Address: "localhost:2", Pod: "two"}},
				}
				c.Default()
				s, err := New(Options{Config: c, Dial: a.network.DialContext})
				if err != nil {
					t.Fatal(err)
				}
				return &collectortest.Peer{
					Source: s, Metrics: Metrics(), Interval: c.Interval, Settle: 2, MayBeZero: []string{idleSeconds},
					Hang:    func() { a.set("hang") },
					Gone:    a.stop,
					Heal:    func() { a.set(""); a.start() },
					Partial: func() string { a.set("localhost:2"); return "pod two" },
					Garble:  func() { a.set("garble") },
					Close:   a.stop,
				}
			})
		})
	}
}
