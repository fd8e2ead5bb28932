package hpa

import (
	"math/rand/v2"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scenario is what forecast/replay reads: an HPA, and what it saw and did at each sync.
type scenario struct {
	Min           int32     `json:"min"`
	Max           int32     `json:"max"`
	Stabilization int64     `json:"stabilizationSeconds"`
	Tolerance     float64   `json:"tolerance"`
	Metrics       []metric  `json:"metrics"`
	Behavior      *behavior `json:"behavior,omitempty"`
	Syncs         []moment  `json:"syncs"`
}

type metric struct {
	Type   string `json:"type"` // AverageValue, Value or Pods.
	Target int64  `json:"target"`
}

type behavior struct {
	Up   rules `json:"up"`
	Down rules `json:"down"`
}

type rules struct {
	Stabilization int32    `json:"stabilizationSeconds"`
	Select        string   `json:"select"`
	Policies      []policy `json:"policies"`
	Tolerance     *float64 `json:"tolerance,omitempty"`
}

type policy struct {
	Type   string `json:"type"` // Pods or Percent.
	Value  int32  `json:"value"`
	Period int32  `json:"periodSeconds"`
}

// moment is one sync. Readings are one of each metric: nothing for an error, the total, or value and count of pods.
type moment struct {
	At       int64     `json:"ms"`
	Spec     int32     `json:"spec"`
	Status   int32     `json:"status"`
	Ready    int32     `json:"ready"`
	Pending  int32     `json:"pending,omitempty"`
	Silent   int32     `json:"silent,omitempty"`
	Counted  int32     `json:"counted,omitempty"` // Running pods with a value.
	Readings [][]int64 `json:"readings"`
	Want     int32     `json:"want"` // What the controller set, or left.
}

// dice makes scenarios: everything an HPA without resource metrics can say, with numbers small enough to meet.
type dice struct{ *rand.Rand }

func (d dice) one(n int) bool { return d.IntN(n) == 0 }

func (d dice) scenario() *scenario {
	s := &scenario{Stabilization: []int64{300, 60, 0, 15}[d.IntN(4)], Tolerance: []float64{.1, .1, 0, .25}[d.IntN(4)], Min: 1 + d.Int32N(3)}
	s.Max = s.Min + 1 + d.Int32N(60)
	total := false
	for range 1 + d.IntN(3) {
		m := metric{Type: []string{"AverageValue", "AverageValue", "Value", "Pods"}[d.IntN(4)], Target: 1 + d.Int64N(20000)}
		total = total || m.Type != "Pods"
		s.Metrics = append(s.Metrics, m)
	}
	if total && d.one(4) {
		s.Min = 0
	}
	if !d.one(3) {
		s.Behavior = &behavior{Up: d.rules(0), Down: d.rules(300)}
	}
	return s
}

func (d dice) rules(usual int32) rules {
	r := rules{Stabilization: usual, Select: []string{"Max", "Max", "Min", "Disabled"}[d.IntN(4)]}
	if d.one(2) {
		r.Stabilization = []int32{0, 15, 30, 45, 60, 120}[d.IntN(6)]
	}
	if d.one(3) {
		v := float64(d.IntN(300)) / 1000
		r.Tolerance = &v
	}
	for range 1 + d.IntN(3) {
		p := policy{Type: "Pods", Value: 1 + d.Int32N(8), Period: []int32{15, 20, 30, 60, 90}[d.IntN(5)]}
		if d.one(2) {
			p.Type, p.Value = "Percent", 1+d.Int32N(150)
		}
		r.Policies = append(r.Policies, p)
	}
	return r
}

// next says what the controller is going to see: a load that wanders and jumps, pods that come late, errors now and then,
// and now and then a person who scales by hand.
func (d dice) next(s *scenario, load *float64) moment {
	spec := s.Min + d.Int32N(s.Max-s.Min+1)
	if n := len(s.Syncs); n > 0 {
		spec = s.Syncs[n-1].Want
	}
	switch {
	case d.one(60):
		spec = d.Int32N(s.Max + 4)
	case d.one(8):
		*load *= .2 + 2.5*d.Float64()
	default:
		*load *= .95 + .1*d.Float64()
	}
	*load = min(max(*load, .05), 1.5*float64(s.Max))
	if d.one(30) {
		*load = 0
	}
	m := moment{Spec: spec, Status: spec, Counted: spec}
	if d.one(5) {
		m.Status = max(0, spec+d.Int32N(5)-2)
	}
	if d.one(3) {
		m.Pending = d.Int32N(spec + 1)
	}
	m.Counted -= m.Pending
	if d.one(4) {
		m.Silent = d.Int32N(m.Counted + 1)
	}
	m.Counted -= m.Silent
	m.Ready = d.Int32N(m.Counted + m.Silent + 1)
	if !d.one(4) {
		m.Ready = m.Counted + m.Silent
	}
	for _, metric := range s.Metrics {
		want := *load * (.8 + .4*d.Float64()) // In pods.
		switch {
		case d.one(15):
			m.Readings = append(m.Readings, nil)
		case metric.Type == "AverageValue":
			m.Readings = append(m.Readings, []int64{int64(want * float64(metric.Target))})
		case metric.Type == "Value":
			m.Readings = append(m.Readings, []int64{int64(want / float64(max(spec, 1)) * float64(metric.Target))})
		default:
			m.Readings = append(m.Readings, []int64{int64(want / float64(max(spec, 1)) * float64(metric.Target)), int64(m.Counted)})
		}
	}
	return m
}

func (s *scenario) object() *autoscalingv2.HorizontalPodAutoscaler {
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"}}
	hpa.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		MinReplicas: &s.Min, MaxReplicas: s.Max,
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
	}
	for i, m := range s.Metrics {
		name := string(rune('a' + i))
		target := autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewMilliQuantity(m.Target, resource.DecimalSI)}
		spec := autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType}
		switch m.Type {
		case "Value":
			target = autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: resource.NewMilliQuantity(m.Target, resource.DecimalSI)}
			fallthrough
		case "AverageValue":
			spec.External = &autoscalingv2.ExternalMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: name}, Target: target}
		default:
			spec.Type = autoscalingv2.PodsMetricSourceType
			spec.Pods = &autoscalingv2.PodsMetricSource{Metric: autoscalingv2.MetricIdentifier{Name: name}, Target: target}
		}
		hpa.Spec.Metrics = append(hpa.Spec.Metrics, spec)
	}
	if b := s.Behavior; b != nil {
		hpa.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: b.Up.object(), ScaleDown: b.Down.object()}
	}
	return hpa
}

func (r *rules) object() *autoscalingv2.HPAScalingRules {
	how := autoscalingv2.ScalingPolicySelect(r.Select)
	out := &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &r.Stabilization, SelectPolicy: &how}
	if r.Tolerance != nil {
		out.Tolerance = resource.NewMilliQuantity(int64(*r.Tolerance*1000+.5), resource.DecimalSI)
	}
	for _, p := range r.Policies {
		out.Policies = append(out.Policies, autoscalingv2.HPAScalingPolicy{Type: autoscalingv2.HPAScalingPolicyType(p.Type), Value: p.Value, PeriodSeconds: p.Period})
	}
	return out
}

// pods are those of a moment; how names them and says which have a value.
func (m *moment) pods(how func(i int32, p *v1.Pod)) {
	for i := range m.Pending + m.Counted + m.Silent {
		p := &v1.Pod{}
		p.Namespace, p.Labels = "shop", map[string]string{"app": "web"}
		p.Status.Phase = v1.PodRunning
		p.Status.StartTime = &metav1.Time{Time: time.Now().Add(-time.Hour)}
		if i >= m.Counted+m.Silent {
			p.Status.Phase = v1.PodPending
		} else if i < m.Ready {
			p.Status.Conditions = []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}
		}
		how(i, p)
	}
}
