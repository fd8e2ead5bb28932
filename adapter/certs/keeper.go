package certs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/dynamic"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// Options say where the certificates are kept and whom they are for.
type Options struct {
	// Client reaches the cluster's API server.
	Client *rest.Config
	// Secret exists, at first without any data.
	Secret types.NamespacedName
	// Service is what clients reach the server by.
	Service types.NamespacedName
	// APIServices are the names of those that are told the authorities, if they point to the Service.
	APIServices []string
	// Fallback is served until there is a certificate. No client trusts it.
	Fallback   dynamiccertificates.CertKeyContentProvider
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

const (
	// interval is the time from one look at the Secret to the next, give or take a tenth.
	interval = 30 * time.Second
	// patience is how long one request may take.
	patience = 10 * time.Second
	// attempts is how often a look is begun anew because somebody else has written meanwhile.
	attempts = 5
)

// terms are those of public authorities today for what is served, and a year for what only our own APIServices trust.
func terms(service types.NamespacedName) Terms {
	name := service.Name + "." + service.Namespace + ".svc"
	return Terms{
		Names:     []string{name, name + ".cluster.local", "localhost"},
		Authority: 365 * 24 * time.Hour, Serving: 90 * 24 * time.Hour, Settle: time.Minute,
	}
}

// Keeper serves the certificate of a Secret and renews it there. It is a dynamiccertificates.CertKeyContentProvider and
// ControllerRunner, so that the API server runs it and serves a new certificate without a restart.
type Keeper struct {
	opts    Options
	terms   Terms
	secrets coreclient.SecretInterface
	apis    dynamic.Interface
	expiry  *prometheus.GaugeVec
	failing prometheus.Gauge
	// clock is the API server's: it verifies, so what is due goes by its time and not by this machine's. 0 before it has answered.
	clock atomic.Int64
	// strangers are the APIServices that point elsewhere, and where to; each is told of once. Only the look that runs has it.
	strangers map[string]string

	mu        sync.Mutex
	listeners []dynamiccertificates.Listener
	pair      [2][]byte // certificate and key; empty before the first
	failure   string    // of the newest look
}

// New returns a Keeper that has not looked yet.
func New(o Options) (*Keeper, error) {
	k := &Keeper{opts: o, terms: terms(o.Service), strangers: map[string]string{}}
	config := rest.CopyConfig(o.Client)
	config.Timeout = patience
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return &dated{inner, &k.clock} })
	core, err := coreclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot use the cluster's address or credentials: %w", err)
	}
	if k.apis, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("cannot use the cluster's address or credentials: %w", err)
	}
	k.secrets = core.Secrets(o.Secret.Namespace)
	k.expiry = newExpiry(o.Registerer)
	k.failing = promauto.With(o.Registerer).NewGauge(prometheus.GaugeOpts{
		Name: "foresail_certificate_keeping_failed", Help: "1 while the Secret or an APIService cannot be read or written; the log says why.",
	})
	return k, nil
}

func newExpiry(reg prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "foresail_certificate_expiry_timestamp_seconds", Help: "Unix time at which the certificate ends that is served (serving), from a Secret or from files, or the Secret's authority that signs new ones (authority).",
	}, []string{"certificate"})
}

// dated notes what time the API server has.
type dated struct {
	inner http.RoundTripper
	clock *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (d *dated) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := d.inner.RoundTrip(r)
	if err == nil {
		if at, err := http.ParseTime(response.Header.Get("Date")); err == nil {
			d.clock.Store(at.Unix())
		}
	}
	return response, err
}

// now is the API server's time as of its last answer; without any it is this machine's.
func (k *Keeper) now() time.Time {
	if at := k.clock.Load(); at != 0 {
		return time.Unix(at, 0)
	}
	return time.Now()
}

// Name implements dynamiccertificates.CertKeyContentProvider.
func (k *Keeper) Name() string { return "Secret " + k.opts.Secret.String() }

// AddListener implements dynamiccertificates.Notifier.
func (k *Keeper) AddListener(l dynamiccertificates.Listener) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, l)
}

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (k *Keeper) CurrentCertKeyContent() (certificate, key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pair[0]) == 0 {
		return k.opts.Fallback.CurrentCertKeyContent()
	}
	return k.pair[0], k.pair[1]
}

// Ready says why no certificate could be served yet that clients trust. It stays nil once one could.
func (k *Keeper) Ready() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case len(k.pair[0]) > 0:
		return nil
	case k.failure != "":
		return errors.New(k.failure)
	}
	return fmt.Errorf("the certificate in the %s has not been read yet", k.Name())
}

// RunOnce implements dynamiccertificates.ControllerRunner. Where it fails, Run tries again, so there is no error.
func (k *Keeper) RunOnce(ctx context.Context) error {
	err := k.look(ctx)
	k.mu.Lock()
	before, serving := k.failure, len(k.pair[0]) > 0
	k.failure = ""
	if err != nil {
		k.failure = err.Error()
	}
	after := k.failure
	k.mu.Unlock()
	switch {
	case ctx.Err() != nil || before == after:
	case err == nil:
		k.opts.Logger.Info("the serving certificate is kept up to date again")
	default:
		k.opts.Logger.Error("cannot keep the serving certificate up to date; trying again", "serving", serving, "err", err)
	}
	k.failing.Set(0)
	if err != nil {
		k.failing.Set(1)
	}
	return nil
}

// Run implements dynamiccertificates.ControllerRunner.
func (k *Keeper) Run(ctx context.Context, _ int) {
	for {
		timer := time.NewTimer(interval*9/10 + rand.N(interval/5))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		_ = k.RunOnce(ctx) // has none
	}
}

// look reads the Secret, renews what is due, serves it and tells the APIServices. Of two servers that renew at once, the one that
// writes later is refused by the API server, and takes what the other has written.
func (k *Keeper) look(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := k.try(ctx)
		if attempt == attempts || !apierrors.IsConflict(err) {
			return err
		}
	}
}

func (k *Keeper) try(ctx context.Context) error {
	secret, err := k.secrets.Get(ctx, k.opts.Secret.Name, metav1.GetOptions{})
	if err != nil {
		return k.advise("read", err)
	}
	set, err := Read(secret.Data)
	if err != nil {
		return fmt.Errorf("cannot use the %s: %w; if it holds nothing that is needed, empty it: kubectl -n %[3]s delete secret %[4]s && kubectl -n %[3]s create "+
			"secret generic %[4]s; if its certificate is to be served, mount it, and name --tls-cert-file and --tls-private-key-file in place of --tls-secret",
			k.Name(), err, k.opts.Secret.Namespace, k.opts.Secret.Name)
	}
	told := k.tell(ctx, set.Bundle())
	next, why, err := k.terms.Renew(set, told == nil, k.now())
	if err != nil {
		return err
	}
	if len(why) > 0 {
		if err := k.store(ctx, secret, next); err != nil {
			if !apierrors.IsConflict(err) && set.serving != nil {
				err = errors.Join(err, k.serve(set)) // what is there is better than what was served before
			}
			return err
		}
		k.opts.Logger.Info("renewed the certificates", "secret", k.opts.Secret.String(), "why", why)
	}
	if err := k.serve(next); err != nil {
		return err
	}
	if !bytes.Equal(set.Bundle(), next.Bundle()) {
		return k.tell(ctx, next.Bundle())
	}
	return told
}

// store writes a set into the Secret as it was read.
func (k *Keeper) store(ctx context.Context, secret *corev1.Secret, next Set) error {
	data, err := next.Data()
	if err != nil {
		return err
	}
	secret = secret.DeepCopy()
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	if _, err := k.secrets.Update(ctx, secret, metav1.UpdateOptions{FieldManager: "foresail"}); err != nil {
		return k.advise("write", err)
	}
	return nil
}

// advise says what to do about an error of the API server.
func (k *Keeper) advise(verb string, err error) error {
	ns, name := k.opts.Secret.Namespace, k.opts.Secret.Name
	advice := ""
	switch {
	case apierrors.IsNotFound(err):
		advice = fmt.Sprintf("; make it, empty: kubectl -n %s create secret generic %s", ns, name)
	case apierrors.IsForbidden(err):
		advice = fmt.Sprintf("; the service account needs a Role in the namespace %s with the verbs get and update for the secret %s", ns, name)
	}
	return fmt.Errorf("cannot %s the %s: %w%s", verb, k.Name(), err, advice)
}

// serve has new connections answered with the set's certificate.
func (k *Keeper) serve(s Set) error {
	certificate, key, err := s.Pair()
	if err != nil {
		return err
	}
	k.expiry.WithLabelValues("serving").Set(float64(s.serving.NotAfter.Unix()))
	k.expiry.WithLabelValues("authority").Set(float64(s.authorities[0].NotAfter.Unix()))
	k.mu.Lock()
	defer k.mu.Unlock()
	if bytes.Equal(certificate, k.pair[0]) && bytes.Equal(key, k.pair[1]) {
		return nil
	}
	k.pair = [2][]byte{certificate, key}
	for _, l := range k.listeners {
		l.Enqueue()
	}
	k.opts.Logger.Info("serving a certificate from the Secret", "names", s.serving.DNSNames,
		"until", s.serving.NotAfter.Format(time.RFC3339), "authority", cmp.Or(s.serving.Issuer.CommonName, "none"))
	return nil
}
