package legacy

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var namespaces = schema.GroupResource{Resource: "namespaces"}

// rootScoped are the resources that prometheus-adapter knows to be in no namespace.
var rootScoped = []schema.GroupResource{namespaces, {Resource: "nodes"}, {Resource: "persistentvolumes"}}

// labelMap tells which label names the objects of a resource, and the other way round.
type labelMap struct {
	mapper     Mapper
	exact      bool
	byLabel    map[string]Resource
	byResource map[schema.GroupResource]string
	pattern    *pattern // Nil without a template.
}

func newLabelMap(r Resources, opts Options) (*labelMap, error) {
	m := &labelMap{
		mapper: opts.Mapper, exact: opts.Exact,
		byLabel: map[string]Resource{}, byResource: map[schema.GroupResource]string{},
	}
	if r.Template != "" {
		var err error
		if m.pattern, err = newPattern(r.Template); err != nil {
			return nil, fmt.Errorf("template %w", err)
		}
	}
	for _, label := range slices.Sorted(maps.Keys(r.Overrides)) {
		o := r.Overrides[label]
		resource, err := m.mapper.ResourceFor(schema.GroupResource(o))
		if err != nil {
			return nil, fmt.Errorf("override of label %q: %w: %w", label, ErrUnresolved, err)
		}
		m.byLabel[label] = resource
		if _, taken := m.byResource[resource.GroupResource]; !taken {
			m.byResource[resource.GroupResource] = label
		}
	}
	return m, nil
}

// resource returns the resource whose objects a label names; false where it names none. Its error means that the
// cluster's resources could not be looked up.
func (m *labelMap) resource(label string) (Resource, bool, error) {
	if r, ok := m.byLabel[label]; ok {
		return r, true, nil
	}
	if m.pattern == nil {
		return Resource{}, false, nil
	}
	if partial, ok := m.pattern.match(label); ok {
		if r, found, err := m.look(partial); found || err != nil {
			return r, found, err
		}
	}
	if m.exact || m.pattern.group == 0 {
		return Resource{}, false, nil
	}
	return m.grouped(label)
}

// look asks the mapper, for which "no such resource" is no error here.
func (m *labelMap) look(partial schema.GroupResource) (Resource, bool, error) {
	r, err := m.mapper.ResourceFor(partial)
	if meta.IsNoMatchError(err) || meta.IsAmbiguousError(err) {
		return Resource{}, false, nil
	}
	if err != nil {
		return Resource{}, false, fmt.Errorf("cannot look up resource %s: %w", partial, err)
	}
	return r, true, nil
}

// grouped finds the resource by trying every group of the cluster, because the group cannot be told from its sanitized
// form: it may end at any underscore of the label, and each may stand for a dot or a dash.
func (m *labelMap) grouped(label string) (Resource, bool, error) {
	for _, group := range slices.Sorted(slices.Values(m.mapper.Groups())) {
		name, ok := m.pattern.matchIn(group, label)
		if !ok {
			continue
		}
		r, found, err := m.look(schema.GroupResource{Group: group, Resource: name})
		if err != nil {
			return Resource{}, false, err
		}
		if !found || r.Group != group {
			continue
		}
		if back, err := m.pattern.label(r); err == nil && back == label {
			return r, true, nil
		}
	}
	return Resource{}, false, nil
}

// label returns the label that names a resource's objects in queries.
func (m *labelMap) label(resource schema.GroupResource) (string, error) {
	if label, ok := m.byResource[resource]; ok {
		return label, nil
	}
	if m.pattern == nil {
		return "", fmt.Errorf("no label is known to name %s: add an override for it, or a template", resource)
	}
	r, err := m.mapper.ResourceFor(resource)
	if err != nil {
		return "", fmt.Errorf("cannot make a label for %s: %w: %w", resource, ErrUnresolved, err)
	}
	r.GroupResource = resource
	return m.pattern.label(r)
}

// pattern is a template for labels, and its reverse.
type pattern struct {
	template *template.Template
	reverse  *regexp.Regexp
	// group and resource are the groups of the expression, 0 where it has none.
	group, resource int
}

func newPattern(text string) (*pattern, error) {
	t, err := template.New("resources").Delims("<<", ">>").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("is no template: %w", err)
	}
	p := &pattern{template: t}
	form, err := p.render(schema.GroupResource{Group: "(?P<group>.+?)", Resource: "(?P<resource>.+?)"})
	if err != nil {
		return nil, err
	}
	// The template's own text is taken for an expression, too.
	if p.reverse, err = regexp.Compile("^" + form + "$"); err != nil {
		return nil, fmt.Errorf("does not make a regular expression to find labels by: %w", err)
	}
	for i, name := range p.reverse.SubexpNames() { // The last one of a name counts.
		switch name {
		case "group":
			p.group = i
		case "resource":
			p.resource = i
		}
	}
	if p.resource == 0 {
		return nil, errors.New("does not use <<.Resource>>, by which labels are told apart")
	}
	return p, nil
}

func (p *pattern) render(r schema.GroupResource) (string, error) {
	var out bytes.Buffer
	if err := p.template.Execute(&bounded{&out}, r); err != nil {
		return "", fmt.Errorf("cannot be executed: %w", err)
	}
	if out.Len() == 0 {
		return "", fmt.Errorf("makes an empty label of %s", r)
	}
	return out.String(), nil
}

// match returns the group and resource that a label may have been made of, as prometheus-adapter takes it apart.
func (p *pattern) match(label string) (schema.GroupResource, bool) {
	m := p.reverse.FindStringSubmatch(label)
	if m == nil {
		return schema.GroupResource{}, false
	}
	r := schema.GroupResource{Resource: m[p.resource]}
	if p.group > 0 {
		r.Group = m[p.group]
	}
	return r, true
}

// matchIn returns the name of the resource that a label of the group was made of.
func (p *pattern) matchIn(group, label string) (string, bool) {
	const hole = "\x00"
	form, err := p.render(schema.GroupResource{Group: sanitize(group), Resource: hole})
	before, after, once := strings.Cut(form, hole)
	if err != nil || !once {
		return "", false
	}
	name, starts := strings.CutPrefix(label, before)
	name, ends := strings.CutSuffix(name, after)
	return name, starts && ends && name != ""
}

// label returns the label that the template makes for a resource.
func (p *pattern) label(r Resource) (string, error) {
	return p.render(schema.GroupResource{Group: sanitize(r.Group), Resource: r.Singular})
}

// sanitize makes a group fit for a label.
func sanitize(group string) string { return strings.NewReplacer(".", "_", "-", "_").Replace(group) }
