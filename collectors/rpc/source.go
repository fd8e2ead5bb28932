// Package rpc collects how busy gRPC servers are, from the counters on their metrics pages, from channelz and from ORCA.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/internal/fetch"
	"github.com/foresail/foresail/collectors/rpc/load"
	"github.com/foresail/foresail/collectors/rpc/page"
	"github.com/foresail/foresail/collectors/rpc/pods"
	"github.com/foresail/foresail/forecast/series"
)

const (
	// maxReads bounds how many servers are read at once.
	maxReads = 128
	// perServer is the pause between two servers' readings, and maxSpread the share of the interval that all readings are
	// spread over at most: each server has its place, so that a thousand are not read in the same instant, and each at
	// regular times.
	perServer = 2 * time.Millisecond
	maxSpread = 3
	// young is how many intervals after its start a process is one whose counters began at 0 when it did.
	young = 2
)

// Options are what a source is made of.
type Options struct {
	// Config must be valid.
	Config Config
	// Dial opens connections; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Cluster lists pods; nil outside of a cluster, where Config.Pods must be nil.
	Cluster kubernetes.Interface
	// Logger hears which library counts the calls; nil means that nobody does.
	Logger *slog.Logger
}

// errNoCluster is the error of pods that are chosen outside of a cluster.
var errNoCluster = errors.New("pods are found in a cluster only: name targets, or run in one")

// Source reads one set of servers. Its methods must not be called at once.
type Source struct {
	config  Config
	logger  *slog.Logger
	reader  *reader
	watch   *pods.Watch // nil with static targets
	targets []pods.Server
	servers map[string]*server // by key
	sets    map[string]*set    // by namespace
	told    map[string]bool    // families that were logged
}

// server is what is kept of a server between two collections.
type server struct {
	*peer
	before  *page.Page // the newest good page
	failing bool
}

// New returns a source. It does not connect, except that pods are watched from now on.
func New(opts Options) (*Source, error) {
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Source{config: opts.Config, logger: opts.Logger, servers: make(map[string]*server), sets: make(map[string]*set), told: make(map[string]bool)}
	s.reader = newReader(&s.config, opts.Dial)
	for _, t := range opts.Config.Targets {
		s.targets = append(s.targets, pods.Server{Key: t.Namespace + "/" + t.Pod, Namespace: t.Namespace, Pod: t.Pod, URL: t.URL, Address: t.Address, Ready: true})
	}
	if opts.Config.Pods == nil {
		return s, nil
	}
	if opts.Cluster == nil {
		return nil, errNoCluster
	}
	watch, err := pods.New(pods.Options{Config: *opts.Config.Pods, Client: opts.Cluster})
	if err != nil {
		return nil, fmt.Errorf("cannot find the servers: %w", err)
	}
	s.watch = watch
	return s, nil
}

// Close closes the connections to the servers and to the cluster.
func (s *Source) Close() error {
	if s.watch != nil {
		s.watch.Close()
	}
	var errs []error
	for _, one := range s.servers {
		errs = append(errs, one.close())
	}
	s.reader.client.Close()
	return errors.Join(errs...)
}

// find returns the servers there are now.
func (s *Source) find() ([]pods.Server, error) {
	if s.watch == nil {
		return s.targets, nil
	}
	found, err := s.watch.Servers()
	switch {
	case errors.Is(err, pods.ErrUnlisted):
		return nil, &collectors.Missing{What: "the pods of " + s.config.Name, Reason: collectors.Unreachable, Err: err}
	case err != nil:
		return found, &collectors.Missing{What: "all pods of " + s.config.Name, Reason: collectors.NotFound, Err: err}
	}
	return found, nil
}

// Collect reads all servers. One that could not be read has no points and is named in the error, by one
// collectors.Missing each, unless it is just beginning or ending.
func (s *Source) Collect(ctx context.Context) ([]series.Point, error) {
	found, err := s.find()
	if errors.Is(err, pods.ErrUnlisted) {
		return nil, err
	}
	gone, closing := s.match(found)
	readings, failures := make([]reading, len(found)), make([]error, len(found))
	start, spread := time.Now(), min(time.Duration(len(found))*perServer, s.config.Interval/maxSpread)
	slots := make(chan struct{}, maxReads)
	var all sync.WaitGroup
	for i, f := range found {
		one := s.servers[f.Key]
		all.Go(func() {
			// One that hung the last time shall not keep others waiting: it comes last.
			offset := place(f.Key, spread)
			if one.failing {
				offset = spread
			}
			if failures[i] = fetch.Turn(ctx, time.Until(start.Add(offset)), slots); failures[i] == nil {
				readings[i], failures[i] = s.reader.read(ctx, one.peer, f)
				<-slots
			}
		})
	}
	all.Wait()
	errs := []error{err, closing}
	c := newCollection(s, gone)
	for i, f := range found {
		one := s.servers[f.Key]
		one.failing = failures[i] != nil
		if e := failures[i]; e != nil && f.Ready {
			errs = append(errs, missing(f, e))
		}
		c.add(f, one, readings[i])
	}
	return c.finish(time.Now()), errors.Join(errs...)
}

// match keeps the state of the servers that were found, drops that of others, and tells in which namespaces some are gone.
func (s *Source) match(found []pods.Server) (gone map[string]bool, err error) {
	current := make(map[string]bool, len(found))
	for _, f := range found {
		current[f.Key] = true
		if s.servers[f.Key] == nil {
			s.servers[f.Key] = &server{peer: &peer{namespace: f.Namespace}}
		}
	}
	gone = make(map[string]bool)
	var errs []error
	for key, one := range s.servers {
		if !current[key] {
			gone[one.namespace] = true
			errs = append(errs, one.close())
			delete(s.servers, key)
		}
	}
	return gone, errors.Join(errs...)
}

// since returns what happened at a server since its page before, which may be the one that it would have shown when it
// began, and makes the page the one before the next.
func (s *Source) since(one *server, now *page.Page) (load.Interval, bool) {
	before := one.before
	if before == nil {
		if born, known := now.Newborn(); known && now.At.Sub(born.At) <= young*s.config.Interval {
			before = &born
		}
	}
	one.before = now
	if before == nil {
		return load.Interval{}, false
	}
	return load.Between(before, now)
}

// tellFamily logs which library counts the calls, once for each: in a rolling update there may be two for a while.
func (s *Source) tellFamily(family string) {
	if !s.told[family] {
		s.told[family] = true
		s.logger.Info("Found how the servers count their calls.", "collector", "grpc", "target", s.config.Name, "family", family)
	}
}
