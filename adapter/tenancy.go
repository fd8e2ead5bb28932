package adapter

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Asker returns the namespace that a read by name is made from, "" for none: whoever may read a Namespace's metrics may
// read those of its objects.
func Asker(name types.NamespacedName, resource schema.GroupResource) string {
	if name.Namespace == "" && resource == (schema.GroupResource{Resource: "namespaces"}) {
		return name.Name
	}
	return name.Namespace
}

// Admit returns nil where one of the patterns, as of path.Match, matches the namespace, or there are none. Otherwise it
// is the API error of a read of the metric from there. The rule is its place in the config, "" where the metric says it.
func Admit(patterns []string, namespace, metric, rule string) error {
	matches := func(pattern string) bool {
		ok, err := path.Match(pattern, namespace)
		return ok && err == nil && namespace != ""
	}
	if patterns == nil || slices.ContainsFunc(patterns, matches) {
		return nil
	}
	return Forbidden(metric, rule, "may not be read from %s, only from %s", describeAsker(namespace), strings.Join(patterns, ", "))
}

func describeAsker(namespace string) string {
	if namespace == "" {
		return "no namespace"
	}
	return fmt.Sprintf("namespace %q", namespace)
}

// Forbidden is the API error of a read of a metric that is refused whatever its value is.
func Forbidden(metric, rule, format string, args ...any) error {
	what := fmt.Sprintf("metric %q", metric)
	if rule != "" {
		what += " (" + rule + ")"
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden,
		Message: what + " " + fmt.Sprintf(format, args...),
	}}
}
