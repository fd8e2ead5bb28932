package rules

import (
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// api sets through which API and by which labels the metric is served.
func (c *check) api(m *Metric, r *Rule) {
	given := 0
	for _, set := range []bool{m.External != nil, m.Pods != nil, m.Object != nil} {
		if set {
			given++
		}
	}
	switch {
	case given == 0:
		c.fail("", "nothing says where to serve it: add external: {}, pods: {} or object: {resource: ...}")
	case given > 1:
		c.fail("", "more than one of external, pods and object: keep one, and write another metric for the other")
	case m.External != nil:
		r.NamespaceLabel = m.External.NamespaceLabel
		c.expect(m.External, r)
	case m.Pods != nil:
		r.Resource = schema.GroupResource{Resource: "pods"}
		r.NameLabel, r.NamespaceLabel = m.Pods.PodLabel, m.Pods.NamespaceLabel
	default:
		c.object(m.Object, r)
	}
}

var resourcePattern = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// groups are the API groups that people forget most.
var groups = map[string]string{
	"deployments": "apps", "statefulsets": "apps", "daemonsets": "apps", "replicasets": "apps",
	"jobs": "batch", "cronjobs": "batch", "ingresses": "networking.k8s.io",
}

// clusterScoped are the resources without a namespace that carry metrics, the three that prometheus-adapter knows.
var clusterScoped = []string{"namespaces", "nodes", "persistentvolumes"}

func (c *check) object(o *Object, r *Rule) {
	resource := schema.ParseGroupResource(o.Resource)
	switch {
	case o.Resource == "":
		c.fail("object.resource", "missing: name the resource in the plural with its group, as in deployments.apps")
	case !resourcePattern.MatchString(o.Resource):
		c.fail("object.resource", "%q is not a resource: write it in lower case and in the plural with its group, as in deployments.apps", o.Resource)
	case resource.Group == "" && resource.Resource == "pods":
		c.fail("object.resource", "pods are served by pods: {}: write that in place of object")
	case resource.Group == "" && groups[resource.Resource] != "":
		c.fail("object.resource", "%s has no group: write %s.%s", resource.Resource, resource.Resource, groups[resource.Resource])
	}
	r.Resource = resource
	r.NameLabel, r.NamespaceLabel = o.NameLabel, o.NamespaceLabel
	set(&r.NameLabel, singular(resource.Resource))
	namespaced := resource.Group != "" || !slices.Contains(clusterScoped, resource.Resource)
	if o.Namespaced != nil {
		namespaced = *o.Namespaced
	}
	switch {
	case namespaced:
		set(&r.NamespaceLabel, "namespace")
	case o.NamespaceLabel != "":
		c.fail("object.namespaceLabel", "%s are in no namespace: remove it", resource)
	}
}

// singular returns the singular of a resource's name by the rules of English: only the cluster knows the true one, but
// label names follow English too.
func singular(plural string) string {
	stem, plain := strings.CutSuffix(plural, "s")
	if base, ok := strings.CutSuffix(plural, "ies"); ok {
		return base + "y"
	}
	for _, ending := range []string{"sses", "xes", "ches", "shes"} {
		if strings.HasSuffix(plural, ending) {
			return strings.TrimSuffix(plural, "es")
		}
	}
	if plain {
		return stem
	}
	return plural
}
