// Package takeover is foresail takeover and rollback: the APIServices of the metrics APIs, switched from another adapter's Service to
// Foresail's and back. Nothing is changed before it has been shown and asked for.
package takeover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/adapter/certs"
	"github.com/foresail/foresail/cmd/foresail/app/kubeconfig"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

// Options are the flags.
type Options struct {
	Kubeconfig, Context string
	// APIs are among custom, external and metrics.
	APIs []string
	// Service is Foresail's, NAMESPACE/NAME, and Port its port.
	Service string
	Port    int
	// CAFile holds the authorities that Foresail is verified by; otherwise Secret has them, NAMESPACE/NAME. Unverified needs neither.
	CAFile, Secret string
	Unverified     bool
	// URL is Foresail's web port; otherwise one of the Service's pods is asked through the API server.
	URL string
	// Force switches whatever the checks have found, and Yes switches at all.
	Force, Yes bool
	// Timeout is how long the APIServices have to become Available.
	Timeout time.Duration
	// poll is the time between looks at what is Available; tests shorten it.
	poll time.Duration
}

// annotation keeps the spec of an APIService from before, as JSON; null if there was no such APIService.
const annotation = "foresail.io/taken-from"

// looks is how often an APIService has to be Available on end: the first may be of the Service from before.
const looks = 3

// versions are the APIServices of each API with their priorities, of which the larger is preferred.
func versions(api string) map[string]int64 {
	return map[string]map[string]int64{
		"custom":   {"v1beta1.custom.metrics.k8s.io": 100, "v1beta2.custom.metrics.k8s.io": 200},
		"external": {"v1beta1.external.metrics.k8s.io": 100},
		"metrics":  {"v1beta1.metrics.k8s.io": 100},
	}[api]
}

// run is one takeover or rollback.
type run struct {
	Options
	w       io.Writer
	service types.NamespacedName
	config  *rest.Config
	client  kubernetes.Interface
	dynamic dynamic.Interface
}

func newRun(w io.Writer, o Options) (*run, error) {
	r := &run{Options: o, w: w}
	if len(o.APIs) == 0 {
		return nil, mistake.Error{Err: errors.New("name the APIs: custom, external, metrics")}
	}
	for _, api := range o.APIs {
		if versions(api) == nil {
			return nil, mistake.Error{Err: fmt.Errorf("there is no API %q to switch: choose from custom, external and metrics", api)}
		}
	}
	namespace, name, both := strings.Cut(o.Service, "/")
	if r.service = (types.NamespacedName{Namespace: namespace, Name: name}); !both || namespace == "" || name == "" {
		return nil, mistake.Error{Err: fmt.Errorf("--service is %q: write NAMESPACE/NAME", o.Service)}
	}
	var err error
	if r.config, _, err = kubeconfig.Load(o.Kubeconfig, o.Context); err != nil {
		return nil, mistake.Error{Err: err}
	}
	r.config.QPS, r.config.Burst = 50, 100
	if r.client, err = kubernetes.NewForConfig(r.config); err != nil {
		return nil, mistake.Error{Err: fmt.Errorf("cannot use the kubeconfig: %w", err)}
	}
	if r.dynamic, err = dynamic.NewForConfig(r.config); err != nil {
		return nil, mistake.Error{Err: fmt.Errorf("cannot use the kubeconfig: %w", err)}
	}
	return r, nil
}

// Take shows how the APIServices would be switched to Foresail, and with Yes switches them. It goes back where the API server then
// cannot use one.
func Take(ctx context.Context, w io.Writer, o Options) error {
	r, err := newRun(w, o)
	if err != nil {
		return err
	}
	if err := r.exists(ctx, r.service); err != nil {
		return mistake.Error{Err: err}
	}
	trust, err := r.trust(ctx)
	if err != nil {
		return err
	}
	changes, err := r.plan(ctx, "there is nothing to change", func(a change) (change, bool, error) {
		if a.old != nil && certs.ServiceOf(a.old) == r.service {
			fmt.Fprintf(w, "%s: is Foresail's already\n", a.name)
			return a, false, nil
		}
		if err := r.kedas(ctx, a); err != nil {
			return a, false, err
		}
		c, err := take(a, r.service, r.Port, trust)
		return c, true, err
	})
	if err != nil || len(changes) == 0 {
		return err
	}
	if err := r.check(ctx, changes); err != nil {
		return err
	}
	return r.switchAll(ctx, changes, true)
}

// Rollback shows how the APIServices would be switched back, and with Yes switches them.
func Rollback(ctx context.Context, w io.Writer, o Options) error {
	r, err := newRun(w, o)
	if err != nil {
		return err
	}
	const none = "there is nothing to roll back: no APIService has been taken over by foresail takeover"
	changes, err := r.plan(ctx, none, func(a change) (change, bool, error) {
		if a.old == nil || a.old.GetAnnotations()[annotation] == "" {
			return a, false, nil
		}
		c, err := back(a)
		if err != nil {
			return a, false, err
		}
		if c.next != nil && !r.Force {
			if err := r.exists(ctx, certs.ServiceOf(c.next)); err != nil {
				return a, false, fmt.Errorf("cannot give %s back: %w; install it again first (--force gives it back all the same)", c.name, err)
			}
		}
		return c, true, nil
	})
	if err != nil || len(changes) == 0 {
		return err
	}
	return r.switchAll(ctx, changes, false)
}

// plan returns how the APIServices would be changed, by name, and shows it: decide says how one is changed, and whether. None is said
// where nothing is.
func (r *run) plan(ctx context.Context, none string, decide func(change) (change, bool, error)) ([]change, error) {
	all, err := r.existing(ctx)
	if err != nil {
		return nil, err
	}
	var changes []change
	for _, a := range all {
		c, changed, err := decide(a)
		if err != nil {
			return nil, err
		}
		if changed {
			changes = append(changes, c)
		}
	}
	for _, c := range changes {
		fmt.Fprint(r.w, c.diff())
	}
	if len(changes) == 0 {
		fmt.Fprintln(r.w, none)
	}
	return changes, nil
}

// existing returns the APIServices of the APIs, by name.
func (r *run) existing(ctx context.Context) ([]change, error) {
	var all []change
	for _, api := range r.APIs {
		for name, priority := range versions(api) {
			old, err := r.dynamic.Resource(certs.APIServices()).Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				old, err = nil, nil
			}
			if err != nil {
				return nil, fmt.Errorf("cannot read the APIService %s: %w", name, err)
			}
			all = append(all, change{name: name, priority: priority, old: old})
		}
	}
	slices.SortFunc(all, func(a, b change) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(all, func(a, b change) bool { return a.name == b.name }), nil
}

func (r *run) exists(ctx context.Context, service types.NamespacedName) error {
	_, err := r.client.CoreV1().Services(service.Namespace).Get(ctx, service.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("the Service %s does not exist", service)
	}
	if err != nil {
		return fmt.Errorf("cannot read the Service %s: %w", service, err)
	}
	return nil
}

// kedas refuses to take external metrics from KEDA while it needs them.
func (r *run) kedas(ctx context.Context, a change) error {
	if a.old == nil || !strings.HasSuffix(a.name, ".external.metrics.k8s.io") ||
		!strings.Contains(certs.ServiceOf(a.old).Name+a.old.GetLabels()["app.kubernetes.io/part-of"], "keda") {
		return nil
	}
	scaled, err := r.dynamic.Resource(schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}).List(ctx, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot list KEDA's ScaledObjects: %w", err)
	}
	if scaled == nil || len(scaled.Items) == 0 {
		fmt.Fprintf(r.w, "%s is KEDA's, which has no ScaledObjects; end KEDA's operator first, which writes a caBundle of its own into it\n", a.name)
		return nil
	}
	var names []string
	for i := range scaled.Items[:min(len(scaled.Items), 5)] {
		names = append(names, scaled.Items[i].GetNamespace()+"/"+scaled.Items[i].GetName())
	}
	return fmt.Errorf("cannot take %s from KEDA: %d ScaledObjects read their metrics through it (%s) and would have none; leave it to KEDA and take over "+
		"custom alone (--apis custom); ScaledObjects read forecasts through a trigger of type external, see docs/KEDA.md",
		a.name, len(scaled.Items), strings.Join(names, ", "))
}

// switchAll writes the changes, and waits until the API server can use all of them.
func (r *run) switchAll(ctx context.Context, changes []change, undo bool) error {
	if !r.Yes {
		fmt.Fprintln(r.w, "nothing was changed; --yes does it")
		return nil
	}
	err := r.writeAll(ctx, changes)
	if err == nil {
		err = r.available(ctx, changes)
	}
	if err != nil && undo {
		return errors.Join(err, r.undo(context.WithoutCancel(ctx), changes))
	}
	if err == nil {
		fmt.Fprintln(r.w, "done: all of them are Available")
	}
	return err
}

// undo puts back what has been switched to Foresail. An APIService whose write has failed may have been written all the same.
func (r *run) undo(ctx context.Context, changes []change) error {
	var failed []error
	for _, was := range changes {
		now, err := r.dynamic.Resource(certs.APIServices()).Get(ctx, was.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && certs.ServiceOf(now) != r.service {
			continue
		}
		var c change
		if err == nil {
			c, err = back(change{name: was.name, old: now})
		}
		if err == nil {
			err = r.write(ctx, c)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("cannot undo %s, run foresail rollback --yes: %w", was.name, err))
		}
	}
	if len(failed) == 0 {
		fmt.Fprintln(r.w, "undone: the APIServices are as they were")
	}
	return errors.Join(failed...)
}

func (r *run) writeAll(ctx context.Context, changes []change) error {
	for _, c := range changes {
		if err := r.write(ctx, c); err != nil {
			return fmt.Errorf("cannot write the APIService %s: %w", c.name, err)
		}
	}
	return nil
}

// write makes, changes or deletes an APIService; the API server refuses it where somebody else has written since.
func (r *run) write(ctx context.Context, c change) (err error) {
	apis := r.dynamic.Resource(certs.APIServices())
	switch {
	case c.next == nil:
		version := c.old.GetResourceVersion()
		err = apis.Delete(ctx, c.name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &version}})
	case c.old == nil:
		_, err = apis.Create(ctx, c.next, metav1.CreateOptions{FieldManager: "foresail"})
	default:
		_, err = apis.Update(ctx, c.next, metav1.UpdateOptions{FieldManager: "foresail"})
	}
	return err
}

// available waits until the changed APIServices are.
func (r *run) available(ctx context.Context, changes []change) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	ticker := time.NewTicker(cmp.Or(r.poll, time.Second))
	defer ticker.Stop()
	problem := errors.New("it was not tried")
	for good := 0; ; {
		// Past the deadline it is the client that gives up, shortly before the context says so.
		if now := r.unavailable(ctx, changes); ctx.Err() == nil && time.Now().Before(deadline) {
			problem = now
		}
		if good++; problem != nil {
			good = 0
		}
		if good == looks {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not all was Available within %v: %w", r.Timeout, cmp.Or(problem, ctx.Err()))
		case <-ticker.C:
		}
	}
}

func (r *run) unavailable(ctx context.Context, changes []change) error {
	for _, c := range changes {
		if c.next == nil {
			continue
		}
		now, err := r.dynamic.Resource(certs.APIServices()).Get(ctx, c.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := notAvailable(now); err != nil {
			return err
		}
	}
	return nil
}

func notAvailable(api *unstructured.Unstructured) error {
	conditions, _, _ := unstructured.NestedSlice(api.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Available" {
			if c["status"] == "True" {
				return nil
			}
			return fmt.Errorf("%s: %v", api.GetName(), c["message"])
		}
	}
	return fmt.Errorf("%s has not been tried yet", api.GetName())
}
