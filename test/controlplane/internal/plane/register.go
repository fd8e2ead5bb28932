package plane

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// RegisterOptions says where the metrics API is served.
type RegisterOptions struct {
	Kubectl    string // Path of the binary.
	Kubeconfig string // An administrator's.
	Port       int    // On loopback, with TLS.
	CAFile     string // PEM; its certificates vouch for foresail.foresail.svc. Empty: the server is not verified.
	Timeout    time.Duration
	Resource   bool // metrics.k8s.io is served too.
}

type apiService struct {
	Group, Version string
	Priority       int // Within the group; clients that ask for no version get the largest.
}

func (a apiService) Name() string { return a.Version + "." + a.Group }

var apiServices = []apiService{
	{"custom.metrics.k8s.io", "v1beta2", 200},
	{"custom.metrics.k8s.io", "v1beta1", 100},
	{"external.metrics.k8s.io", "v1beta1", 100},
}

// resourceAPI is metrics.k8s.io.
var resourceAPI = apiService{"metrics.k8s.io", "v1beta1", 100}

// Register makes a process on loopback the plane's custom and external metrics API, and the resource metrics API where
// that is asked for, and waits until the aggregator finds all APIServices Available. The server may start later than this; the aggregator asks again with a growing pause.
func Register(ctx context.Context, opts RegisterOptions) error {
	apis := slices.Clone(apiServices)
	if opts.Resource {
		apis = append(apis, resourceAPI)
	}
	kubeconfig, err := filepath.Abs(opts.Kubeconfig)
	if err != nil {
		return fmt.Errorf("cannot resolve %s: %w", opts.Kubeconfig, err)
	}
	data := struct {
		APIs     []apiService
		Port     int
		CABundle string
	}{APIs: apis, Port: opts.Port}
	if opts.CAFile != "" {
		pem, err := os.ReadFile(opts.CAFile)
		if err != nil {
			return fmt.Errorf("cannot read the authority: %w", err)
		}
		data.CABundle = base64.StdEncoding.EncodeToString(pem)
	}
	k := kubectl{binary: opts.Kubectl, kubeconfig: kubeconfig, home: filepath.Dir(kubeconfig)}
	if err := k.apply(ctx, apiServicesYAML, data); err != nil {
		return err
	}
	args := []string{"wait", "--for=condition=Available", "--timeout=" + opts.Timeout.String()}
	for _, a := range apis {
		args = append(args, "apiservice/"+a.Name())
	}
	if _, err := k.run(ctx, nil, args...); err != nil {
		const columns = `custom-columns=NAME:.metadata.name,AVAILABLE:.status.conditions[?(@.type=="Available")].status,` +
			`WHY:.status.conditions[?(@.type=="Available")].message`
		found, _ := k.run(ctx, nil, "get", "apiservices", "-o", columns, "-l", "!kube-aggregator.kubernetes.io/automanaged")
		return fmt.Errorf("%w\nthe aggregator says:\n%s", err, found)
	}
	return nil
}
