package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
	strict "sigs.k8s.io/json"

	"github.com/foresail/foresail/adapter/kube"
)

// object is one Kubernetes object in a manifest.
type object struct {
	file             string
	node             *yaml.Node
	apiVersion, kind string
}

// objects returns the objects of all manifests, those of lists one by one. What is no YAML is found.
func (c *checker) objects(manifests []Manifest) []object {
	var all []object
	for _, m := range manifests {
		if err := documents(m.Data, func(n *yaml.Node) { all = append(all, unlist(m.Name, n)...) }); err != nil {
			line, problem := yamlProblem(err)
			if bytes.Contains(m.Data, []byte("{{")) {
				problem += " (is it a template? render it first)"
			}
			c.add(m.Name, line, Error, "", "this is not YAML: %s", problem)
		}
	}
	return all
}

// documents hands the top values of a YAML stream to each, up to the first mistake.
func documents(data []byte, each func(*yaml.Node)) (err error) {
	// The library reports some malformed input by a panic of its own that it does not catch.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var document yaml.Node
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(document.Content) > 0 {
			each(document.Content[0])
		}
	}
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s*)?(?:line (\d+): )?`)

func yamlProblem(err error) (line int, problem string) {
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // 0 where it says none
		text = text[len(m[0]):]
	}
	return line, text
}

func unlist(file string, n *yaml.Node) []object {
	o := object{file: file, node: n, apiVersion: textAt(n, "apiVersion"), kind: textAt(n, "kind")}
	if !strings.HasSuffix(o.kind, "List") {
		return []object{o}
	}
	var all []object
	for _, item := range contentOf(at(n, "items")) {
		all = append(all, unlist(file, item)...)
	}
	return all
}

func contentOf(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// at returns the value of a key; nil where there is none.
func at(n *yaml.Node, key string) *yaml.Node {
	n = resolved(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolved(n.Content[i+1])
		}
	}
	return nil
}

func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func textAt(n *yaml.Node, path ...string) string {
	for _, key := range path {
		n = at(n, key)
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

var pathPart = regexp.MustCompile(`[^.\[\]]+|\[\d+\]`)

// line returns the line of a field, or that of the nearest one around it.
func (o *object) line(path string) int {
	n, line := o.node, o.node.Line
	for _, part := range pathPart.FindAllString(path, -1) {
		var next *yaml.Node
		if index, isIndex := strings.CutPrefix(part, "["); isIndex {
			i, _ := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if items := contentOf(resolved(n)); i < len(items) {
				next = items[i]
				line = next.Line
			}
		} else if next = at(n, part); next != nil {
			line = keyLine(n, part)
		}
		if next == nil {
			return line
		}
		n = next
	}
	return line
}

func keyLine(n *yaml.Node, key string) int {
	n = resolved(n)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i].Line
		}
	}
	return n.Line
}

// decode fills into from the object as the API server would with strict validation, and finds what it would refuse. It
// tells whether anything could be decoded.
func (c *checker) decode(o *object, into any) bool {
	var value any
	if err := o.node.Decode(&value); err != nil {
		line, problem := yamlProblem(err)
		c.add(o.file, max(line, o.node.Line), Error, "", "%s", problem)
		return false
	}
	data, err := json.Marshal(value)
	if err != nil {
		c.add(o.file, o.node.Line, Error, "", "a key is no text: %v", err)
		return false
	}
	unknown, err := strict.UnmarshalStrict(data, into, strict.DisallowUnknownFields)
	for _, u := range unknown {
		path := ""
		if f, ok := errors.AsType[strict.FieldError](u); ok {
			path = f.FieldPath()
		}
		c.add(o.file, o.line(path), Error, path, "%v", u)
	}
	if err != nil {
		path, problem := "", err.Error()
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			path, problem = wrong.Field, fmt.Sprintf("%s is a %s and must be of type %s", wrong.Field, wrong.Value, wrong.Type)
		}
		c.add(o.file, o.line(path), Error, path, "this is no %s of %s: %s", o.kind, o.apiVersion, problem)
	}
	return err == nil
}

// custom returns the resource that a CustomResourceDefinition makes.
func (o *object) custom() []kube.Custom {
	names := at(at(o.node, "spec"), "names")
	plural := textAt(names, "plural")
	if o.kind != "CustomResourceDefinition" || plural == "" {
		return nil
	}
	singular := textAt(names, "singular")
	if singular == "" {
		singular = strings.ToLower(textAt(names, "kind"))
	}
	return []kube.Custom{{
		GroupResource: schema.GroupResource{Group: textAt(o.node, "spec", "group"), Resource: plural},
		Singular:      singular, Kind: textAt(names, "kind"), Namespaced: textAt(o.node, "spec", "scope") != "Cluster",
	}}
}
