package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	channelz "google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/foresail/foresail/collectors/collectortest"
	"github.com/foresail/foresail/collectors/rpc/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen serves on a port of loopback until the test ends.
func listen(t *testing.T, register func(*grpc.Server), options ...grpc.ServerOption) (address string, port int) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	register(s)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(listener) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	at, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is no TCP address", listener.Addr())
	}
	return listener.Addr().String(), at.Port
}

func connect(t *testing.T, address string) *Conn {
	t.Helper()
	c, err := New(Options{Address: address, Dial: (&net.Dialer{}).DialContext, Wait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// waiting is a health service whose Check waits until it is released.
type waiting struct {
	healthpb.UnimplementedHealthServer
	arrived, release chan struct{}
}

func (w *waiting) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	w.arrived <- struct{}{}
	<-w.release
	return &healthpb.HealthCheckResponse{}, nil
}

// TestRealServers asks grpc-go's own channelz on the port of the calls, and on one of its own.
func TestRealServers(t *testing.T) {
	for _, samePort := range []bool{true, false} {
		t.Run(fmt.Sprintf("same port %v", samePort), func(t *testing.T) {
			busy := &waiting{arrived: make(chan struct{}), release: make(chan struct{})}
			address, port := listen(t, func(s *grpc.Server) {
				healthpb.RegisterHealthServer(s, busy)
				if samePort {
					service.RegisterChannelzServiceToServer(s)
				}
			})
			asked := address
			if !samePort {
				asked, _ = listen(t, func(s *grpc.Server) { service.RegisterChannelzServiceToServer(s) })
			}
			c := connect(t, asked)
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			read := func() (started, inflight float64) {
				p, err := c.Calls(t.Context(), port)
				if err != nil {
					t.Fatal(err)
				}
				inflight, known := p.Inflight("")
				if !known {
					t.Fatal("in flight is not known")
				}
				for _, calls := range p.Calls {
					started = calls.Started
				}
				return started, inflight
			}
			before, inflight := read()
			if inflight != 0 {
				t.Errorf("%v in flight before the first call", inflight)
			}
			for range 5 { // our own polls are no load
				if started, inflight := read(); started != before || inflight != 0 {
					t.Errorf("%v started since, %v in flight; want none", started-before, inflight)
				}
			}
			var calls sync.WaitGroup
			for range 7 {
				calls.Go(func() {
					if _, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{}); err != nil {
						t.Error(err)
					}
				})
				<-busy.arrived
			}
			if started, inflight := read(); started != before+7 || inflight != 7 {
				t.Errorf("%v started since, %v in flight; want 7", started-before, inflight)
			}
			for range 7 {
				busy.release <- struct{}{}
			}
			calls.Wait()
			// The counter of ended calls rises a moment after the answer.
			for deadline := time.Now().Add(10 * time.Second); inflight != 0 && time.Now().Before(deadline); {
				_, inflight = read()
			}
			if started, inflight := read(); started != before+7 || inflight != 0 {
				t.Errorf("%v started since, %v in flight; want 7 and none", started-before, inflight)
			}
		})
	}
}

func TestNotServed(t *testing.T) {
	address, port := listen(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, health.NewServer()) })
	if _, err := connect(t, address).Calls(t.Context(), port); !errors.Is(err, ErrNotServed) || !strings.Contains(err.Error(), "channelz is not registered") {
		t.Errorf("without channelz: %v", err)
	}
	address, _ = listen(t, func(s *grpc.Server) { service.RegisterChannelzServiceToServer(s) })
	if _, err := connect(t, address).Calls(t.Context(), 1); !errors.Is(err, ErrNotServed) || !strings.Contains(err.Error(), "no server that listens on port 1") {
		t.Errorf("another port: %v", err)
	}
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := connect(t, closed.Addr().String()).Calls(t.Context(), 1); status.Code(err) != codes.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
}

// paged is a channelz service of another language: servers by two, sockets without names.
type paged struct {
	channelz.UnimplementedChannelzServer
	sockets int
	failed  int64 // calls, of each server
}

func (p *paged) GetServers(_ context.Context, r *channelz.GetServersRequest) (*channelz.GetServersResponse, error) {
	answer := &channelz.GetServersResponse{}
	for id := max(r.GetStartServerId(), 10); id < 15 && len(answer.GetServer()) < 2; id++ {
		answer.Server = append(answer.Server, &channelz.Server{
			Ref:          &channelz.ServerRef{ServerId: id},
			Data:         &channelz.ServerData{CallsStarted: id * 10, CallsSucceeded: id, CallsFailed: p.failed},
			ListenSocket: []*channelz.SocketRef{{SocketId: id * 100, Name: "listener"}},
		})
		answer.End = id == 14
	}
	return answer, nil
}

func (p *paged) GetSocket(_ context.Context, r *channelz.GetSocketRequest) (*channelz.GetSocketResponse, error) {
	p.sockets++
	return &channelz.GetSocketResponse{Socket: &channelz.Socket{Local: &channelz.Address{Address: &channelz.Address_TcpipAddress{
		TcpipAddress: &channelz.Address_TcpIpAddress{Port: int32(r.GetSocketId())},
	}}}}, nil
}

func TestPages(t *testing.T) {
	p := &paged{failed: 1}
	address, _ := listen(t, func(s *grpc.Server) { channelz.RegisterChannelzServer(s, p) })
	c := connect(t, address)
	for range 3 {
		got, err := c.Calls(t.Context(), 1300)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := got.Inflight(""); n != 130-13-1 { // of server 13
			t.Errorf("%v in flight", n)
		}
	}
	if p.sockets != 4 { // 1000 to 1300, once each
		t.Errorf("%d sockets were asked for", p.sockets)
	}
	p.failed = -1
	if got, err := c.Calls(t.Context(), 1300); !errors.Is(err, page.ErrBad) {
		t.Errorf("of a server that counts calls below 0: %+v, %v", got, err)
	}
}

// TestUpdate: the numbers are those of channelz, the newest call among which is our own.
func TestUpdate(t *testing.T) {
	c := &Conn{}
	for i, step := range []struct {
		id                       int64
		started, ended           float64
		wantStarted, wantInfligh float64
	}{
		{1, 10, 7, 10, 2},    // 10 - 7 - ours
		{1, 21, 15, 20, 5},   // 11 more, of which 1 is ours
		{1, 22, 20, 20, 1},   // ours only
		{1, 4, 1, 23, 2},     // a new process: 4 calls, 1 is ours
		{2, 100, 98, 122, 1}, // another server in the process: 99 calls and ours
		{2, 101, 105, 122, 0},
	} {
		c.calls++
		c.asked = c.calls
		got := c.update(step.id, step.started, step.ended, true)
		if got.started != step.wantStarted || got.started-got.ended != step.wantInfligh {
			t.Errorf("step %d: %v started, %v in flight; want %v and %v", i, got.started, got.started-got.ended, step.wantStarted, step.wantInfligh)
		}
	}
}

func report(fields map[protowire.Number]float64) []byte {
	b := protowire.AppendTag(nil, 3, protowire.VarintType) // rps
	b = protowire.AppendVarint(b, 7)
	b = protowire.AppendTag(b, 8, protowire.BytesType) // named_metrics
	b = protowire.AppendBytes(b, []byte("some"))
	for field, v := range fields {
		b = protowire.AppendTag(b, field, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(v))
	}
	return b
}

func TestUtilization(t *testing.T) {
	for name, tt := range map[string]struct {
		report []byte
		want   float64
		known  bool
		bad    bool
	}{
		"the application's":  {report(map[protowire.Number]float64{1: 0.3, 2: 0.9, 9: 0.7}), 0.7, true, false},
		"else the CPU's":     {report(map[protowire.Number]float64{1: 0.3, 2: 0.9}), 0.3, true, false},
		"not that of memory": {report(map[protowire.Number]float64{2: 0.9}), 0, false, false},
		"0 is absent":        {report(map[protowire.Number]float64{1: 0, 9: 0}), 0, false, false},
		"nothing":            {nil, 0, false, false},
		"not a number":       {report(map[protowire.Number]float64{9: math.NaN()}), 0, false, false},
		"infinite":           {report(map[protowire.Number]float64{9: math.Inf(1), 1: 0.5}), 0.5, true, false},
		"cut off":            {report(map[protowire.Number]float64{9: 1})[:12], 0, false, true},
		"cut off in the tag": {[]byte{0x80}, 0, false, true},
	} {
		got, known, err := utilization(tt.report)
		if got != tt.want || known != tt.known || (err != nil) != tt.bad {
			t.Errorf("%s: %v, %v, %v", name, got, known, err)
		}
	}
}

func FuzzUtilization(f *testing.F) {
	f.Add(report(map[protowire.Number]float64{9: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, known, err := utilization(b); known && (err != nil || !(v > 0) || math.IsInf(v, 0)) {
			t.Errorf("%v, %v", v, err)
		}
	})
}

// load is an ORCA service that sends reports for as long as the stream is open.
func load(calls *int, tokens *[]string) func(*grpc.Server) {
	return func(s *grpc.Server) {
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: "xds.service.orca.v3.OpenRcaService", HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{StreamName: "StreamCoreMetrics", ServerStreams: true, Handler: func(_ any, stream grpc.ServerStream) error {
				*calls++
				incoming, _ := metadata.FromIncomingContext(stream.Context())
				*tokens = append(*tokens, incoming.Get("authorization")...)
				var request []byte
				if err := stream.RecvMsg(&request); err != nil {
					return err
				}
				b := report(map[protowire.Number]float64{9: 0.5})
				if err := stream.SendMsg(&b); err != nil {
					return err
				}
				<-stream.Context().Done()
				return nil
			}}},
		}, nil)
	}
}

func TestORCA(t *testing.T) {
	var calls int
	var tokens []string
	address, _ := listen(t, load(&calls, &tokens), grpc.ForceServerCodec(bytesCodec{}))
	c := connect(t, address)
	dir := t.TempDir()
	c.token = func() (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, "token"))
		return string(b), err
	}
	for _, token := range []string{"one", "two"} {
		collectortest.WriteFile(t, dir, "token", []byte(token))
		got, known, err := c.Utilization(t.Context())
		if err != nil || !known || got != 0.5 {
			t.Errorf("%v, %v, %v", got, known, err)
		}
	}
	if calls != 2 || fmt.Sprint(tokens) != "[Bearer one Bearer two]" {
		t.Errorf("%d calls with %v", calls, tokens)
	}
}

// TestORCANeverAgain: a server without ORCA is asked once on a connection.
func TestORCANeverAgain(t *testing.T) {
	asked := 0
	address, _ := listen(t, func(*grpc.Server) {}, grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		asked++
		return status.Error(codes.Unimplemented, "no")
	}))
	c := connect(t, address)
	if _, _, err := c.Utilization(t.Context()); !errors.Is(err, ErrNotServed) {
		t.Fatal(err)
	}
	for range 3 {
		if _, known, err := c.Utilization(t.Context()); known || err != nil {
			t.Errorf("%v, %v", known, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
