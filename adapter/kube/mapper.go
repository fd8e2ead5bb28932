package kube

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	// missInterval is how often at most an unknown resource makes the cluster be asked for its resources again.
	missInterval = 30 * time.Second
	// discoveryTimeout bounds one request for the cluster's resources.
	discoveryTimeout = 10 * time.Second
)

// Mapper knows the cluster's resources. It implements meta.RESTMapper from what the cluster said last; of what it does
// not find there it asks the cluster again, though not all the time. Its methods are safe for concurrent use.
type Mapper struct {
	client discovery.DiscoveryInterface // nil without a cluster
	logger *slog.Logger
	known  atomic.Pointer[resources]

	mu    sync.Mutex // of the requests to the cluster
	asked time.Time
	err   error
}

var _ meta.RESTMapper = (*Mapper)(nil)

// resources are those of a cluster at one time.
type resources struct {
	meta.RESTMapper
	groups map[string]*restmapper.APIGroupResources
}

// newResources leaves out the groups of metrics: metrics are no objects, and their names are anybody's. The first of
// the groups count where several have a resource of one name.
func newResources(groups []*restmapper.APIGroupResources) *resources {
	r := &resources{groups: make(map[string]*restmapper.APIGroupResources, len(groups))}
	kept := make([]*restmapper.APIGroupResources, 0, len(groups))
	for _, g := range groups {
		if !strings.HasSuffix(g.Group.Name, "metrics.k8s.io") {
			kept = append(kept, g)
			r.groups[g.Group.Name] = g
		}
	}
	r.RESTMapper = restmapper.NewDiscoveryRESTMapper(kept)
	return r
}

// NewMapper returns a mapper that has not asked the cluster yet.
func NewMapper(config *rest.Config, logger *slog.Logger) (*Mapper, error) {
	config = rest.CopyConfig(config)
	config.Timeout = discoveryTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a discovery client: %w", err)
	}
	return &Mapper{client: client, logger: logger}, nil
}

// Custom is a resource that Kubernetes itself does not have, as a CustomResourceDefinition makes it.
type Custom struct {
	schema.GroupResource
	Singular, Kind string
	Namespaced     bool
}

// CustomByConvention returns the custom resource of a name in the plural: in namespaces, with a singular and a kind by
// the rules of English.
func CustomByConvention(r schema.GroupResource) Custom {
	singular := strings.TrimSuffix(r.Resource, "s")
	if stem, ok := strings.CutSuffix(r.Resource, "ies"); ok {
		singular = stem + "y"
	}
	for _, ending := range []string{"sses", "xes", "ches", "shes"} {
		if strings.HasSuffix(r.Resource, ending) {
			singular = strings.TrimSuffix(r.Resource, "es")
		}
	}
	kind := ""
	if singular != "" {
		kind = strings.ToUpper(singular[:1]) + singular[1:] // its humps are not known
	}
	return Custom{GroupResource: r, Singular: singular, Kind: kind, Namespaced: true}
}

// NewStaticMapper returns a mapper of the resources that Kubernetes itself has and of these, for where there is no
// cluster.
func NewStaticMapper(custom ...Custom) *Mapper {
	groups := builtIn()
	for _, c := range custom {
		const version = "v1" // whichever: nothing asks for objects
		g := &restmapper.APIGroupResources{VersionedResources: map[string][]metav1.APIResource{}}
		if i := slices.IndexFunc(groups, func(g *restmapper.APIGroupResources) bool { return g.Group.Name == c.Group }); i >= 0 {
			g = groups[i]
		} else {
			known := metav1.GroupVersionForDiscovery{GroupVersion: c.Group + "/" + version, Version: version}
			g.Group = metav1.APIGroup{Name: c.Group, PreferredVersion: known, Versions: []metav1.GroupVersionForDiscovery{known}}
			groups = append(groups, g)
		}
		in := g.Group.PreferredVersion.Version
		g.VersionedResources[in] = append(g.VersionedResources[in], metav1.APIResource{
			Name: c.Resource, SingularName: c.Singular, Kind: c.Kind, Namespaced: c.Namespaced,
		})
	}
	m := &Mapper{}
	m.known.Store(newResources(groups))
	return m
}

// Run asks the cluster for its resources again at the interval, which is above 0, until ctx is done: without it
// resources that are gone would stay.
func (m *Mapper) Run(ctx context.Context, interval time.Duration) {
	if m.client == nil {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.refresh(0)
		}
	}
}

// Groups returns the names of the cluster's API groups, as far as they are known.
func (m *Mapper) Groups() []string {
	known, err := m.current()
	if err != nil {
		return nil
	}
	return slices.Collect(maps.Keys(known.groups))
}

// current returns what is known, and asks the cluster where nothing is.
func (m *Mapper) current() (*resources, error) {
	if known := m.known.Load(); known != nil {
		return known, nil
	}
	if known := m.refresh(time.Second); known != nil {
		return known, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return nil, fmt.Errorf("cannot ask the cluster for its resources: %w", m.err)
}

// refresh asks the cluster, unless it was asked within the pause, and returns what is known then. What is known stays
// where the cluster does not answer, also that of single groups.
func (m *Mapper) refresh(pause time.Duration) *resources {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.client == nil || !m.asked.IsZero() && time.Since(m.asked) < pause {
		return m.known.Load()
	}
	found, err := restmapper.GetAPIGroupResources(m.client)
	m.asked = time.Now()
	if err != nil {
		if m.err == nil {
			m.logger.Warn("cannot ask the cluster for its resources; what is known of them stays", "err", err)
		}
		m.err = err
		return m.known.Load()
	}
	m.err = nil
	if old := m.known.Load(); old != nil {
		for i, group := range found {
			if before := old.groups[group.Group.Name]; len(group.VersionedResources) == 0 && before != nil {
				found[i] = before // the server of the group is away
			}
		}
	}
	m.known.Store(newResources(found))
	return m.known.Load()
}

// ask looks something up, and once more where it is not found and the cluster may know more by now.
func ask[T any](m *Mapper, look func(meta.RESTMapper) (T, error)) (T, error) {
	known, err := m.current()
	if err != nil {
		var none T
		return none, err
	}
	found, err := look(known)
	if !meta.IsNoMatchError(err) {
		return found, err
	}
	if newer := m.refresh(missInterval); newer != known {
		return look(newer)
	}
	return found, err
}

// KindFor implements meta.RESTMapper.
func (m *Mapper) KindFor(r schema.GroupVersionResource) (schema.GroupVersionKind, error) {
	return ask(m, func(known meta.RESTMapper) (schema.GroupVersionKind, error) { return known.KindFor(r) })
}

// KindsFor implements meta.RESTMapper.
func (m *Mapper) KindsFor(r schema.GroupVersionResource) ([]schema.GroupVersionKind, error) {
	return ask(m, func(known meta.RESTMapper) ([]schema.GroupVersionKind, error) { return known.KindsFor(r) })
}

// ResourceFor implements meta.RESTMapper.
func (m *Mapper) ResourceFor(r schema.GroupVersionResource) (schema.GroupVersionResource, error) {
	return ask(m, func(known meta.RESTMapper) (schema.GroupVersionResource, error) { return known.ResourceFor(r) })
}

// ResourcesFor implements meta.RESTMapper.
func (m *Mapper) ResourcesFor(r schema.GroupVersionResource) ([]schema.GroupVersionResource, error) {
	return ask(m, func(known meta.RESTMapper) ([]schema.GroupVersionResource, error) { return known.ResourcesFor(r) })
}

// RESTMapping implements meta.RESTMapper.
func (m *Mapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	return ask(m, func(known meta.RESTMapper) (*meta.RESTMapping, error) { return known.RESTMapping(kind, versions...) })
}

// RESTMappings implements meta.RESTMapper.
func (m *Mapper) RESTMappings(kind schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	return ask(m, func(known meta.RESTMapper) ([]*meta.RESTMapping, error) { return known.RESTMappings(kind, versions...) })
}

// ResourceSingularizer implements meta.RESTMapper.
func (m *Mapper) ResourceSingularizer(resource string) (string, error) {
	return ask(m, func(known meta.RESTMapper) (string, error) { return known.ResourceSingularizer(resource) })
}

// rootKinds are the built-in kinds that are in no namespace.
var rootKinds = map[string]bool{
	"APIService": true, "CertificateSigningRequest": true, "ClusterRole": true, "ClusterRoleBinding": true,
	"ClusterTrustBundle": true, "CSIDriver": true, "CSINode": true, "ComponentStatus": true, "DeviceClass": true,
	"FlowSchema": true, "IPAddress": true, "IngressClass": true, "MutatingAdmissionPolicy": true,
	"MutatingAdmissionPolicyBinding": true, "MutatingWebhookConfiguration": true, "Namespace": true, "Node": true,
	"PersistentVolume": true, "PriorityClass": true, "PriorityLevelConfiguration": true, "ResourceSlice": true,
	"RuntimeClass": true, "ServiceCIDR": true, "StorageClass": true, "StorageVersion": true, "StorageVersionMigration": true,
	"SelfSubjectReview": true, "SelfSubjectAccessReview": true, "SelfSubjectRulesReview": true, "SubjectAccessReview": true,
	"TokenReview": true, "ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true,
	"ValidatingWebhookConfiguration": true, "VolumeAttachment": true, "VolumeAttributesClass": true,
}

// builtIn returns the resources of the kinds that client-go has types for, those of the group "extensions", where many
// were once, last.
func builtIn() []*restmapper.APIGroupResources {
	groups := map[string]*restmapper.APIGroupResources{}
	for _, gv := range scheme.Scheme.PrioritizedVersionsAllGroups() {
		g := groups[gv.Group]
		if g == nil {
			g = &restmapper.APIGroupResources{VersionedResources: map[string][]metav1.APIResource{}}
			g.Group.Name = gv.Group
			g.Group.PreferredVersion = metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
			groups[gv.Group] = g
		}
		g.Group.Versions = append(g.Group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version})
		for kind, of := range scheme.Scheme.KnownTypes(gv) {
			if _, isObject := of.FieldByName("ObjectMeta"); !isObject {
				continue // lists and options
			}
			plural, singular := meta.UnsafeGuessKindToResource(gv.WithKind(kind))
			g.VersionedResources[gv.Version] = append(g.VersionedResources[gv.Version], metav1.APIResource{
				Name: plural.Resource, SingularName: singular.Resource, Kind: kind, Namespaced: !rootKinds[kind],
			})
		}
	}
	all := slices.Collect(maps.Values(groups))
	slices.SortFunc(all, func(a, b *restmapper.APIGroupResources) int {
		last := func(g *restmapper.APIGroupResources) bool { return g.Group.Name == "extensions" }
		switch {
		case last(a):
			return 1
		case last(b):
			return -1
		}
		return strings.Compare(a.Group.Name, b.Group.Name)
	})
	return all
}
