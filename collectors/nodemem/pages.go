package nodemem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/internal/secure"
	"github.com/foresail/foresail/collectors/nodemem/page"
	"github.com/foresail/foresail/collectors/nodemem/room"
	"github.com/foresail/foresail/collectors/nodemem/scrape"
)

// exporterPort is where node_exporter listens by default.
const exporterPort = 9100

// pages reads the pages of kubelets or of node_exporter.
type pages struct {
	config *Config
	scrape *scrape.Client
	parse  func(body []byte, at time.Time) (reading, error)
}

func newPages(c *Config, cluster *rest.Config, dial secure.Dial) *pages {
	p := &pages{config: c, parse: parseExporter}
	opts := scrape.Options{Interval: c.Interval, TLS: c.TLS, TokenFile: c.TokenFile, Dial: dial}
	if c.Source == Kubelet {
		p.parse = parseKubelet
		if cluster != nil && len(c.Targets) == 0 {
			set(&opts.TokenFile, cluster.BearerTokenFile)
			if opts.TLS == nil {
				opts.TLS = &secure.TLS{CAFile: cluster.CAFile}
			}
		}
	}
	p.scrape = scrape.New(opts)
	return p
}

func (p *pages) close() { p.scrape.Close() }

func (p *pages) read(ctx context.Context, nodes []*room.Node) (map[string]reading, error) {
	targets, problems := p.targets(nodes)
	readings := make([]reading, len(targets))
	errs, err := p.scrape.Round(ctx, targets, func(i int, body []byte, at time.Time) (err error) {
		if readings[i], err = p.parse(body, at); err == nil {
			err = timely(readings[i].at, at, p.config.Interval)
		}
		if err != nil {
			return &collectors.Missing{What: "node " + targets[i].Node + " (" + targets[i].URL + ")", Reason: collectors.BadData, Err: err}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]reading, len(targets))
	for i, t := range targets {
		if errs[i] != nil {
			problems = append(problems, errs[i])
			continue
		}
		out[t.Node] = readings[i]
	}
	return out, join(problems)
}

// targets are the pages to read, and an error for each node that does not say where its page is.
func (p *pages) targets(nodes []*room.Node) (targets []scrape.Target, problems []error) {
	for _, t := range p.config.Targets {
		targets = append(targets, scrape.Target{Node: t.Node, URL: t.URL})
	}
	if targets != nil {
		return targets, nil
	}
	scheme, path := "https", "/metrics/resource"
	if p.config.Source == NodeExporter {
		path = "/metrics"
		if p.config.TLS == nil {
			scheme = "http"
		}
	}
	for _, n := range nodes {
		port := p.config.Port
		if p.config.Source == Kubelet {
			set(&port, int(n.KubeletPort))
		} else {
			set(&port, exporterPort)
		}
		if n.Address == "" || port == 0 {
			err := errors.New("the node has no internal address, or no port of a kubelet, in its status")
			problems = append(problems, &collectors.Missing{What: "node " + n.Name, Reason: collectors.NotFound, Err: err})
			continue
		}
		targets = append(targets, scrape.Target{Node: n.Name, URL: scheme + "://" + net.JoinHostPort(n.Address, strconv.Itoa(port)) + path})
	}
	return targets, problems
}

func parseKubelet(body []byte, at time.Time) (reading, error) {
	k, err := page.ReadKubelet(body)
	if err != nil {
		return reading{}, err
	}
	if !k.At.IsZero() {
		at = k.At
	}
	r := newReading(at)
	r.workingSet, r.pods, r.running = k.WorkingSet, k.Pods, k.Containers
	return r, nil
}

func parseExporter(body []byte, at time.Time) (reading, error) {
	e, err := page.ReadExporter(body)
	if err != nil {
		return reading{}, err
	}
	r := newReading(at)
	r.capacity, r.available, r.anonymous, r.stalled = e.Total, e.Available, e.Anonymous, e.Stalled
	return r, nil
}

// timely refuses a sample that does not tell of the present: the node's clock, or what reads its figures, has stopped or is
// wrong.
func timely(of, now time.Time, interval time.Duration) error {
	if age := now.Sub(of); age > maxAge || age < -interval {
		return fmt.Errorf("%w: it is of %s, %v ago", page.ErrBad, of.UTC().Format(time.RFC3339), age.Round(time.Second))
	}
	return nil
}
