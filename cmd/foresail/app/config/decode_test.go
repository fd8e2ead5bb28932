package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Text     string            `yaml:"text"`
	Flag     bool              `yaml:"flag"`
	Small    int8              `yaml:"small"`
	Count    uint              `yaml:"count"`
	Share    float64           `yaml:"share"`
	Every    time.Duration     `yaml:"every"`
	Seasons  []time.Duration   `yaml:"seasons"`
	Addr     netip.Addr        `yaml:"addr"`
	Labels   map[string]string `yaml:"labels"`
	Items    []item            `yaml:"items"`
	One      *item             `yaml:"one"`
	MaxAge   *time.Duration    `yaml:"maxAge"`
	Tree     tree              `yaml:"tree"`
	Nothing  struct{}          `yaml:"nothing"`
	Callback func()            `yaml:"callback"`
	Window   `yaml:",inline"`
	internal string //nolint:unused // Must not be reachable from a file.
}

type Window struct {
	Lead time.Duration `yaml:"lead"`
}

type item struct {
	Name  string `yaml:"name"`
	Size  int    `yaml:"size"`
	Ready bool   `yaml:"ready"`
}

func (i *item) Default() {
	if i.Size == 0 {
		i.Size = 7
	}
}

// tree can nest without end, as only a type made for it can.
type tree []tree

func TestDecodeValues(t *testing.T) {
	f := func(in string, want sample) {
		t.Helper()
		var got sample
		if _, errs := Decode("f.yaml", []byte(in), &got); errs != nil {
			t.Errorf("%q: %v", in, errs)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", in, got, want)
		}
	}
	age := 90 * time.Minute

	f("", sample{})
	f("# nothing but a comment\n", sample{})
	f("---\ntext: a\n...\n", sample{Text: "a"})
	f("text: a\n---\n", sample{Text: "a"}) // An empty second document says nothing.
	f("\xef\xbb\xbftext: a\r\n", sample{Text: "a"})

	// Text is what stands there, whatever YAML 1.1 would make of it.
	f("text: on", sample{Text: "on"})
	f("text: 1.50", sample{Text: "1.50"})
	f("text: 012", sample{Text: "012"})
	f("text: 2026-01-01", sample{Text: "2026-01-01"})
	f(`text: "null"`, sample{Text: "null"})
	f("text: !!str 5", sample{Text: "5"})
	f("text: |\n  a\n  b\n", sample{Text: "a\nb\n"})

	// Null is unset.
	f("text: null\nflag: ~\nsmall:\nitems:\none:\nlabels: ~\n", sample{})

	f("flag: true", sample{Flag: true})
	f("flag: YES", sample{Flag: true})
	f("flag: on", sample{Flag: true})
	f("flag: no", sample{})
	f("flag: Off", sample{})
	f("small: -128", sample{Small: -128})
	f("count: 0x10", sample{Count: 16})
	f("share: .5", sample{Share: 0.5})
	f("share: 1e3", sample{Share: 1000})
	f("share: 2", sample{Share: 2})

	f("every: 30s", sample{Every: 30 * time.Second})
	f("every: 35d", sample{Every: 35 * 24 * time.Hour})
	f("every: 1w2d", sample{Every: 9 * 24 * time.Hour})
	f(`every: "1h30m"`, sample{Every: 90 * time.Minute})
	f("every: 1.5h", sample{Every: 90 * time.Minute})
	f("every: 0", sample{})
	f("lead: 30m", sample{Window: Window{30 * time.Minute}})
	f("maxAge: 1h30m", sample{MaxAge: &age})
	f("seasons: [24h, 1w]", sample{Seasons: []time.Duration{24 * time.Hour, 168 * time.Hour}})
	f("addr: ::1", sample{Addr: netip.IPv6Loopback()})
	f("labels: {on: off, a.b: 1}", sample{Labels: map[string]string{"on": "off", "a.b": "1"}})

	// Defaults go into every struct that the file has, where they are needed.
	f("items: [{}, {name: b, size: 2}]", sample{Items: []item{{Size: 7}, {Name: "b", Size: 2}}})
	f("items: []", sample{Items: []item{}})
	f("items: [null]", sample{Items: []item{{Size: 7}}})
	f("one: {}", sample{One: &item{Size: 7}})
	f("one: {size: 0}", sample{One: &item{Size: 7}})

	// Aliases and merges: own keys win, then the first of several.
	f("text: &t hello\nlabels: {a: *t}", sample{Text: "hello", Labels: map[string]string{"a": "hello"}})
	f("one: &o {name: a, size: 1}\nitems:\n- *o\n- {<<: *o, name: b}\n", sample{
		One: &item{"a", 1, false}, Items: []item{{"a", 1, false}, {"b", 1, false}},
	})
	f("items: [&a {name: a}, &b {name: b, size: 3}]\none: {<<: [*a, *b], ready: yes}", sample{
		Items: []item{{"a", 7, false}, {"b", 3, false}}, One: &item{"a", 3, true},
	})
	f("one: {<<: {size: 4}}", sample{One: &item{Size: 4}})
	f("tree: [[], [[]]]", sample{Tree: tree{{}, {{}}}})
}

func TestDecodeErrors(t *testing.T) {
	f := func(in string, want ...string) {
		t.Helper()
		var got sample
		_, errs := Decode("f.yaml", []byte(in), &got)
		if got := errs.Error(); got != strings.Join(want, "\n") {
			t.Errorf("%q:\n got %s\nwant %s", in, got, strings.Join(want, "\n     "))
		}
	}

	// All of them at once, by line, with the path.
	f("text: [a]\nitems:\n- name: a\n  sise: 1\n- size: big\none: {ready: maybe}\n",
		`f.yaml:1: text: must be text, not a list`,
		`f.yaml:4: items[0].sise: unknown key; did you mean "size"?`,
		`f.yaml:5: items[1].size: must be a whole number, not "big"`,
		`f.yaml:6: one.ready: must be true or false, not "maybe"`)

	f("max_age: 1m", `f.yaml:1: max_age: unknown key; did you mean "maxAge"?`)
	f("one: {colour: red}", `f.yaml:1: one.colour: unknown key; known here: name, ready, size`)
	f("nothing: {a: b}", `f.yaml:1: nothing.a: unknown key; none is known here`)
	f("internal: x", `f.yaml:1: internal: unknown key; known here: addr, callback, count, every, flag, items, labels, lead, maxAge, `+
		`nothing, one, seasons, share, small, text, tree`)
	f("a.b: 1", `f.yaml:1: ["a.b"]: unknown key; known here: addr, callback, count, every, flag, items, labels, lead, maxAge, `+
		`nothing, one, seasons, share, small, text, tree`)
	f("text: a\nflag: on\ntext: b", `f.yaml:3: text: is given twice: first on line 1`)
	f("labels: {a: b, a: c}", `f.yaml:1: labels.a: is given twice: first on line 1`)
	f("labels: {a.b: [], c: d}", `f.yaml:1: labels["a.b"]: must be text, not a list`)
	f("labels: {[a]: b}", `f.yaml:1: labels: a key must be text, not a list`)
	f("[1, 2]", `f.yaml:1: must be a mapping of keys to values, not a list`)
	f("hello", `f.yaml:1: must be a mapping of keys to values, not "hello"`)
	f("items: {}", `f.yaml:1: items: must be a list, not a mapping`)
	f("items: [a]", `f.yaml:1: items[0]: must be a mapping of keys to values, not "a"`)
	f("text: {}", `f.yaml:1: text: must be text, not a mapping`)
	f("text: !!binary aGk=", `f.yaml:1: text: the tag !!binary is not known here: remove it`)
	f("text: !secret a", `f.yaml:1: text: the tag !secret is not known here: remove it`)

	f(`flag: "true"`, `f.yaml:1: flag: must be true or false: remove the quotes`)
	f("flag: 1", `f.yaml:1: flag: must be true or false, not "1"`)
	f("flag: []", `f.yaml:1: flag: must be true or false, not a list`)
	f("small: 128", `f.yaml:1: small: 128 is too large`)
	f("small: 1.5", `f.yaml:1: small: must be a whole number, not "1.5"`)
	f("small: '5'", `f.yaml:1: small: must be a whole number: remove the quotes`)
	f("count: -1", `f.yaml:1: count: must be a whole number that is not negative, not "-1"`)
	f("share: .nan", `f.yaml:1: share: must be a number, not ".nan"`)
	f("share: NaN", `f.yaml:1: share: must be a number, not "NaN"`)
	f("share: 1e999", `f.yaml:1: share: must be a number, not "1e999"`)
	f("share: {}", `f.yaml:1: share: must be a number, not a mapping`)

	f("every: 30", `f.yaml:1: every: "30" has no unit: add one, as in 30s`)
	f("every: 1.5", `f.yaml:1: every: "1.5" has no unit: add one, as in 30s`)
	f(`every: ""`, `f.yaml:1: every: is empty: write a duration, as in 30s, or remove the key`)
	f("every: -5m", `f.yaml:1: every: must not be negative`)
	f("every: soon", `f.yaml:1: every: "soon" is not a duration: write one as in 30s, 1h30m or 35d`)
	f("every: 1000y", `f.yaml:1: every: "1000y" is not a duration: write one as in 30s, 1h30m or 35d`)
	f("seasons: [24h, 7]", `f.yaml:1: seasons[1]: "7" has no unit: add one, as in 30s`)
	f("seasons: 24h", `f.yaml:1: seasons: must be a list, not "24h"`)
	f("addr: here", `f.yaml:1: addr: ParseAddr("here"): unable to parse IP`)
	f("callback: x", `f.yaml:1: callback: cannot be set from a file: it is a func()`)

	f("one: {<<: 5}", `f.yaml:1: one: << can only merge a mapping or a list of mappings, not "5"`)
	// A mistake behind an anchor is shown where it stands, once for each place that uses it.
	f("items:\n- &a\n  size: x\n- *a\n",
		`f.yaml:3: items[0].size: must be a whole number, not "x"`,
		`f.yaml:3: items[1].size: must be a whole number, not "x"`)
}

func TestDecodeSyntaxErrors(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		_, errs := Decode("f.yaml", []byte(in), &sample{})
		if got := errs.Error(); got != want {
			t.Errorf("%q:\n got %s\nwant %s", in, got, want)
		}
	}
	f("text: a\nlabels:\n  a: b\n c: d\n", `f.yaml:4: this is not YAML: did not find expected key`)
	f("text: a\nflag: on\n\tsmall: 1\n", `f.yaml:3: this is not YAML: found a tab character that violates indentation`)
	f("text: a\none:\n\tsize: 1\n", `f.yaml:3: this is not YAML: found character that cannot start any token `+
		"(indent with spaces, not tabs, and quote text that begins with @ ` or %)")
	f("text: a\none: {name: b\nflag: on\n", `f.yaml:2: this is not YAML: did not find expected ',' or '}'`)
	f("small: 1\ntext: \"a\nflag: on\n", `f.yaml:2: this is not YAML: found unexpected end of stream`)
	f("small: 1\ntext: a: b\n", `f.yaml:2: this is not YAML: mapping values are not allowed in this context `+
		`(quote text that holds a colon and a space; check the indentation)`)
	f("small: 1\nflag\n", `f.yaml:2: this is not YAML: could not find expected ':'`)
	f("small: 1\n\ntext: *who\n", `f.yaml:3: this is not YAML: unknown anchor 'who' referenced`)
	f("small: 1\n\ntext: a\x01b\n", `f.yaml:3: this is not YAML: control characters are not allowed`)
	f("small: 1\ntext: a\xffb\n", `f.yaml:2: this is not YAML: invalid leading UTF-8 octet`)
	f("text: a\n---\ntext: b\n", `f.yaml:3: a second YAML document begins here: only one is read, put all of it into the first`)
	f("text: a\n---\n{\n", `f.yaml:3: this is not YAML: did not find expected node content`)
}

// TestDecodeBounds feeds the decoder files that expand without end: each must end in one error, and soon.
func TestDecodeBounds(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		start := time.Now()
		_, errs := Decode("f.yaml", []byte(in), &sample{})
		if got := errs.Error(); got != want {
			t.Errorf("got %.500s\nwant %s", got, want)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	}
	f("tree: &a [*a]", `f.yaml:1: values nest more than 64 deep here; does an anchor contain itself?`)
	f("labels: &a {<<: *a, b: c}", `f.yaml:1: values nest more than 64 deep here; does an anchor contain itself?`)
	f("tree: "+strings.Repeat("[", 100)+strings.Repeat("]", 100),
		`f.yaml:1: values nest more than 64 deep here; does an anchor contain itself?`)

	// Ten levels of ten aliases each: 10^10 empty lists, of which 10,000 + 20*(the file's nodes) are looked at.
	laughs := "tree:\n- &l0 []\n"
	for i := range 10 {
		old, own := string(rune('0'+i)), string(rune('1'+i))
		laughs += "- &l" + own + " [" + strings.TrimSuffix(strings.Repeat("*l"+old+", ", 10), ", ") + "]\n"
	}
	_, errs := Decode("f.yaml", []byte(laughs), &sample{})
	if len(errs) != 1 || errs[0].Problem != "aliases expand to far more than the file holds; write fewer of them" {
		t.Errorf("got %v", errs)
	}
	// An ordinary file: one long base, merged into many items.
	many := "one: &base {name: a, size: 1, ready: on}\nitems:\n" + strings.Repeat("- {<<: *base}\n", 10_000)
	var got sample
	if _, errs := Decode("f.yaml", []byte(many), &got); errs != nil || len(got.Items) != 10_000 {
		t.Errorf("%d items, %v", len(got.Items), errs)
	}
}

func TestDocumentLine(t *testing.T) {
	doc, errs := Decode("f.yaml", []byte("# comment\n\nitems:\n- name: a\n-\n  size: 2\nlabels:\n  a.b: c\none: &o\n  size: 1\n"), &sample{})
	if errs != nil {
		t.Fatal(errs)
	}
	f := func(field string, want int) {
		t.Helper()
		if got := doc.Line(field); got != want {
			t.Errorf("%s: line %d, want %d", field, got, want)
		}
	}
	f("", 3)
	f("items", 3)
	f("items[0]", 4)
	f("items[0].name", 4)
	f("items[0].size", 4) // Not in the file: the item.
	f("items[1]", 6)
	f("items[1].size", 6)
	f("items[2].name", 3) // Not in the file: the list.
	f(`labels["a.b"]`, 8)
	f(`labels["a.c"]`, 7)
	f("one", 9)
	f("one.size", 10)
	f("every", 3)
	if got := (&Document{}).Line("x.y"); got != 1 {
		t.Errorf("empty document: line %d, want 1", got)
	}
}

func TestDecodeIntoWhatIsNoPointer(t *testing.T) {
	if _, errs := Decode("f.yaml", nil, sample{}); errs.Error() != "f.yaml: cannot decode into a config.sample" {
		t.Errorf("got %v", errs)
	}
}

// FuzzDecode holds what must be true of any file: no panic, an end, every error with a line of the file, sorted.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"text: a\nitems: [{name: b}]\n", "tree: &a [*a]\n", "one: {<<: [{size: 1}]}\n", "a: {b: [1,2", "x: *y",
		"text: |\n  a\n---\nb", "every: 1h\nseasons: [1d, 2]\n", "? [a]\n: b\n", "\"text\": 'x'\n# c\n", "- - -\n", "!!map {}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, errs := Decode("f.yaml", data, &sample{})
		lines := strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").
			Replace(string(data)), "\n") + 1
		last := 0
		for _, e := range errs {
			if e.Line < 1 || e.Line > lines || e.Line < last || e.Problem == "" {
				t.Errorf("line %d of %d after line %d: %v", e.Line, lines, last, e)
			}
			last = e.Line
		}
		if line := doc.Line("items[0].name"); line < 1 || line > lines {
			t.Errorf("line %d of %d", line, lines)
		}
	})
}
