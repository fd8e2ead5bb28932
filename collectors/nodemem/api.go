package nodemem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	metricsv1 "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/collectors/nodemem/page"
	"github.com/foresail/foresail/collectors/nodemem/room"
)

// api reads metrics.k8s.io, all nodes by one request.
type api struct {
	config *Config
	client *metricsv1.MetricsV1beta1Client
}

func newAPI(c *Config, cluster *rest.Config) (*api, error) {
	client, err := metricsv1.NewForConfig(cluster)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of metrics.k8s.io: %w", err)
	}
	return &api{c, client}, nil
}

func (a *api) close() {}

func (a *api) read(ctx context.Context, nodes []*room.Node) (map[string]reading, error) {
	list, err := a.client.NodeMetricses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, &collectors.Missing{What: "nodes of metrics.k8s.io", Reason: apiReason(err), Err: err}
	}
	out := make(map[string]reading, len(list.Items))
	var problems []error
	missing := func(node string, reason collectors.Reason, err error) {
		problems = append(problems, &collectors.Missing{What: "node " + node + " of metrics.k8s.io", Reason: reason, Err: err})
	}
	failed := make(map[string]bool)
	now := time.Now()
	for i := range list.Items {
		m := &list.Items[i]
		r := newReading(m.Timestamp.Time)
		r.workingSet = float64(m.Usage.Memory().Value())
		err := timely(r.at, now, a.config.Interval)
		if err == nil && !(r.workingSet > 0) {
			err = fmt.Errorf("%w: %v bytes are used", page.ErrBad, r.workingSet)
		}
		if err != nil {
			missing(m.Name, collectors.BadData, err)
			failed[m.Name] = true
			continue
		}
		out[m.Name] = r
	}
	for _, n := range nodes {
		if _, there := out[n.Name]; !there && !failed[n.Name] {
			missing(n.Name, collectors.NotFound, errors.New("it has no metrics"))
		}
	}
	return out, join(problems)
}

// apiReason tells what kind of failure an error of the API server is.
func apiReason(err error) collectors.Reason {
	status, isStatus := errors.AsType[*apierrors.StatusError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	_, isURL := errors.AsType[*url.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), isNet && netErr.Timeout():
		return collectors.Timeout
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return collectors.Denied
	case apierrors.IsNotFound(err):
		return collectors.NotFound
	case isNet, isURL, isStatus && status.Status().Code >= 500:
		return collectors.Unreachable
	}
	return collectors.BadData
}
