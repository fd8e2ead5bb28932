package legacy

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

// FuzzQuery holds what must be true of any template and selector: no panic; a query or an error; the same again; and of
// the query for all objects, that it differs from that for one in the matcher of names alone.
func FuzzQuery(f *testing.F) {
	for _, seed := range [][2]string{
		{"sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)", "a=b,c in (d,e),!f,g notin (h),i!=j,k"},
		{`<<index .LabelValuesByName "pod">><<.LabelValuesByName.a>>`, "a>1"},
		{"<<range $k, $v := .LabelValuesByName>><<$k>>=<<$v>>,<<end>>", "pod=x"},
		{"<<with .LabelMatchers>>s{<<.>>}<<else>><<$>><<end>>", "a in ()"},
		{`<<define "x">><<.>><<end>><<template "x" .>>`, "namespace=y"},
		{"<<- $x := .GroupBySlice ->><<len $x>> # <<.LabelMatchers>>", ""},
		{"a{<<.LabelMatchers>>} / on (x) group_left (pod) <<(.Series)>>", "x.y/z=1"},
		{"<<block `b` .>><<break>><<end>>", "=" + mark},
		{"{'<<.LabelMatchers>>'}", "pod=" + mark},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, template, selectorText string) {
		if strings.ContainsAny(template, "%") || strings.Contains(template, "range") && !strings.Contains(template, "range $k, $v := .LabelValuesByName") {
			return // A width, or a range over a number, may cost any time; both are the administrator's to write.
		}
		s, err := labels.Parse(selectorText)
		if err != nil {
			s = nil
		}
		c, err := Compile(Rule{MetricsQuery: template, Resources: podOverrides}, Options{Mapper: cluster()})
		if err != nil {
			return
		}
		e := Entry{Resource: pods, Namespaced: true, Series: "s"}
		one, oneErr := c.Render(e, "n", []string{"a"}, s)
		again, againErr := c.Render(e, "n", []string{"a"}, s)
		if one != again || (oneErr == nil) != (againErr == nil) || (one == "") != (oneErr != nil) {
			t.Errorf("%q, %v and %q, %v", one, oneErr, again, againErr)
		}
		if _, err := c.RenderExternal(e, "n", s); err != nil && oneErr == nil && errors.Is(err, ErrSelector) {
			t.Errorf("a selector for one API only: %v", err)
		}
		batch, err := c.Batched(e, "n", s)
		if err != nil {
			return
		}
		if strings.ReplaceAll(batch.Query, `pod!=""`, `pod="a"`) != strings.ReplaceAll(one, `pod!=""`, `pod="a"`) {
			t.Errorf("\none %s\nall %s", one, batch.Query)
		}
	})
}

// FuzzResources holds what must be true of any template for labels and any label: no panic, and that a label that
// stands for a resource by the core or a group of the cluster makes an entry of that.
func FuzzResources(f *testing.F) {
	for _, seed := range [][2]string{
		{"<<.Resource>>", "pod"}, {"kube_<<.Group>>_<<.Resource>>", "kube_networking_k8s_io_ingress"}, {"<<.Resource>>_<<.Resource>>", "x_pod"},
		{"<<.>>", "pod.apps"}, {"(<<.Resource>>|x)", "x"}, {"<<.Resource>><<.Group>>", "podapps"}, {"<<if .Group>>a<<end>><<.Resource>>", "anode"},
		{"<<.Group>>", "x"}, {"<<.Resource | printf `%.2s`>>", "po"}, {"<<", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, template, label string) {
		if strings.ContainsAny(template, "%") || strings.Contains(template, "range") {
			return // As in FuzzQuery.
		}
		c, err := Compile(Rule{Resources: Resources{Template: template}}, Options{Mapper: cluster()})
		if err != nil {
			return
		}
		entries, err := c.Entries([]Series{{Name: "x", Labels: []string{label}}})
		if err != nil || len(entries) > 1 {
			t.Fatalf("%v, %v", entries, err)
		}
		for _, e := range entries {
			if r, err := cluster().ResourceFor(e.Resource); err != nil || r.GroupResource != e.Resource || r.Namespaced != e.Namespaced {
				t.Errorf("%+v is %+v, %v", e, r, err)
			}
		}
	})
}

// FuzzNames holds what must be true of any name and filter: no panic, and names of series that pass the filters alone.
func FuzzNames(f *testing.F) {
	for _, seed := range [][4]string{
		{"^(.*)_total$", "${1}_per_second", "x", "x_total"}, {"", "", "", "up"}, {"(a)(b)", "$2", "", "ab"}, {"(", "", "", ""},
		{"(?P<n>.)", "$n", "(?i)A", "a"}, {"a|", "$0$$", "^$", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, matches, as, isNot, series string) {
		rule := Rule{Name: Name{Matches: matches, As: as}}
		if isNot != "" {
			rule.SeriesFilters = []Filter{{IsNot: isNot}}
		}
		c, err := Compile(rule, Options{Mapper: cluster()})
		if err != nil {
			return
		}
		entries := c.ExternalEntries([]Series{{Name: series}, {Name: series}})
		passes := c.naming.pattern.MatchString(series) && (isNot == "" || !c.filters[0].pattern.MatchString(series))
		if passes != (len(entries) == 1) || len(entries) > 1 {
			t.Errorf("%+v", entries)
		}
	})
}
