package resource

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/metrics/pkg/apis/metrics"
	"k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

// Group returns what an API server is to serve: at each read what current returns, nil where there is nothing any more.
func Group(current func() *API) (*genericapiserver.APIGroupInfo, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{metrics.AddToScheme, v1beta1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("cannot register the types of %s: %w", metrics.GroupName, err)
		}
	}
	if err := scheme.SetVersionPriority(v1beta1.SchemeGroupVersion); err != nil {
		return nil, fmt.Errorf("cannot register the version of %s: %w", metrics.GroupName, err)
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // of the options and the errors
	info := genericapiserver.NewDefaultAPIGroupInfo(metrics.GroupName, scheme, metav1.ParameterCodec, serializer.NewCodecFactory(scheme))
	info.VersionedResourcesStorageMap[v1beta1.SchemeGroupVersion.Version] = map[string]rest.Storage{
		"pods": podStorage{current}, "nodes": nodeStorage{current},
	}
	return &info, nil
}

// Definitions returns the OpenAPI schemas of the group's own types; those of Kubernetes that they refer to are not
// among them.
func Definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	d := definer{ref: ref, all: make(map[string]common.OpenAPIDefinition)}
	measured := func(properties map[string]spec.Schema) map[string]spec.Schema {
		properties["timestamp"] = d.of(metav1.Time{}, "The end of the time that the values are averaged over.")
		properties["window"] = d.of(metav1.Duration{}, "The time that the values are averaged over.")
		return properties
	}
	usage := func() spec.Schema {
		return *spec.MapProperty(new(d.of(resource.Quantity{}, ""))).
			WithDescription("The use of cpu in cores and of memory in bytes. What is missing is not known.")
	}

	d.object(v1beta1.ContainerMetrics{}, "ContainerMetrics is what a container uses.", map[string]spec.Schema{
		"name":  *spec.StringProperty().WithDescription("The container's name in the pod's spec."),
		"usage": usage(),
	}, "name", "usage")
	d.kind(v1beta1.PodMetrics{}, "PodMetrics is what the containers of a pod use.", metav1.ObjectMeta{}, measured(map[string]spec.Schema{
		"containers": d.list(v1beta1.ContainerMetrics{}),
	}), "timestamp", "window", "containers")
	d.kind(v1beta1.PodMetricsList{}, "PodMetricsList is a list of PodMetrics.", metav1.ListMeta{}, map[string]spec.Schema{
		"items": d.list(v1beta1.PodMetrics{}),
	}, "items")
	d.kind(v1beta1.NodeMetrics{}, "NodeMetrics is what a node uses.", metav1.ObjectMeta{}, measured(map[string]spec.Schema{
		"usage": usage(),
	}), "timestamp", "window", "usage")
	d.kind(v1beta1.NodeMetricsList{}, "NodeMetricsList is a list of NodeMetrics.", metav1.ListMeta{}, map[string]spec.Schema{
		"items": d.list(v1beta1.NodeMetrics{}),
	}, "items")
	return d.all
}

// named is a type that has a schema.
type named interface{ OpenAPIModelName() string }

type definer struct {
	ref common.ReferenceCallback
	all map[string]common.OpenAPIDefinition
	// used are the types that the next definition refers to.
	used []string
}

// of is a property of another type.
func (d *definer) of(t named, description string) spec.Schema {
	d.used = append(d.used, t.OpenAPIModelName())
	return spec.Schema{SchemaProps: spec.SchemaProps{Description: description, Ref: d.ref(t.OpenAPIModelName())}}
}

func (d *definer) list(t named) spec.Schema {
	items := *spec.ArrayProperty(new(d.of(t, "")))
	items.AddExtension("x-kubernetes-list-type", "atomic")
	return items
}

func (d *definer) kind(t named, description string, meta named, properties map[string]spec.Schema, required ...string) {
	properties["kind"] = *spec.StringProperty()
	properties["apiVersion"] = *spec.StringProperty()
	properties["metadata"] = d.of(meta, "")
	d.object(t, description, properties, required...)
}

func (d *definer) object(t named, description string, properties map[string]spec.Schema, required ...string) {
	d.all[t.OpenAPIModelName()] = common.OpenAPIDefinition{
		Schema: spec.Schema{SchemaProps: spec.SchemaProps{
			Description: description, Type: []string{"object"}, Properties: properties, Required: required,
		}},
		Dependencies: d.used,
	}
	d.used = nil
}
