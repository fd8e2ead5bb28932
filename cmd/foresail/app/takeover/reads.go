package takeover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/foresail/foresail/adapter/kube"
	"github.com/foresail/foresail/cmd/foresail/app/autoscalers"
	"github.com/foresail/foresail/cmd/foresail/app/inspect"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

// read is a metric as one autoscaler reads it.
type read struct {
	namespace, hpa          string
	api, resource           string // resource is that of custom metrics, as in deployments.apps
	metric, selector, whole string
	// alive tells that the autoscaler has what it reads now.
	alive bool
}

// readsOf returns the reads of custom and external metrics.
func readsOf(hpa *autoscalingv2.HorizontalPodAutoscaler, known meta.RESTMapper) ([]read, error) {
	alive := slices.ContainsFunc(hpa.Status.Conditions, func(c autoscalingv2.HorizontalPodAutoscalerCondition) bool {
		return c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionTrue
	})
	asked, err := autoscalers.Reads(hpa, known)
	if err != nil {
		return nil, err
	}
	var reads []read
	for _, a := range asked {
		r := read{namespace: hpa.Namespace, hpa: hpa.Name, api: "custom", resource: a.Resource, metric: a.Metric, selector: a.Selector, alive: alive}
		if r.resource == "" {
			r.api = "external"
		}
		r.whole = r.api + " metric " + r.metric
		if r.resource != "" {
			r.whole += " of " + r.resource
		}
		reads = append(reads, r)
	}
	return reads, nil
}

// check asks Foresail for every metric that autoscalers read through what changes, and refuses where one is not served.
func (r *run) check(ctx context.Context, changes []change) error {
	reads, err := r.reads(ctx, changes)
	if err != nil || len(reads) == 0 {
		return err
	}
	client, address, err := r.webPort(ctx)
	if err != nil {
		return err
	}
	base, err := inspect.WebPort("--url", address)
	if err != nil {
		return mistake.Error{Err: err}
	}
	missing := 0
	for _, read := range reads {
		ways, err := inspect.Ask(ctx, client, base, read.metric, read.namespace, read.selector)
		if err != nil && !errors.Is(err, inspect.ErrUnserved) && !errors.Is(err, inspect.ErrRead) {
			return fmt.Errorf("cannot tell whether Foresail serves what autoscalers read: %w", err)
		}
		problem, fatal := read.judge(ways, err)
		if problem != "" {
			fmt.Fprintf(r.w, "%s/%s: %s: %s\n", read.namespace, read.hpa, read.whole, problem)
		}
		if fatal {
			missing++
		}
	}
	fmt.Fprintf(r.w, "autoscalers read %d metrics through this, of which Foresail does not serve %d\n", len(reads), missing)
	if missing > 0 && !r.Force {
		return errors.New("cannot take over: autoscalers would lose metrics, and hold their size; serve them first (--force takes over all the same)")
	}
	return nil
}

// judge says what is wrong with Foresail's answer to a read, and whether the autoscaler would lose a value.
func (r read) judge(ways []inspect.Way, err error) (problem string, fatal bool) {
	if err != nil {
		return "not served: " + err.Error(), true
	}
	for _, w := range ways {
		if w.API != r.api || w.Resource != r.resource {
			continue
		}
		if w.Refused != "" {
			return "not served: " + w.Refused, true
		}
		if why, unknown := strings.CutPrefix(w.Value, inspect.Unknown); unknown {
			if r.alive {
				return "no value, and the autoscaler has one now: " + why, true
			}
			return "no value now, as before: " + why, false
		}
		return "", false
	}
	return "not served: Foresail has a metric of that name, but not of this kind", true
}

// reads lists what autoscalers read through the APIs that change, each read once.
func (r *run) reads(ctx context.Context, changes []change) ([]read, error) {
	list, err := r.client.AutoscalingV2().HorizontalPodAutoscalers(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the autoscalers: %w", err)
	}
	known := kube.NewStaticMapper()
	var all []read
	for i := range list.Items {
		reads, err := readsOf(&list.Items[i], known)
		if err != nil {
			return nil, err
		}
		for _, read := range reads {
			if slices.ContainsFunc(changes, func(c change) bool { return strings.HasSuffix(c.name, "."+read.api+".metrics.k8s.io") }) {
				all = append(all, read)
			}
		}
	}
	return all, nil
}

// httpPort is the port named http of a pod that is Ready, and otherwise 0.
func httpPort(pod *corev1.Pod) int32 {
	ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if ready && p.Name == "http" {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// webPort is where Foresail is asked what it serves: the URL, or a pod of the Service, through the API server.
func (r *run) webPort(ctx context.Context) (*http.Client, string, error) {
	if r.URL != "" {
		return &http.Client{Timeout: r.config.Timeout}, r.URL, nil
	}
	service, err := r.client.CoreV1().Services(r.service.Namespace).Get(ctx, r.service.Name, metav1.GetOptions{})
	if err != nil {
		return nil, "", fmt.Errorf("cannot read the Service %s: %w", r.service, err)
	}
	pods, err := r.client.CoreV1().Pods(r.service.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: service.Spec.Selector})})
	if err != nil {
		return nil, "", fmt.Errorf("cannot list the pods of the Service %s: %w", r.service, err)
	}
	for i := range pods.Items {
		if port := httpPort(&pods.Items[i]); port != 0 && len(service.Spec.Selector) > 0 {
			client, err := rest.HTTPClientFor(r.config)
			base, _, urlErr := rest.DefaultServerUrlFor(r.config)
			if err := errors.Join(err, urlErr); err != nil {
				return nil, "", mistake.Error{Err: fmt.Errorf("cannot use the kubeconfig: %w", err)}
			}
			pod := fmt.Sprintf("http:%s:%d", pods.Items[i].Name, port)
			return client, base.JoinPath("api/v1/namespaces", r.service.Namespace, "pods", pod, "proxy").String(), nil
		}
	}
	return nil, "", mistake.Error{Err: fmt.Errorf("no Ready pod of the Service %s has a port named http to be asked what it serves: forward one to here and name it with "+
		"--url, as in --url http://localhost:8080", r.service)}
}
