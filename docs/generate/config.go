package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

const module = "github.com/foresail/foresail/"

const head = `# Every field of the config file

Made by ` + "`make docs`" + ` of the code's own comments: change those. The [README](../README.md) and [MIGRATION.md](MIGRATION.md) show whole files.
` + "`foresail check FILE`" + ` says what is wrong with one, line by line.

Durations are Prometheus' or Go's: 35d, 5m, 1h30m. A field that is left out has its default, which stands below or in the last column. A key
that is not on this page is an error.

`

// page writes one section for every struct of the config, once.
type page struct {
	root   string
	out    bytes.Buffer
	docs   map[string]map[string]*ast.TypeSpec // by package, by name
	about  map[*ast.TypeSpec]string
	done   map[reflect.Type]string // the path that a struct was described at
	wanted []section
	errs   []error
}

// section is a struct that is still to be described.
type section struct {
	path  string
	value reflect.Value // with its defaults
}

// configPage returns docs/CONFIG.md.
func configPage(root string) ([]byte, error) {
	file, err := config.Parse("", nil)
	if err != nil {
		return nil, fmt.Errorf("cannot make an empty config: %w", err)
	}
	p := &page{
		root: root, docs: map[string]map[string]*ast.TypeSpec{}, about: map[*ast.TypeSpec]string{},
		done: map[reflect.Type]string{}, wanted: []section{{"", reflect.ValueOf(file).Elem()}},
	}
	p.out.WriteString(head)
	for len(p.wanted) > 0 {
		next := p.wanted[0]
		p.wanted = p.wanted[1:]
		if _, known := p.done[next.value.Type()]; !known {
			p.section(next)
		}
	}
	return bytes.TrimRight(p.out.Bytes(), "\n"), errors.Join(p.errs...)
}

// section describes a struct and remembers those in it.
func (p *page) section(s section) {
	t := s.value.Type()
	title := "The file"
	if s.path != "" {
		title = "`" + s.path + "`"
	}
	p.done[t] = title
	spec, about := p.spec(t)
	if spec == nil {
		return
	}
	var inner []section
	fmt.Fprintf(&p.out, "## %s\n\n%s\n\n| field | type | default | meaning |\n|---|---|---|---|\n", title, paragraph(about))
	p.rows(s, spec, &inner)
	p.out.WriteString("\n")
	p.wanted = append(inner, p.wanted...)
}

// rows writes the fields of a struct; those of embedded ones are its own.
func (p *page) rows(s section, spec *ast.TypeSpec, inner *[]section) {
	syntax, ok := spec.Type.(*ast.StructType)
	if !ok {
		p.errs = append(p.errs, fmt.Errorf("%s is no struct", s.value.Type()))
		return
	}
	shared := map[string]string{}
	for _, f := range syntax.Fields.List {
		about := f.Doc.Text()
		for _, name := range fieldNames(f) {
			field, _ := s.value.Type().FieldByName(name)
			key, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			value := s.value.FieldByIndex(field.Index)
			switch {
			case option == "inline":
				if embedded, _ := p.spec(field.Type); embedded != nil {
					p.rows(section{s.path, value}, embedded, inner)
				}
				continue
			case key == "" || key == "-":
				continue
			}
			if about == "" {
				about = shared[name] // One comment for two fields.
			}
			for _, other := range reflect.VisibleFields(s.value.Type()) {
				if other.Name != name && mentions(about, other.Name) {
					shared[other.Name] = about
				}
			}
			path := strings.TrimPrefix(s.path+"."+key, ".")
			kind, next := kindOf(path, value)
			meaning := names(paragraph(about), s.value.Type())
			if next.value.IsValid() {
				*inner = append(*inner, next)
				if where, known := p.done[next.value.Type()]; known {
					meaning = strings.TrimSpace(meaning + " As " + where + ".")
				} else if meaning == "" {
					meaning = "See below."
				}
			}
			if meaning == "" {
				p.errs = append(p.errs, fmt.Errorf("%s.%s has no comment", s.value.Type(), name))
			}
			fmt.Fprintf(&p.out, "| `%s` | %s | %s | %s |\n", key, kind, defaultOf(value), strings.ReplaceAll(meaning, "|", `\|`))
		}
	}
}

func fieldNames(f *ast.Field) []string {
	var names []string
	for _, n := range f.Names {
		names = append(names, n.Name)
	}
	switch t := f.Type.(type) {
	case *ast.Ident:
		if names == nil {
			names = []string{t.Name}
		}
	case *ast.SelectorExpr:
		if names == nil {
			names = []string{t.Sel.Name}
		}
	}
	return names
}

// kindOf names a type as a writer of YAML sees it, and returns the struct in it, with its defaults.
func kindOf(path string, v reflect.Value) (string, section) {
	t := v.Type()
	if _, text := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(t)); text {
		return "text", section{}
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration", section{}
	case t.Kind() == reflect.Pointer:
		return kindOf(path, fresh(t.Elem()))
	case t.Kind() == reflect.Struct:
		return "mapping", section{path, v}
	case t.Kind() == reflect.Slice:
		kind, inner := kindOf(path+"[]", fresh(t.Elem()))
		return "list of " + plural(kind), inner
	case t.Kind() == reflect.Map:
		kind, inner := kindOf(path+".*", fresh(t.Elem()))
		return "mapping of names to " + plural(kind), inner
	case t.Kind() == reflect.Bool:
		return "true or false", section{}
	case t.Kind() == reflect.String:
		return "text", section{}
	}
	return "number", section{}
}

func plural(kind string) string {
	if first, rest, ok := strings.Cut(kind, " "); ok { // list of ...
		return first + "s " + rest
	}
	if kind == "text" {
		return kind
	}
	return kind + "s"
}

// fresh is a value with its defaults.
func fresh(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if d, ok := reflect.TypeAssert[interface{ Default() }](v); ok {
		d.Default()
	}
	return v.Elem()
}

// defaultOf is what Default has set; "" for nothing.
func defaultOf(v reflect.Value) string {
	switch {
	case v.IsZero(), v.Kind() == reflect.Struct, v.Kind() == reflect.Pointer:
		return ""
	case v.Type() == reflect.TypeFor[time.Duration]():
		return model.Duration(v.Int()).String()
	case v.Kind() == reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, defaultOf(v.Index(i)))
		}
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("`%v`", v.Interface())
}

// spec finds a type in the source, and its comment.
func (p *page) spec(t reflect.Type) (*ast.TypeSpec, string) {
	if p.docs[t.PkgPath()] == nil {
		if err := p.parse(t.PkgPath()); err != nil {
			p.errs = append(p.errs, err)
		}
	}
	spec := p.docs[t.PkgPath()][t.Name()]
	if spec == nil {
		p.errs = append(p.errs, fmt.Errorf("the source of %s is not found", t))
		return nil, ""
	}
	return spec, p.about[spec]
}

func (p *page) parse(path string) error {
	specs := map[string]*ast.TypeSpec{}
	p.docs[path] = specs
	names, err := filepath.Glob(filepath.Join(p.root, strings.TrimPrefix(path, module), "*.go"))
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", path, err)
	}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("cannot parse %s: %w", name, err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range decl.Specs {
				if spec, ok := s.(*ast.TypeSpec); ok {
					specs[spec.Name.Name], p.about[spec] = spec, decl.Doc.Text()
				}
			}
		}
	}
	return nil
}

// paragraph is a Go comment on one line.
func paragraph(comment string) string { return strings.Join(strings.Fields(comment), " ") }

func mentions(comment, name string) bool {
	return regexp.MustCompile(`\b` + name + `\b`).MatchString(comment)
}

// names writes the fields of a struct that are told of by their Go names as the keys that they have in a file. A name of one
// capital letter that begins any sentence but the first may be a word, and stays.
func names(text string, t reflect.Type) string {
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" || key == "-" {
			continue
		}
		before := `(^|[a-z0-9,;:] )`
		if strings.ToLower(f.Name[1:]) != f.Name[1:] {
			before = `(^|[ (])`
		}
		text = regexp.MustCompile(before+f.Name+`\b`).ReplaceAllString(text, "${1}`"+key+"`")
	}
	return text
}
