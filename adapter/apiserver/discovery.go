package apiserver

import (
	"fmt"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	genericapiserver "k8s.io/apiserver/pkg/server"
	custom1 "k8s.io/metrics/pkg/apis/custom_metrics/v1beta1"
	custom2 "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	external1 "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

// completeDiscovery repairs what custom-metrics-apiserver leaves out. Its group document knows the first version
// only. And it never fills the aggregated document, which the cluster's aggregator asks for: a group that the document
// leaves out has no resources to modern clients.
func completeDiscovery(server *genericapiserver.GenericAPIServer, p provider.MetricsProvider) error {
	for _, versions := range groups {
		if err := addGroup(server, versions); err != nil {
			return err
		}
	}
	return listMetrics(server, p)
}

// groups are the versions of the groups, of which the first is preferred.
var groups = [][]schema.GroupVersion{
	{custom2.SchemeGroupVersion, custom1.SchemeGroupVersion},
	{external1.SchemeGroupVersion},
}

// listMetrics writes the aggregated document of what the provider serves now; all other documents follow by themselves.
func listMetrics(server *genericapiserver.GenericAPIServer, p provider.MetricsProvider) error {
	lists := [][]metav1.APIResource{
		provider.NewCustomMetricResourceLister(p).ListAPIResources(), provider.NewExternalMetricResourceLister(p).ListAPIResources(),
	}
	for i, versions := range groups {
		for j, gv := range versions {
			resources, err := genericapi.ConvertGroupVersionIntoToDiscovery(lists[i])
			if err != nil {
				return fmt.Errorf("cannot list %s: %w", gv, err)
			}
			server.AggregatedDiscoveryGroupManager.AddGroupVersion(gv.Group, apidiscovery.APIVersionDiscovery{
				Version: gv.Version, Resources: withKind(resources, gv), Freshness: apidiscovery.DiscoveryFreshnessCurrent,
			})
			server.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(gv), 100, 100*(len(versions)-j))
		}
	}
	return nil
}

// addGroup writes the document of a group's versions.
func addGroup(server *genericapiserver.GenericAPIServer, versions []schema.GroupVersion) error {
	group := metav1.APIGroup{Name: versions[0].Group}
	for _, gv := range versions {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version})
	}
	group.PreferredVersion = group.Versions[0]
	server.DiscoveryGroupManager.AddGroup(group)

	container := server.Handler.GoRestfulContainer
	for _, ws := range container.RegisteredWebServices() {
		if ws.RootPath() == genericapiserver.APIGroupPrefix+"/"+group.Name {
			if err := container.Remove(ws); err != nil {
				return fmt.Errorf("cannot replace the document of %s: %w", group.Name, err)
			}
		}
	}
	container.Add(discovery.NewAPIGroupHandler(server.Serializer, group).WebService())
	return nil
}

// withKind adds the group and version to the kinds of answers, which the list leaves out because they are its own.
func withKind(resources []apidiscovery.APIResourceDiscovery, gv schema.GroupVersion) []apidiscovery.APIResourceDiscovery {
	fill := func(kind *metav1.GroupVersionKind) {
		if kind != nil && kind.Kind != "" && kind.Version == "" {
			kind.Group, kind.Version = gv.Group, gv.Version
		}
	}
	for i := range resources {
		fill(resources[i].ResponseKind)
		for j := range resources[i].Subresources {
			fill(resources[i].Subresources[j].ResponseKind)
		}
	}
	return resources
}
