package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	cmapiserver "sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	cmoptions "sigs.k8s.io/custom-metrics-apiserver/pkg/cmd/options"

	"github.com/foresail/foresail/adapter/certs"
)

// Flags are the settings of a server in a cluster, under the names that other adapters give them.
type Flags struct {
	*cmoptions.CustomMetricsAdapterServerOptions
	// Kubeconfig is used for everything that has no kubeconfig of its own; "" means the pod's service account.
	Kubeconfig string
	// ListerKubeconfig is used to watch the objects that metrics describe.
	ListerKubeconfig string
	// QPS and Burst limit the requests to the cluster's API server.
	QPS          float32
	Burst        int
	certificates certificateFlags
	// ShutdownDelay is how long reads are still answered once the server is told to end.
	ShutdownDelay time.Duration
	// patience is how long the cluster may take for its first answer.
	patience time.Duration
}

const (
	// defaultPort is a port that needs no privileges.
	defaultPort = 6443
	patience    = 10 * time.Second
	// shutdownDelay is the time in which a cluster's proxies hear that a pod is on its way out.
	shutdownDelay = 5 * time.Second
)

// NewFlags returns the defaults: port 6443 with a certificate of its own that is kept in memory.
func NewFlags() *Flags {
	o := cmoptions.NewCustomMetricsAdapterServerOptions()
	o.SecureServing.BindPort = defaultPort
	o.SecureServing.ServerCert.CertDirectory = ""
	return &Flags{CustomMetricsAdapterServerOptions: o, QPS: rest.DefaultQPS, Burst: rest.DefaultBurst, ShutdownDelay: shutdownDelay, patience: patience}
}

// AddFlags adds the flags to a set.
func (f *Flags) AddFlags(fs *pflag.FlagSet) {
	f.CustomMetricsAdapterServerOptions.AddFlags(fs)
	f.certificates.add(fs)
	fs.StringVar(&f.Kubeconfig, "kubeconfig", f.Kubeconfig,
		"kubeconfig file of the cluster, for everything that has none of its own; without it, the pod's service account")
	fs.StringVar(&f.ListerKubeconfig, "lister-kubeconfig", f.ListerKubeconfig,
		"kubeconfig file with the rights to list the objects that metrics describe")
	fs.Float32Var(&f.QPS, "client-qps", f.QPS, "requests a second to the cluster's API server")
	fs.IntVar(&f.Burst, "client-burst", f.Burst, "requests to the cluster's API server in a burst")
	fs.DurationVar(&f.ShutdownDelay, "shutdown-delay-duration", f.ShutdownDelay,
		"how long reads are still answered after a signal to end, while /readyz fails and clients are told to connect elsewhere")
}

// ClientConfig returns how to reach the cluster's API server. Its error says what is missing.
func (f *Flags) ClientConfig() (*rest.Config, error) {
	file := f.ListerKubeconfig
	if file == "" {
		file = f.Kubeconfig
	}
	var config *rest.Config
	var err error
	if file != "" {
		if config, err = clientcmd.BuildConfigFromFlags("", file); err != nil {
			return nil, fmt.Errorf("cannot use kubeconfig %q: %w", file, err)
		}
	} else if config, err = rest.InClusterConfig(); errors.Is(err, rest.ErrNotInCluster) {
		return nil, errors.New("cannot find the cluster: this is not a pod and there is no kubeconfig; " +
			"name one with --kubeconfig FILE, or run foresail demo, or write standalone: true in the config file: both need none")
	} else if err != nil {
		return nil, fmt.Errorf("cannot use the pod's service account: %w", err)
	}
	config.QPS, config.Burst = f.QPS, f.Burst
	return config, nil
}

// NewCluster returns a server for a cluster: TLS on the flags' port, clients known and allowed by what the cluster's
// API server says of them. It asks the cluster, and listens, before it returns.
func NewCluster(flags *Flags, opts Options) (*Server, error) {
	client, err := flags.ClientConfig()
	if err != nil {
		return nil, err
	}
	if flags.Authentication.RemoteKubeConfigFile == "" {
		flags.Authentication.RemoteKubeConfigFile = flags.Kubeconfig
	}
	if flags.Authorization.RemoteKubeConfigFile == "" {
		flags.Authorization.RemoteKubeConfigFile = flags.Kubeconfig
	}
	if problems := flags.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("cannot use the flags: %w", utilerrors.NewAggregate(problems))
	}
	keeping, err := flags.certificates.options(flags)
	if err != nil {
		return nil, err
	}
	if err := flags.reach(client); err != nil {
		return nil, err
	}
	if err := flags.listen(); err != nil {
		return nil, err
	}
	api, err := buildCluster(flags, client, keeping, opts)
	if err != nil {
		if l := flags.SecureServing.Listener; l != nil {
			err = errors.Join(err, l.Close())
		}
		return nil, err
	}
	var ending atomic.Bool
	api.Handler.FullHandlerChain = sendElsewhere(api.Handler.FullHandlerChain, &ending)
	prepared := api.PrepareRun()
	relist := func() error { return listMetrics(api, opts.Provider) }
	return &Server{url: "https://" + reachable(flags.SecureServing.Listener.Addr()), relist: relist, run: func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { ending.Store(true) })
		if err := prepared.RunWithContext(ctx); err != nil {
			return fmt.Errorf("cannot serve the metrics API: %w", err)
		}
		return nil
	}}, nil
}

// sendElsewhere answers as api does. Once the server is ending, each connection that a request comes by is closed after it (by GOAWAY, of
// HTTP/2), so that its client connects anew, to a server that stays, before this one refuses requests.
func sendElsewhere(api http.Handler, ending *atomic.Bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ending.Load() {
			w.Header().Set("Connection", "close")
		}
		api.ServeHTTP(w, r)
	})
}

// reach asks the cluster for its version: the library that is used from here on waits for an answer without an end.
func (f *Flags) reach(config *rest.Config) error {
	config = rest.CopyConfig(config)
	config.Timeout = f.patience
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("cannot use the cluster's address or credentials: %w", err)
	}
	var answer apierrors.APIStatus // a refusal is an answer, too
	if _, err := client.ServerVersion(); err != nil && !errors.As(err, &answer) {
		return fmt.Errorf("cannot reach the cluster at %s; check the address in the kubeconfig and the network: %w", config.Host, err)
	}
	return nil
}

func buildCluster(flags *Flags, client *rest.Config, keeping certs.Options, opts Options) (*genericapiserver.GenericAPIServer, error) {
	config := genericapiserver.NewRecommendedConfig(cmapiserver.Codecs)
	config.ClientConfig = client
	files := flags.SecureServing.ServerCert.CertKey.CertFile != "" // here, for later it may be one that the library has made
	if err := flags.ApplyTo(config); err != nil {
		return nil, fmt.Errorf("cannot set up serving with the cluster at %s (the service account needs the roles "+
			"system:auth-delegator and, in kube-system, extension-apiserver-authentication-reader): %w", client.Host, err)
	}
	config.ShutdownDelayDuration = flags.ShutdownDelay
	if keeping.Secret.Name != "" {
		if err := keep(&config.Config, keeping, client, &opts); err != nil {
			return nil, err
		}
	}
	if files {
		certs.Watch(config.SecureServing.Cert, opts.Logger, opts.Registerer)
	}
	return build(&config.Config, opts)
}

// listen opens the port, unless there is a listener already or a shared port is asked for, which the library opens.
func (f *Flags) listen() error {
	s := f.SecureServing
	if s.Listener != nil {
		return nil
	}
	if s.BindPort == 0 {
		return errors.New("cannot serve without a port: --secure-port is 0")
	}
	if s.PermitPortSharing || s.PermitAddressSharing {
		return nil
	}
	addr := net.JoinHostPort(s.BindAddress.String(), strconv.Itoa(s.BindPort))
	listener, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: the port is in use; stop what uses it or choose another with --secure-port", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen on %s: ports below 1024 need privileges; choose another with --secure-port", addr)
	case err != nil:
		return fmt.Errorf("cannot listen on %s: %w", addr, err)
	}
	s.Listener = listener
	return nil
}
