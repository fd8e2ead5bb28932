package object

import (
	"errors"
	"fmt"
	"math"
	"time"

	autoscaling "k8s.io/api/autoscaling/v2"

	"github.com/foresail/foresail/forecast/policy"
	"github.com/foresail/foresail/forecast/replay"
)

// Behavior is what an autoscaler's behavior comes to, with the API server's defaults where it is silent. The error is what the API server
// would refuse.
func Behavior(b *autoscaling.HorizontalPodAutoscalerBehavior) (*replay.Behavior, error) {
	behavior := replay.DefaultBehavior()
	if err := errors.Join(overlay(&behavior.Up, b.ScaleUp), overlay(&behavior.Down, b.ScaleDown)); err != nil {
		return nil, err
	}
	return &behavior, nil
}

// overlay puts what an HPA says over the defaults.
func overlay(r *replay.Rules, from *autoscaling.HPAScalingRules) error {
	if from == nil {
		return nil
	}
	if w := from.StabilizationWindowSeconds; w != nil {
		if *w < 0 || *w > 3600 {
			return fmt.Errorf("stabilizationWindowSeconds is %d: it is 0 to 3600", *w)
		}
		r.Stabilization = time.Duration(*w) * time.Second
	}
	if from.SelectPolicy != nil {
		how, ok := map[autoscaling.ScalingPolicySelect]replay.Select{
			autoscaling.MaxChangePolicySelect: replay.SelectMax, autoscaling.MinChangePolicySelect: replay.SelectMin, autoscaling.DisabledPolicySelect: replay.SelectDisabled,
		}[*from.SelectPolicy]
		if !ok {
			return fmt.Errorf("selectPolicy is %q: it is Max, Min or Disabled", *from.SelectPolicy)
		}
		r.Select = how
	}
	r.Tolerance = math.NaN()
	if from.Tolerance != nil {
		r.Tolerance = from.Tolerance.AsApproximateFloat64()
	}
	if from.Policies == nil {
		return nil
	}
	if len(from.Policies) == 0 {
		return errors.New("policies is empty: write one, or leave the field out for the defaults")
	}
	r.Policies = nil
	for _, p := range from.Policies {
		period := time.Duration(p.PeriodSeconds) * time.Second
		if p.Value <= 0 || period < policy.LeastPeriod || period > policy.MostPeriod {
			return fmt.Errorf("a policy of %d in %d seconds: the value is above 0 and the period 1 to 1800", p.Value, p.PeriodSeconds)
		}
		r.Policies = append(r.Policies, replay.Policy{Percent: p.Type == autoscaling.PercentScalingPolicy, Value: p.Value, Period: period})
	}
	return nil
}
