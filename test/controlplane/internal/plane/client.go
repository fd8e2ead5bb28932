package plane

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client reads from servers whose certificate the plane's authority signed, as the plane's administrator.
type client struct{ http *http.Client }

func newClient(keys *pki) (*client, error) {
	pair, err := tls.X509KeyPair(keys.admin.certPEM, keys.admin.keyPEM)
	if err != nil {
		return nil, fmt.Errorf("cannot load the administrator's key: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(keys.ca.cert)
	return &client{http: &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
	}}, nil
}

// get returns the body of a 200 answer; any other status is an error that quotes the answer's start.
func (c *client) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s: %s", url, resp.Status, body[:min(len(body), 500)])
	}
	return body, nil
}

// healthy tells that a health page answers 200, and that it names the check, unless check is empty.
func (c *client) healthy(ctx context.Context, url, check string) error {
	body, err := c.get(ctx, url)
	if err != nil {
		return err
	}
	if check != "" && !bytes.Contains(body, []byte("[+]"+check+" ok")) {
		return fmt.Errorf("%s names no check %s yet", url, check)
	}
	return nil
}

// nodesReady tells that the API server knows exactly want nodes and that all are Ready.
func (c *client) nodesReady(ctx context.Context, server string, want int) error {
	body, err := c.get(ctx, server+"/api/v1/nodes")
	if err != nil {
		return err
	}
	var list struct {
		Items []struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("cannot decode the list of nodes: %w", err)
	}
	ready := 0
	for _, node := range list.Items {
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				ready++
			}
		}
	}
	if ready != want {
		return fmt.Errorf("%d of %d nodes are Ready", ready, want)
	}
	return nil
}
