package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/foresail/foresail/bench/ask"
	"github.com/foresail/foresail/bench/child"
)

// server is one metrics API server, read as the cluster's aggregator reads it.
type server struct {
	*child.Process
	port   int
	client *http.Client
}

// server starts a metrics API server with the flags that all of them have: TLS, and clients known and allowed by what the
// control plane says of them.
func (b *bench) server(ctx context.Context, name, path string, args ...string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	kubeconfig := b.planeDir("foresail.kubeconfig")
	p, err := b.child(name, path, append(args,
		"--secure-port="+strconv.Itoa(port), "--bind-address=127.0.0.1", "--lister-kubeconfig="+kubeconfig,
		"--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--tls-cert-file="+b.planeDir("pki", "foresail-serving.crt"), "--tls-private-key-file="+b.planeDir("pki", "foresail-serving.key"))...)
	if err != nil {
		return nil, err
	}
	client, err := b.aggregator()
	if err != nil {
		return nil, err
	}
	s := &server{Process: p, port: port, client: client}
	return s, p.Wait(ctx, name+" is ready", time.Minute, func(ctx context.Context) error {
		_, err := s.get(ctx, "/readyz")
		return err
	})
}

// foresailWith starts Foresail with a config file.
func (b *bench) foresailWith(ctx context.Context, name, config string) (*server, error) {
	file := filepath.Join(b.dir, name+".yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return b.server(ctx, name, b.foresail, "serve", "--config="+file, "--prometheus-url="+b.backend.URL, "--metrics-relist-interval=1m")
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// aggregator returns a client with the aggregator's certificate. As the aggregator's, its requests share HTTP/2 connections.
func (b *bench) aggregator() (*http.Client, error) {
	identity, err := tls.LoadX509KeyPair(b.planeDir("pki", "front-proxy-client.crt"), b.planeDir("pki", "front-proxy-client.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(b.planeDir("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{identity}, RootCAs: roots},
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64, DisableCompression: true,
	}}, nil
}

// get reads a path as the controller of autoscalers does through the aggregator, which vouches for it.
func (s *server) get(ctx context.Context, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://localhost:%d%s", s.port, path), http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header["Accept"] = []string{"application/json"}
	r.Header["X-Remote-User"] = []string{"system:serviceaccount:kube-system:horizontal-pod-autoscaler"}
	r.Header["X-Remote-Group"] = []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}
	return ask.Do(s.client, r)
}

// has waits until a read is answered with so many values.
func (s *server) has(ctx context.Context, path string, values int) error {
	return s.Wait(ctx, fmt.Sprintf("%s has %d values", path, values), time.Minute, func(ctx context.Context) error {
		body, err := s.get(ctx, path)
		if err != nil {
			return err
		}
		var list struct{ Items []json.RawMessage }
		if err := json.Unmarshal(body, &list); err != nil {
			return err
		}
		if len(list.Items) != values {
			return fmt.Errorf("it has %d", len(list.Items))
		}
		return nil
	})
}

// podsPath and externalPath are where an autoscaler of Deployment web reads.
func podsPath(metric string) string {
	return "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/" + metric + "?labelSelector=app%3Dweb"
}

func externalPath(metric string) string {
	return "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/" + metric
}
