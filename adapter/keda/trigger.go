package keda

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/apimachinery/pkg/labels"
)

// trigger is what a ScaledObject says of one external trigger.
type trigger struct {
	namespace  string
	metric     string
	selector   labels.Selector
	target     float64 // above 0
	activation float64 // at least 0; the workload leaves zero above it
}

// The keys of a trigger's metadata that are ours, and those that KEDA passes on though it has read them itself.
const (
	metricKey     = "metricName"
	selectorKey   = "selector"
	targetKey     = "targetValue"
	activationKey = "activationTargetValue"
)

func isOfKEDA(key string) bool {
	return slices.Contains([]string{"scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsCertFile", "tlsClientCert", "tlsClientKey"}, key) ||
		strings.HasSuffix(key, "FromEnv")
}

// read says what a ScaledObject's trigger asks for. A key that is not known is refused: passed over, a selector with a slip of
// the pen would choose everything.
func read(o *scaledObject) (*trigger, error) {
	t := &trigger{namespace: o.namespace, metric: o.metadata[metricKey]}
	bad := func(format string, args ...any) error {
		return status.Errorf(codes.InvalidArgument, "cannot use the trigger of ScaledObject %s/%s: %s", o.namespace, o.name, fmt.Sprintf(format, args...))
	}
	for key := range o.metadata {
		if !slices.Contains([]string{metricKey, selectorKey, targetKey, activationKey}, key) && !isOfKEDA(key) {
			return nil, bad("unknown key %q: known are %s, %s, %s and %s", key, metricKey, selectorKey, targetKey, activationKey)
		}
	}
	if t.metric == "" {
		return nil, bad("%s is missing: name an external metric", metricKey)
	}
	var err error
	if t.selector, err = labels.Parse(o.metadata[selectorKey]); err != nil {
		return nil, bad("%s: %v", selectorKey, err)
	}
	if t.target, err = strconv.ParseFloat(o.metadata[targetKey], 64); err != nil || !(t.target > 0) || math.IsInf(t.target, 0) {
		return nil, bad("%s is %q: give a number above 0", targetKey, o.metadata[targetKey])
	}
	if text, given := o.metadata[activationKey]; given {
		if t.activation, err = strconv.ParseFloat(text, 64); err != nil || !(t.activation >= 0) || math.IsInf(t.activation, 0) {
			return nil, bad("%s is %q: give a number, at least 0", activationKey, text)
		}
	}
	return t, nil
}
