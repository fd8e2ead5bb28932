// Package config reads Foresail's config file: defaults, a strict decode, a check of everything that can be known before
// anything runs. All mistakes are reported at once, each with its file, line and field.
package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth bounds how deep values may nest: far beyond any real file, and what stops an anchor that contains itself.
	maxDepth = 64
	// A file's aliases may repeat its values, on average, maxRepeat times, with minVisits free of that: enough for a
	// file that is mostly merges of one long base, and too little for one that expands exponentially.
	maxRepeat = 20
	minVisits = 10_000
)

// defaulter is a config struct that knows its default values: Default fills in what the file left out. The decoder calls
// it on every struct that the file has, when the rest of that struct has been decoded. A struct that holds another one
// by value answers for it too, because the file may not have it.
type defaulter interface{ Default() }

// Decode fills into, a pointer to a struct, from a YAML file. Fields are matched by their yaml tags. It follows YAML 1.2
// and 1.1 where they differ: a field decides what its text means, so that "on" is true for a bool and text for a string.
// Null means unset. Anchors, aliases and merge keys work. Durations are Prometheus' or Go's ("35d", "1h30m"), not
// negative, and 0 or with a unit. Keys that no field has, keys given twice, values of the wrong type and documents
// after the first are errors.
//
// All mistakes are returned, sorted by line, and into holds whatever was right. The document is never nil.
func Decode(file string, data []byte, into any) (*Document, Errors) {
	doc := &Document{file: file, lines: map[string]int{}}
	out := reflect.ValueOf(into)
	if out.Kind() != reflect.Pointer || out.IsNil() {
		return doc, Errors{{File: file, Problem: fmt.Sprintf("cannot decode into a %T", into)}}
	}
	root, line, err := parse(data, into)
	if err != nil {
		return doc, Errors{{File: file, Line: line, Problem: err.Error()}}
	}
	if root == nil {
		setDefaults(out.Elem())
		return doc, nil
	}
	d := &decoder{doc: doc, visits: minVisits + maxRepeat*count(root)}
	d.value(root, "", out.Elem(), 0)
	d.errs.sort()
	return doc, d.errs
}

func count(n *yaml.Node) int {
	total := 1
	for _, c := range n.Content {
		total += count(c)
	}
	return total
}

func setDefaults(out reflect.Value) {
	if out.Kind() == reflect.Struct {
		if d, ok := reflect.TypeAssert[defaulter](out.Addr()); ok {
			d.Default()
		}
	}
}

type decoder struct {
	doc  *Document
	errs Errors
	// visits is how many more nodes may be looked at; below zero decoding has been given up.
	visits int
}

func (d *decoder) fail(n *yaml.Node, field, format string, args ...any) {
	d.errs = append(d.errs, Error{File: d.doc.file, Line: n.Line, Field: field, Problem: fmt.Sprintf(format, args...)})
}

// enter counts one visit of a node and tells whether decoding may go on into it.
func (d *decoder) enter(n *yaml.Node, field string, depth int) bool {
	if d.visits < 0 {
		return false
	}
	d.visits--
	switch {
	case depth > maxDepth:
		d.fail(n, "", "values nest more than %d deep here; does an anchor contain itself?", maxDepth)
		d.visits = -1
	case d.visits < 0:
		d.fail(n, field, "aliases expand to far more than the file holds; write fewer of them")
	}
	return d.visits >= 0
}

// value decodes one node into one field.
func (d *decoder) value(n *yaml.Node, field string, out reflect.Value, depth int) {
	if !d.enter(n, field, depth) {
		return
	}
	if _, known := d.doc.lines[field]; !known {
		d.doc.lines[field] = n.Line
	}
	defer setDefaults(out)
	switch {
	case n.Kind == yaml.AliasNode:
		d.value(n.Alias, field, out, depth+1)
		return
	case isNull(n):
		return
	case out.Kind() == reflect.Pointer:
		if out.IsNil() {
			out.Set(reflect.New(out.Type().Elem()))
		}
		d.value(n, field, out.Elem(), depth+1)
		return
	}
	if t, ok := reflect.TypeAssert[encoding.TextUnmarshaler](out.Addr()); ok {
		if text, ok := d.scalar(n, field, "text"); ok {
			if err := t.UnmarshalText([]byte(text)); err != nil {
				d.fail(n, field, "%v", err)
			}
		}
		return
	}
	switch out.Kind() {
	case reflect.Struct:
		d.structure(n, field, out, depth)
	case reflect.Slice:
		d.list(n, field, out, depth)
	case reflect.Map:
		d.dictionary(n, field, out, depth)
	default:
		d.basic(n, field, out)
	}
}

func (d *decoder) list(n *yaml.Node, field string, out reflect.Value, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, field, "must be a list, not %s", kind(n))
		return
	}
	list := reflect.MakeSlice(out.Type(), 0, 0)
	for i, c := range n.Content {
		item := reflect.New(out.Type().Elem()).Elem()
		d.value(c, fmt.Sprintf("%s[%d]", field, i), item, depth+1)
		if d.visits < 0 {
			return
		}
		list = reflect.Append(list, item)
	}
	out.Set(list)
}

func (d *decoder) dictionary(n *yaml.Node, field string, out reflect.Value, depth int) {
	if out.Type().Key().Kind() != reflect.String {
		d.fail(n, field, "cannot be set from a file: it is a %s", out.Type())
		return
	}
	made := reflect.MakeMap(out.Type())
	for _, e := range d.entries(n, field, depth) {
		item := reflect.New(out.Type().Elem()).Elem()
		d.entry(e, field, item, depth)
		made.SetMapIndex(reflect.ValueOf(e.name).Convert(out.Type().Key()), item)
	}
	out.Set(made)
}

func (d *decoder) structure(n *yaml.Node, field string, out reflect.Value, depth int) {
	fields, names := fieldsOf(out.Type())
	for _, e := range d.entries(n, field, depth) {
		if index, ok := fields[e.name]; ok {
			d.entry(e, field, out.FieldByIndex(index), depth)
		} else {
			d.fail(e.key, join(field, e.name), "unknown key; %s", suggest(e.name, names))
		}
	}
}

func (d *decoder) entry(e entry, field string, out reflect.Value, depth int) {
	field = join(field, e.name)
	d.doc.lines[field] = e.key.Line
	d.value(e.value, field, out, depth+1)
}

// fieldsOf returns the indices of a struct's fields by key, and the keys in the struct's order. The fields of a struct
// that is tagged inline count as its own.
func fieldsOf(t reflect.Type) (map[string][]int, []string) {
	fields := make(map[string][]int, t.NumField())
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && name != "-" && f.IsExported() && inlined(t, f.Index) {
			fields[name] = f.Index
			names = append(names, name)
		}
	}
	return fields, names
}

// inlined tells whether every struct around a field is tagged inline.
func inlined(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		f := t.Field(i)
		if f.Tag.Get("yaml") != ",inline" || f.Type.Kind() != reflect.Struct {
			return false
		}
		t = f.Type
	}
	return true
}

// entry is one key of a mapping and its value.
type entry struct {
	name       string
	key, value *yaml.Node
}

// entries returns a mapping's keys in the order of the file, and after them those that it merges in and does not have
// itself. Of several merged mappings the first wins, as in YAML's own definition of "<<".
func (d *decoder) entries(n *yaml.Node, field string, depth int) []entry {
	if n.Kind != yaml.MappingNode {
		d.fail(n, field, "must be a mapping of keys to values, not %s", kind(n))
		return nil
	}
	var own, merged []entry
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case !d.enter(key, field, depth):
			return nil
		case key.Kind != yaml.ScalarNode:
			d.fail(key, field, "a key must be text, not %s", kind(key))
		case key.Tag == "!!merge":
			merged = append(merged, d.merge(value, field, depth+1)...)
		case first[key.Value] != 0:
			d.fail(key, join(field, key.Value), "is given twice: first on line %d", first[key.Value])
		default:
			first[key.Value] = max(1, key.Line)
			own = append(own, entry{key.Value, key, value})
		}
	}
	for _, e := range merged {
		if first[e.name] == 0 {
			first[e.name] = max(1, e.key.Line)
			own = append(own, e)
		}
	}
	return own
}

// merge returns what a "<<" key brings in: a mapping's entries, or those of a list of mappings.
func (d *decoder) merge(n *yaml.Node, field string, depth int) []entry {
	switch {
	case !d.enter(n, field, depth):
		return nil
	case n.Kind == yaml.AliasNode:
		return d.merge(n.Alias, field, depth+1)
	case n.Kind == yaml.MappingNode:
		return d.entries(n, field, depth)
	case n.Kind == yaml.SequenceNode:
		var all []entry
		for _, c := range n.Content {
			all = append(all, d.merge(c, field, depth+1)...)
		}
		return all
	default:
		d.fail(n, field, "<< can only merge a mapping or a list of mappings, not %s", kind(n))
		return nil
	}
}

// kind names what a node is, for the end of a sentence.
func kind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode:
		return kind(n.Alias)
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "null"
	default:
		return fmt.Sprintf("%.40q", n.Value)
	}
}

// suggest names the known key that an unknown one was meant to be, or all known keys.
func suggest(name string, known []string) string {
	best, bestAt := len(name)/3+1, -1
	for i, k := range known {
		if len(name) > 2*len(k) {
			continue // Not a slip of the pen, and too long to compare for nothing.
		}
		if at := distance(fold(name), fold(k)); at < best {
			best, bestAt = at, i
		}
	}
	if bestAt >= 0 {
		return fmt.Sprintf("did you mean %q?", known[bestAt])
	}
	if len(known) == 0 {
		return "none is known here"
	}
	sorted := slices.Sorted(slices.Values(known))
	return "known here: " + strings.Join(sorted, ", ")
}

// fold makes max_age, max-age and MaxAge one.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// distance returns the number of bytes to insert, delete or replace to make b of a (Levenshtein 1966).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
