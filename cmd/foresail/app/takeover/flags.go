package takeover

import (
	"time"

	"github.com/spf13/pflag"
)

// AddTakeFlags adds the flags of foresail takeover.
func (o *Options) AddTakeFlags(fs *pflag.FlagSet) {
	o.AddFlags(fs, "custom", "external")
	fs.IntVar(&o.Port, "service-port", 443, "the Service's port")
	fs.StringVar(&o.CAFile, "ca-file", "", "the authorities that Foresail is verified by")
	fs.StringVar(&o.Secret, "tls-secret", "", "the Secret that has them, as of foresail serve; foresail-tls in the Service's namespace unless given")
	fs.BoolVar(&o.Unverified, "insecure-service", false, "have the API server not verify Foresail's certificate")
	fs.StringVar(&o.URL, "url", "", "Foresail's web port, to ask what it serves; unless given, one of the Service's pods is asked through the API server")
}

// AddFlags adds those that takeover and rollback have in common; apis is the default of --apis.
func (o *Options) AddFlags(fs *pflag.FlagSet, apis ...string) {
	fs.StringVar(&o.Kubeconfig, "kubeconfig", "", "the kubeconfig file; that of kubectl unless given")
	fs.StringVar(&o.Context, "context", "", "the kubeconfig's context; the current one unless given")
	fs.StringSliceVar(&o.APIs, "apis", apis, "which of custom, external and metrics (metrics.k8s.io, of CPU and memory)")
	fs.StringVar(&o.Service, "service", "foresail/foresail", "Foresail's Service, NAMESPACE/NAME")
	fs.DurationVar(&o.Timeout, "timeout", time.Minute, "how long the API server may take to find Foresail's APIs available")
	fs.BoolVar(&o.Force, "force", false, "switch even where the checks speak against it")
	fs.BoolVar(&o.Yes, "yes", false, "do it, not only show it")
}
