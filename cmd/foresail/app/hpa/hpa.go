// Package hpa is the foresail hpa command: a policy and what a pod carries in, an autoscaler as YAML out, for pods that start as slowly as those
// of the Deployment do.
package hpa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	autoscaling "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/cmd/foresail/app/hpa/object"
	"github.com/foresail/foresail/cmd/foresail/app/lint"
	"github.com/foresail/foresail/cmd/foresail/app/mistake"
	"github.com/foresail/foresail/forecast/policy"
)

// Options say what autoscaler is written. The fields are the command's flags.
type Options struct {
	Metric, Policy, Deployment, Namespace string
	Capacity, Target, Quantile            float64
	Min, Max                              int32
	Lead, StartDelay, NodeDelay, Every    time.Duration
	MaxUp, MaxDown                        string
	// Config is the file that serves the metric, Custom are resources that Kubernetes does not have, and Object names what an Object metric is of.
	Config, Object string
	Custom         []schema.GroupResource
	// Kubeconfig and Context say where start-ups are measured; both "" is nowhere.
	Kubeconfig, Context string
	// Given has the text of each flag that was given, by its name.
	Given map[string]string
}

// Describe says of each policy in a line what it is.
func Describe() string {
	var b strings.Builder
	for _, p := range policy.All() {
		lead, _ := p.Lead(3 * time.Minute)
		fmt.Fprintf(&b, "  %s: for %s. P%g within %s for pods that start in 3m, target %g %%.\n", p.Name, p.For, 100*p.Quantile, model.Duration(lead), 100*p.Target)
	}
	return b.String()
}

// Names are those of all policies, for a sentence.
func Names() string { return strings.Join(policy.Names(), ", ") }

// Write returns the autoscaler as YAML, and notes for whoever ordered it. The errors are mistake.Error, and those of a cluster that does not answer.
func Write(ctx context.Context, o Options) (text, notes []byte, err error) {
	w := writer{Options: o, object: object.Options{
		Metric: o.Metric, Deployment: o.Deployment, Namespace: o.Namespace, Capacity: o.Capacity, Min: o.Min, Max: o.Max,
	}}
	if text, err = w.write(ctx); err != nil {
		return nil, nil, err
	}
	return text, w.notes.Bytes(), nil
}

// writer is an autoscaler being written.
type writer struct {
	Options
	object   object.Options
	config   []byte // the text of Config; nil without one
	notes    bytes.Buffer
	comments []string
}

// write returns the autoscaler as text. All mistakes are the caller's, but for those of a cluster that does not answer.
func (w *writer) write(ctx context.Context) ([]byte, error) {
	if err := w.choose(); err != nil {
		return nil, mistake.Error{Err: err}
	}
	if err := w.served(); err != nil {
		return nil, mistake.Error{Err: err}
	}
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	if err := w.ahead(); err != nil {
		return nil, mistake.Error{Err: err}
	}
	written, err := object.New(w.object)
	if err != nil {
		return nil, mistake.Error{Err: err}
	}
	text, err := object.YAML(written, w.comments)
	if err != nil {
		return nil, err
	}
	if err := w.judge(text); err != nil {
		return nil, mistake.Error{Err: err}
	}
	return text, nil
}

// choose takes the policy and what is to be different about it.
func (w *writer) choose() (err error) {
	for _, required := range []struct{ flag, value string }{{"metric", w.Metric}, {"policy", w.Policy}, {"deployment", w.Deployment}} {
		if required.value == "" {
			return fmt.Errorf("--%s is missing; see foresail hpa --help", required.flag)
		}
	}
	if w.object.Policy, err = policy.Find(w.Policy); err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	up, err := share("max-up", w.MaxUp, 1000)
	if err != nil {
		return err
	}
	down, err := share("max-down", w.MaxDown, 100)
	if err != nil {
		return err
	}
	switch {
	case w.set("every") && (w.Every < policy.LeastPeriod || w.Every > policy.MostPeriod || w.Every%time.Second != 0):
		return fmt.Errorf("--every is %v: whole seconds, from %v to %v, are what Kubernetes takes", w.Every, policy.LeastPeriod, policy.MostPeriod)
	case w.set("target") && !(w.Target > 0 && w.Target <= 2):
		return fmt.Errorf("--target is %g: say which share of the capacity to aim at, such as 0.8", w.Target)
	case w.set("quantile") && !(w.Quantile > 0 && w.Quantile < 1):
		return fmt.Errorf("--quantile is %g: it is between 0 and 1, as in 0.9", w.Quantile)
	case w.set("lead") && w.Lead <= 0:
		return fmt.Errorf("--lead is %v: a forecast looks ahead by more than 0", w.Lead)
	case w.StartDelay < 0 || w.NodeDelay < 0:
		return errors.New("--start-delay and --node-delay cannot be negative")
	case w.set("max") && w.Max < 1:
		return fmt.Errorf("--max is %d: at least 1", w.Max)
	}
	w.object.Policy.Limit(up, down, w.Every)
	if w.set("target") {
		w.object.Policy.Target = w.Target
	}
	if w.set("quantile") {
		w.object.Policy.Quantile = w.Quantile
	}
	if w.object.Max == 0 {
		w.object.Max = 10 * w.Min
	}
	return nil
}

// share reads 50% or 50; 0 where it is not given.
func share(flag, text string, most int) (int32, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("--%s is %q: write whole percent, from 1%% to %d%%", flag, text, most)
	}
	return int32(n), nil //nolint:gosec // At most 1000.
}

// served looks up how the config serves the metric.
func (w *writer) served() (err error) {
	w.object.Type = autoscaling.ExternalMetricSourceType
	if w.Config == "" {
		fmt.Fprintf(&w.notes, "foresail: without --config, %s is taken for an External metric with a forecast\n", w.Metric)
		return nil
	}
	if w.config, err = os.ReadFile(w.Config); err != nil {
		return fmt.Errorf("cannot read config file: %w", err)
	}
	ways, err := lint.Ways(lint.Options{Name: w.Config, Data: w.config, Custom: w.Custom}, w.Metric)
	switch {
	case err != nil:
		return err
	case len(ways) == 0:
		return fmt.Errorf("%s serves no metric %s: foresail compat --config %s lists what it serves", w.Config, w.Metric, w.Config)
	}
	way := ways[0]
	if way.Forecast == nil {
		return fmt.Errorf("%s has no forecast: add forecast: {} to %s of %s", w.Metric, way.Rule, w.Config)
	}
	if way.Mean && way.Type != autoscaling.PodsMetricSourceType {
		return fmt.Errorf("%s is an average, a quantile or a ratio (%s of %s), which no number of pods divides: policies are for a load, such as a sum", w.Metric, way.Rule, w.Config)
	}
	w.object.Type, w.object.Described = way.Type, way.Described
	if w.object.Described.Name = w.Object; w.Object == "" {
		w.object.Described.Name = w.Deployment
	}
	if w.object.Type == autoscaling.ObjectMetricSourceType && w.Object == "" && w.object.Described.Kind != "Deployment" {
		return fmt.Errorf("%s is told of objects of the kind %s (%s of %s): name one with --object", w.Metric, w.object.Described.Kind, way.Rule, w.Config)
	}
	return nil
}

// ahead works out the lead.
func (w *writer) ahead() error {
	lead, ok := w.object.Policy.Lead(w.object.StartUp)
	switch {
	case w.set("lead"):
		lead = w.Lead
	case !ok:
		return fmt.Errorf("by steps of %s each %v the number of pods does not double within an hour, which no forecast makes up for: raise --max-up, or name the lead with --lead",
			w.MaxUp, w.object.Policy.Behavior.Up.Policies[0].Period)
	}
	w.object.Lead = lead
	why := w.object.Policy.Why
	if changed := w.changed(); changed != "" {
		why = "But for what was chosen by hand: " + changed + "."
	}
	w.comments = append([]string{
		fmt.Sprintf("Policy %s: for %s.", w.object.Policy.Name, w.object.Policy.For), why,
		fmt.Sprintf("It looks %s ahead, for pods that are Ready after %s.", model.Duration(w.object.Lead), model.Duration(w.object.StartUp)),
	}, w.comments...)
	return nil
}

func (w *writer) set(flag string) bool {
	_, given := w.Given[flag]
	return given
}

// changed are the flags that stand in place of the policy's choices.
func (w *writer) changed() string {
	var given []string
	for _, name := range []string{"quantile", "target", "lead", "max-up", "max-down", "every"} {
		if text, ok := w.Given[name]; ok {
			given = append(given, "--"+name+" "+text)
		}
	}
	return strings.Join(given, ", ")
}

// judge has foresail lint look at the autoscaler before anybody gets it.
func (w *writer) judge(text []byte) (err error) {
	const name = "the autoscaler"
	o := lint.Options{Name: w.Config, Data: w.config, Manifests: []lint.Manifest{{Name: name, Data: text}}, StartUp: w.object.StartUp, Custom: w.Custom}
	if w.set("capacity") {
		o.Capacity = w.Capacity
	}
	findings, _ := lint.Judge(o)
	for _, found := range findings {
		switch {
		case found.File != name:
		case found.Severity == lint.Error:
			err = errors.Join(err, errors.New(found.Text))
		default:
			fmt.Fprintf(&w.notes, "foresail: %s: %s\n", found.Severity, found.Text)
		}
	}
	return err
}
