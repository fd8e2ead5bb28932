package legacy

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// RESTMapper is a Mapper made of Kubernetes' own.
type RESTMapper struct {
	Mapper meta.RESTMapper
	// GroupNames returns the names of all API groups. It may be nil, upon which no template finds groups that have a dot
	// or a dash in their name.
	GroupNames func() []string
}

var _ Mapper = RESTMapper{}

// ResourceFor implements Mapper.
func (m RESTMapper) ResourceFor(partial schema.GroupResource) (Resource, error) {
	resource, err := m.Mapper.ResourceFor(partial.WithVersion(""))
	if err != nil {
		return Resource{}, err
	}
	// The singular is that of the first group that has a resource of the name, as prometheus-adapter has it.
	singular, err := m.Mapper.ResourceSingularizer(resource.Resource)
	if err != nil {
		return Resource{}, &meta.NoResourceMatchError{PartialResource: resource}
	}
	kind, err := m.Mapper.KindFor(resource)
	if err != nil {
		return Resource{}, err
	}
	mapping, err := m.Mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return Resource{}, err
	}
	return Resource{
		GroupResource: resource.GroupResource(), Singular: singular,
		Namespaced: mapping.Scope.Name() == meta.RESTScopeNameNamespace,
	}, nil
}

// Groups implements Mapper.
func (m RESTMapper) Groups() []string {
	if m.GroupNames == nil {
		return nil
	}
	return m.GroupNames()
}
