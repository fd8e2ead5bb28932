package apiserver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/types"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/adapter/certs"
)

// certificateFlags say where the server keeps certificates of its own.
type certificateFlags struct {
	secret      string
	service     string
	apiServices []string
}

func (f *certificateFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.secret, "tls-secret", "", "keep an authority and the serving certificate in this Secret, NAMESPACE/NAME, renew them in time, and write the authority "+
		"into --tls-apiservices; the Secret exists, empty at first. Without it, and without --tls-cert-file, the certificate is one that no client can verify")
	fs.StringVar(&f.service, "tls-service", "", "the Service that the certificate is for, NAMESPACE/NAME; unless given, foresail in the namespace of --tls-secret")
	fs.StringSliceVar(&f.apiServices, "tls-apiservices",
		[]string{"v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"},
		"the APIServices that are told the authority of --tls-secret, where they point to --tls-service")
}

// options returns no Secret where none is named.
func (f *certificateFlags) options(all *Flags) (o certs.Options, err error) {
	if f.secret == "" {
		if f.service != "" {
			return o, errors.New("cannot use --tls-service without --tls-secret: it is for the certificate that is kept there")
		}
		return o, nil
	}
	if c := all.SecureServing.ServerCert.CertKey; c.CertFile != "" || c.KeyFile != "" {
		return o, errors.New("cannot use --tls-secret and --tls-cert-file: both say which certificate is served; keep one")
	}
	o.APIServices = f.apiServices
	if o.Secret, err = namespaced("--tls-secret", f.secret); err != nil {
		return o, err
	}
	o.Service = types.NamespacedName{Namespace: o.Secret.Namespace, Name: name}
	if f.service != "" {
		if o.Service, err = namespaced("--tls-service", f.service); err != nil {
			return o, err
		}
	}
	return o, nil
}

func namespaced(flag, text string) (types.NamespacedName, error) {
	namespace, name, both := strings.Cut(text, "/")
	if !both || namespace == "" || name == "" || strings.Contains(name, "/") {
		return types.NamespacedName{}, fmt.Errorf("cannot use %s %q: write NAMESPACE/NAME", flag, text)
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// keep has the server's certificate come from a Secret, and the server ready only once it does.
func keep(config *genericapiserver.Config, o certs.Options, client *rest.Config, opts *Options) error {
	o.Client, o.Logger, o.Registerer, o.Fallback = client, opts.Logger, opts.Registerer, config.SecureServing.Cert
	keeper, err := certs.New(o)
	if err != nil {
		return err
	}
	config.SecureServing.Cert = keeper
	ready := opts.Ready
	opts.Ready = func() error {
		if err := keeper.Ready(); err != nil || ready == nil {
			return err
		}
		return ready()
	}
	return nil
}
