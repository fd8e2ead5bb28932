package legacy

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// cluster has some of Kubernetes' own resources and two of other projects.
func cluster() RESTMapper {
	var all meta.MultiRESTMapper
	groups := []string{""}
	add := func(gv schema.GroupVersion, scope meta.RESTScope, kinds ...string) {
		m := meta.NewDefaultRESTMapper([]schema.GroupVersion{gv})
		for _, kind := range kinds {
			m.Add(gv.WithKind(kind), scope)
		}
		all = append(all, m)
		groups = append(groups, gv.Group)
	}
	add(schema.GroupVersion{Version: "v1"}, meta.RESTScopeNamespace, "Pod", "Service")
	add(schema.GroupVersion{Version: "v1"}, meta.RESTScopeRoot, "Namespace", "Node", "PersistentVolume")
	add(schema.GroupVersion{Group: "apps", Version: "v1"}, meta.RESTScopeNamespace, "Deployment", "StatefulSet")
	add(schema.GroupVersion{Group: "batch", Version: "v1"}, meta.RESTScopeNamespace, "Job")
	add(schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}, meta.RESTScopeNamespace, "Ingress")
	add(schema.GroupVersion{Group: "networking.k8s.io", Version: "v1"}, meta.RESTScopeRoot, "IngressClass")
	add(schema.GroupVersion{Group: "cert-manager.io", Version: "v1"}, meta.RESTScopeRoot, "ClusterIssuer")
	return RESTMapper{Mapper: all, GroupNames: func() []string { return groups }}
}

func selector(t testing.TB, text string) labels.Selector {
	t.Helper()
	s, err := labels.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
