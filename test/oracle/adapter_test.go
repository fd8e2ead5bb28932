package oracle

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cluster is what is needed to talk to the control plane and to servers that believe it.
type cluster struct {
	dir    string
	client *http.Client
	ports  ports
}

func newCluster(dir string) (*cluster, error) {
	identity, err := tls.LoadX509KeyPair(filepath.Join(dir, "pki", "admin.crt"), filepath.Join(dir, "pki", "admin.key"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the administrator's identity: %w", err)
	}
	// Who the servers are is not what is tested: their ports are picked here.
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{identity}, InsecureSkipVerify: true}}
	return &cluster{dir: dir, ports: ports{20000 + os.Getpid()%8000}, client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}, nil
}

// adapter is one metrics API server under test and what it asked the backend.
type adapter struct {
	*process
	proxy  *proxy
	client *http.Client
	base   string
}

// startAdapter runs a server with prometheus-adapter's flags.
func (c *cluster) startAdapter(name, backend string, command []string, file, verb string) (*adapter, error) {
	port, err := c.ports.next()
	if err != nil {
		return nil, err
	}
	a := &adapter{proxy: newProxy(backend), client: c.client, base: fmt.Sprintf("https://127.0.0.1:%d", port)}
	kubeconfig := filepath.Join(c.dir, "admin.kubeconfig")
	a.process, err = start(name, command[0], append(command[1:],
		"--config="+file, "--prometheus-url="+a.proxy.URL, "--prometheus-verb="+verb, "--prometheus-header="+tenant+"="+name,
		"--metrics-relist-interval=1s", "--metrics-max-age=1h", "--discovery-interval=1m", "-v=2",
		fmt.Sprintf("--secure-port=%d", port), "--bind-address=127.0.0.1",
		"--tls-cert-file="+filepath.Join(c.dir, "pki", "foresail-serving.crt"),
		"--tls-private-key-file="+filepath.Join(c.dir, "pki", "foresail-serving.key"),
		"--lister-kubeconfig="+kubeconfig, "--authentication-kubeconfig="+kubeconfig, "--authorization-kubeconfig="+kubeconfig,
		"--client-qps=500", "--client-burst=500")...)
	if err != nil {
		a.proxy.Close()
		return nil, err
	}
	return a, nil
}

func (a *adapter) close() error {
	err := a.stop()
	a.client.CloseIdleConnections()
	a.proxy.Close()
	return err
}

// ready waits until the server says it is, or has ended, which it tells.
func (a *adapter) ready(limit time.Duration) (ended bool, err error) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if a.ended() {
			return true, nil
		}
		if status, _, err := a.get("/readyz"); err == nil && status == http.StatusOK {
			return false, nil
		}
	}
	return false, fmt.Errorf("%s was not ready within %v:\n%s", a.name, limit, a.tail(20))
}

// get asks as the administrator. A server that has just started may not have asked for the client's certificate when the
// connection was made: then it is asked again through another one.
func (a *adapter) get(path string) (status int, body []byte, err error) {
	for range 100 {
		status, body, err = a.once(path)
		if err != nil || status != http.StatusForbidden || !bytes.Contains(body, []byte("system:anonymous")) {
			return status, body, err
		}
		a.client.CloseIdleConnections()
		time.Sleep(50 * time.Millisecond)
	}
	return status, body, err
}

func (a *adapter) once(path string) (status int, body []byte, err error) {
	response, err := a.client.Get(a.base + path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// entries returns what the server lists, sorted, and the group versions that it has.
func (a *adapter) entries() (entries []entry, versions []string, err error) {
	for _, version := range []string{
		"custom.metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2", "external.metrics.k8s.io/v1beta1", "metrics.k8s.io/v1beta1",
	} {
		status, body, err := a.get("/apis/" + version)
		if err != nil {
			return nil, nil, err
		}
		if status != http.StatusOK {
			continue
		}
		versions = append(versions, version)
		var list struct {
			Resources []struct {
				Name       string
				Namespaced bool
			}
		}
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, nil, fmt.Errorf("%s lists what is no JSON: %w", a.name, err)
		}
		if version == "custom.metrics.k8s.io/v1beta1" || version == "metrics.k8s.io/v1beta1" {
			continue // The first has the entries of the second version, and the last always two.
		}
		for _, r := range list.Resources {
			e := entry{API: "external", Metric: r.Name}
			if strings.HasPrefix(version, "custom") {
				resource, metric, _ := strings.Cut(r.Name, "/")
				e = entry{API: "custom", Metric: metric, Namespaced: r.Namespaced}
				e.Resource, e.Group, _ = strings.Cut(resource, ".")
			}
			entries = append(entries, e)
		}
	}
	sortEntries(entries)
	return entries, versions, nil
}

func sortEntries(entries []entry) {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.API, b.API), cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Group, b.Group))
	})
}

// path is where a read is asked for.
func (r read) path() string {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	namespace := ""
	if r.Namespace != "" {
		namespace = "/namespaces/" + r.Namespace
	}
	name := r.Name
	var path string
	switch r.API {
	case "external":
		path = "/apis/external.metrics.k8s.io/v1beta1" + namespace + "/" + url.PathEscape(r.Metric)
		set("labelSelector", r.MetricSelector)
	case "resource":
		path = "/apis/metrics.k8s.io/v1beta1" + namespace + "/" + r.Resource
		if name != "" {
			path += "/" + name
		}
		set("labelSelector", r.LabelSelector)
	default:
		if name == "" {
			name = "*"
		}
		object := namespace + "/" + cmp.Or(r.Spelling, r.Resource) + "/" + name
		if r.Resource == "namespaces" {
			object = "/namespaces/" + name + "/metrics"
		}
		path = "/apis/custom.metrics.k8s.io/" + cmp.Or(r.Version, "v1beta2") + object + "/" + url.PathEscape(r.Metric)
		set("labelSelector", r.LabelSelector)
		set("metricLabelSelector", r.MetricSelector)
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// reply is the answer to a read, in the same form whichever API and version it is of.
type reply struct {
	status  int
	message string
	items   []item
}

// item is one value.
type item struct {
	// object is namespace/name and the container or resource, and of an external metric its labels.
	object string
	// kind is apiVersion, kind, metric and selector.
	apiVersion, kind, metric, selector string
	value                              string
	// milli is the value in thousandths.
	milli *big.Int
}

func (a *adapter) read(r read) (reply, error) {
	status, body, err := a.get(r.path())
	if err != nil {
		return reply{}, err
	}
	var raw rawReply
	if err := json.Unmarshal(body, &raw); err != nil {
		return reply{status: status, message: string(body)}, nil
	}
	out := reply{status: status, message: raw.Message}
	if status != http.StatusOK {
		return out, nil
	}
	items := raw.Items
	if raw.Items == nil && !strings.HasSuffix(raw.Kind, "List") {
		items = []rawItem{raw.rawItem}
	}
	for _, i := range items {
		out.items = append(out.items, i.items()...)
	}
	for i := range out.items {
		if out.items[i].milli, err = milliOf(out.items[i].value); err != nil {
			return out, fmt.Errorf("%s answers %s: %w", a.name, r.path(), err)
		}
	}
	slices.SortStableFunc(out.items, func(a, b item) int { return cmp.Compare(a.object, b.object) })
	return out, nil
}

// rawReply is any answer of any of the APIs.
type rawReply struct {
	Message string
	Items   []rawItem
	rawItem
}

type rawItem struct {
	Kind            string
	DescribedObject struct{ Kind, Namespace, Name, APIVersion string }
	MetricName      string
	Metric          struct {
		Name     string
		Selector json.RawMessage
	}
	Selector     json.RawMessage
	MetricLabels map[string]string
	Value        string

	Metadata   struct{ Name, Namespace string }
	Usage      map[string]string
	Containers []struct {
		Name  string
		Usage map[string]string
	}
}

func (r rawItem) items() []item {
	if r.Usage != nil || r.Containers != nil {
		return r.usage()
	}
	i := item{
		object: r.DescribedObject.Namespace + "/" + r.DescribedObject.Name, apiVersion: r.DescribedObject.APIVersion,
		kind: r.DescribedObject.Kind, metric: r.MetricName + r.Metric.Name,
		selector: strings.TrimPrefix(string(r.Selector)+string(r.Metric.Selector), "null"), value: r.Value,
	}
	if r.DescribedObject.Name == "" {
		labels, _ := json.Marshal(r.MetricLabels) // Sorted; of strings it cannot fail.
		i.object = string(labels)
	}
	return []item{i}
}

func (r rawItem) usage() []item {
	var items []item
	add := func(container string, usage map[string]string) {
		for resource, value := range usage {
			items = append(items, item{object: r.Metadata.Namespace + "/" + r.Metadata.Name + "/" + container + "/" + resource, value: value})
		}
	}
	add("", r.Usage)
	for _, c := range r.Containers {
		add(c.Name, c.Usage)
	}
	return items
}

var suffixes = map[string]*big.Rat{
	"": big.NewRat(1, 1), "n": big.NewRat(1, 1e9), "u": big.NewRat(1, 1e6), "m": big.NewRat(1, 1e3), "k": big.NewRat(1e3, 1), "M": big.NewRat(1e6, 1),
	"G": big.NewRat(1e9, 1), "T": big.NewRat(1e12, 1), "P": big.NewRat(1e15, 1), "E": big.NewRat(1e18, 1),
	"Ki": big.NewRat(1<<10, 1), "Mi": big.NewRat(1<<20, 1), "Gi": big.NewRat(1<<30, 1), "Ti": big.NewRat(1<<40, 1), "Pi": big.NewRat(1<<50, 1),
	"Ei": big.NewRat(1<<60, 1),
}

// milliOf reads a Quantity.
func milliOf(quantity string) (*big.Int, error) {
	digits := strings.TrimRight(quantity, "numkMGTPEi")
	unit, known := suffixes[quantity[len(digits):]]
	value, ok := new(big.Rat).SetString(digits)
	if !known || !ok {
		return nil, fmt.Errorf("%q is no quantity", quantity)
	}
	value.Mul(value, unit).Mul(value, big.NewRat(1000, 1))
	if !value.IsInt() {
		return nil, fmt.Errorf("%q is no whole number of thousandths", quantity)
	}
	return value.Num(), nil
}
