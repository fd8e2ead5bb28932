package hpa

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"

	"github.com/foresail/foresail/cmd/foresail/app/kubeconfig"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
)

// start says how long pods take to start: as it is declared, or as the Deployment's own pods did.
func (w *writer) start(ctx context.Context) error {
	declared := w.set("start-delay") || w.set("node-delay")
	if w.Kubeconfig == "" && w.Context == "" {
		w.object.StartUp = w.StartDelay + w.NodeDelay
		if !declared && !w.set("lead") {
			fmt.Fprintf(&w.notes, "foresail: without --start-delay or --kubeconfig, pods are taken to be Ready after %v\n", model.Duration(w.StartDelay))
		}
		return nil
	}
	if declared {
		return mistake.Error{Err: errors.New("--start-delay and --node-delay are measured with --kubeconfig or --context: keep one")}
	}
	config, namespace, err := kubeconfig.Load(w.Kubeconfig, w.Context)
	if err != nil {
		return mistake.Error{Err: err}
	}
	if w.Namespace != "" {
		namespace = w.Namespace
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return mistake.Error{Err: fmt.Errorf("cannot use the kubeconfig: %w", err)}
	}
	s, err := Measure(ctx, client, namespace, w.Deployment)
	if err != nil {
		err = fmt.Errorf("%w; name the time with --start-delay", err)
		if errors.Is(err, ErrNoPods) {
			return mistake.Error{Err: err}
		}
		return err
	}
	w.object.StartUp = s.Total()
	w.told(s)
	return nil
}

// told says what was measured, on which pods, and what of it to believe.
func (w *writer) told(s *StartUp) {
	text := fmt.Sprintf("Measured on %d pods: the P95 from creation to Ready is %s", len(s.Pods), model.Duration(s.Ready))
	if s.Node > 0 {
		text = fmt.Sprintf("Measured on %d pods: the P95 from a node to Ready is %s, of the wait for a node %s", len(s.Pods), model.Duration(s.Ready), model.Duration(s.Node))
	}
	w.comments = append(w.comments, text+".")
	if s.Few() {
		few := fmt.Sprintf("That is merely the slowest: %d pods are too few for a P95, which takes 20.", len(s.Pods))
		w.comments = append(w.comments, few)
		text += ". " + strings.TrimSuffix(few, ".")
	}
	fmt.Fprintf(&w.notes, "foresail: %s\n", text)
	for _, p := range s.Pods {
		fmt.Fprintf(&w.notes, "foresail:   %s: %s to a node, %s from there to Ready\n", p.Name, model.Duration(p.Wait), model.Duration(p.Rest))
	}
	for _, left := range s.LeftOut {
		fmt.Fprintf(&w.notes, "foresail:   left out: %s\n", left)
	}
}
