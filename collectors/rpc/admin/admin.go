// Package admin asks gRPC servers themselves: channelz (proposal A14) for their calls, ORCA (A51) for how busy they say
// they are.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	channelz "google.golang.org/grpc/channelz/grpc_channelz_v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/foresail/foresail/collectors/rpc/page"
)

// ErrNotServed is the error of a server that has not registered what was asked for, or does not list the server that was
// meant.
var ErrNotServed = errors.New("the server does not serve it")

// Options are what a connection is made of. All fields are required but Token.
type Options struct {
	// Address is host:port.
	Address string
	// Dial opens connections, encrypted where they shall be.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Wait is the longest pause between two attempts to connect.
	Wait time.Duration
	// Token returns the bearer token that each request carries, "" for none; nil means none, too.
	Token func() (string, error)
}

// Conn is a connection to one server. Its methods must not be called at once.
type Conn struct {
	conn  *grpc.ClientConn
	port  int // of its address
	token func() (string, error)
	dials atomic.Int64

	calls   float64 // that we made ourselves, of services that are there
	asked   float64 // those up to the newest request for counters
	counted *counted
	ports   map[int64]int // of listening sockets by their id, as this process says

	withoutLoad int64 // the dial whose server has no ORCA; 0 for none
}

// New returns a connection that connects when it is first needed.
func New(o Options) (*Conn, error) {
	c := &Conn{token: o.Token, ports: make(map[int64]int)}
	_, port, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %q: %w", o.Address, err)
	}
	if c.port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("cannot connect to %q: %w", o.Address, err)
	}
	c.conn, err = grpc.NewClient("passthrough:///"+o.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // Dial encrypts
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c.dials.Add(1)
			return o.Dial(ctx, "tcp", address)
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: min(time.Second, o.Wait), Multiplier: 1.6, Jitter: 0.2, MaxDelay: o.Wait},
			MinConnectTimeout: o.Wait,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %q: %w", o.Address, err)
	}
	return c, nil
}

// Close closes the connection.
func (c *Conn) Close() error {
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("cannot close the connection: %w", err)
	}
	return nil
}

// with adds the token to a request.
func (c *Conn) with(ctx context.Context) (context.Context, error) {
	if c.token == nil {
		return ctx, nil
	}
	token, err := c.token()
	if token == "" || err != nil {
		return ctx, err
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}

// counted is what Calls has made of the counters of one server so far.
type counted struct {
	id             int64
	raw            float64 // the counter of started calls
	own            float64 // calls of our own up to then
	started, ended float64
}

// Calls reads how many calls the server that listens on a port has started and ended. Our own are subtracted where it
// is that server that is asked; those of others, such as probes, are not told apart. The page has one method without a
// name. Which status calls ended with, and how long they took, channelz does not say.
func (c *Conn) Calls(ctx context.Context, port int) (page.Page, error) {
	ctx, err := c.with(ctx)
	if err != nil {
		return page.Page{}, err
	}
	server, err := c.find(ctx, port)
	if err != nil {
		return page.Page{}, err
	}
	data := server.GetData()
	if data.GetCallsStarted() < 0 || data.GetCallsSucceeded() < 0 || data.GetCallsFailed() < 0 {
		return page.Page{}, fmt.Errorf("%w: channelz counts calls below 0", page.ErrBad)
	}
	n := c.update(server.GetRef().GetServerId(), float64(data.GetCallsStarted()), float64(data.GetCallsSucceeded()+data.GetCallsFailed()), port == c.port)
	return page.Page{
		At: time.Now(), Family: "channelz", CountsStarted: true,
		Calls: map[page.Method]page.Calls{{}: {Started: n.started, Ended: n.ended}},
	}, nil
}

// update takes the counters of the server, the newest call among which is our own where ours are counted. What it makes
// of them never falls: after a restart of the server it goes on from what it was.
func (c *Conn) update(id int64, started, ended float64, countsOurs bool) counted {
	own := 0.
	if countsOurs {
		own = 1
	}
	inflight := max(0, started-ended-own)
	now := counted{id: id, raw: started, own: c.asked}
	switch before := c.counted; {
	case before == nil:
		now.started = started
	case before.id != id || started < before.raw:
		// A new process: all its calls are new, but the one that asks.
		now.started = before.started + max(0, started-own)
	default:
		now.started = before.started + max(0, started-before.raw-own*(c.asked-before.own))
	}
	now.ended = now.started - inflight
	if c.counted != nil {
		now.ended = max(now.ended, c.counted.ended) // the counters are not read at one instant
	}
	c.counted = &now
	return now
}

// find returns the server that listens on a port.
func (c *Conn) find(ctx context.Context, port int) (*channelz.Server, error) {
	client := channelz.NewChannelzClient(c.conn)
	var listening []string
	for next := int64(0); ; {
		answer, err := client.GetServers(ctx, &channelz.GetServersRequest{StartServerId: next})
		if status.Code(err) == codes.Unimplemented {
			return nil, fmt.Errorf("%w: channelz is not registered", ErrNotServed)
		}
		if err != nil {
			return nil, fmt.Errorf("cannot ask channelz for the servers: %w", err)
		}
		c.calls++
		c.asked = c.calls
		for _, s := range answer.GetServer() {
			for _, socket := range s.GetListenSocket() {
				its, err := c.portOf(ctx, client, socket)
				if err != nil {
					return nil, err
				}
				if its == port {
					return s, nil
				}
				listening = append(listening, strconv.Itoa(its))
			}
			next = max(next, s.GetRef().GetServerId()+1)
		}
		if answer.GetEnd() || len(answer.GetServer()) == 0 {
			return nil, fmt.Errorf("%w: channelz lists no server that listens on port %d, but on %s", ErrNotServed, port, strings.Join(append(listening, "no other"), ", "))
		}
	}
}

// portOf returns the port of a listening socket: grpc-go says it in the name, others only when asked.
func (c *Conn) portOf(ctx context.Context, client channelz.ChannelzClient, ref *channelz.SocketRef) (int, error) {
	if _, text, err := net.SplitHostPort(ref.GetName()); err == nil {
		if port, err := strconv.Atoi(text); err == nil {
			return port, nil
		}
	}
	if port, known := c.ports[ref.GetSocketId()]; known {
		return port, nil
	}
	answer, err := client.GetSocket(ctx, &channelz.GetSocketRequest{SocketId: ref.GetSocketId()})
	if err != nil {
		return 0, fmt.Errorf("cannot ask channelz for a socket: %w", err)
	}
	c.calls++
	port := int(answer.GetSocket().GetLocal().GetTcpipAddress().GetPort())
	c.ports[ref.GetSocketId()] = port
	return port, nil
}
