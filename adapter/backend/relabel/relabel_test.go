package relabel

import (
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"go.yaml.in/yaml/v3"
)

// A rule does what the same one does in a config file of Prometheus', whose keys have other names.
func TestRulesAreThoseOfPrometheus(t *testing.T) {
	key := strings.NewReplacer("sourceLabels", "source_labels", "targetLabel", "target_label")
	before := labels.FromStrings("__name__", "foresail_forecast", "a", "x;y", "b", "Y", "tmp_c", "z", "y", "Y")
	for _, text := range []string{
		`{targetLabel: replica, replacement: "0"}`,
		`{targetLabel: a, replacement: ""}`,
		`{sourceLabels: [a, b], targetLabel: d}`,
		`{sourceLabels: [a, b], separator: "", regex: "x;(.)Y", targetLabel: "${1}_e", replacement: "<$1>"}`,
		`{sourceLabels: [a, b], separator: "", regex: "", targetLabel: d}`,
		`{sourceLabels: [__name__], regex: "foresail_.*", action: keep}`,
		`{sourceLabels: [__name__], regex: foresail, action: keep}`,
		`{sourceLabels: [__name__], regex: "foresail_.*", action: Drop}`,
		`{sourceLabels: [b], targetLabel: y, action: keepequal}`,
		`{sourceLabels: [b], targetLabel: y, action: dropequal}`,
		`{sourceLabels: [a], modulus: 7, targetLabel: shard, action: hashmod}`,
		`{regex: "tmp_(.*)", action: labelmap}`,
		`{regex: "tmp_.*", action: labeldrop}`,
		`{regex: "__name__|a", action: labelkeep}`,
		`{sourceLabels: [a], targetLabel: a, action: uppercase}`,
		`{sourceLabels: [b], targetLabel: b, action: lowercase}`,
	} {
		var rule Rule
		if err := yaml.Unmarshal([]byte(text), &rule); err != nil {
			t.Fatal(err)
		}
		rule.Validate(func(field, problem string) { t.Errorf("%s: %s: %s", text, field, problem) })
		own, err := rule.Config()
		if err != nil {
			t.Fatal(err)
		}
		var theirs relabel.Config
		if err := yaml.Unmarshal([]byte(key.Replace(text)), &theirs); err != nil {
			t.Fatal(err)
		}
		theirs.NameValidationScheme = own.NameValidationScheme
		f := func(c *relabel.Config) (string, bool) {
			b := labels.NewBuilder(before)
			kept := relabel.ProcessBuilder(b, c)
			return b.Labels().String(), kept
		}
		got, kept := f(own)
		want, wantKept := f(&theirs)
		if got != want || kept != wantKept {
			t.Errorf("%s gives %s, %v; with Prometheus it is %s, %v", text, got, kept, want, wantKept)
		}
	}
}

func TestMistakes(t *testing.T) {
	bad, empty := "(", ""
	for want, rule := range map[string]Rule{
		"regex: not a regular expression: error parsing regexp: missing closing ): `^(?s:()$`":                                       {Regex: &bad},
		`action: "swap" is none of [replace keep drop keepequal dropequal hashmod labelmap labeldrop labelkeep lowercase uppercase]`: {Action: "swap"},
		`action: relabel configuration for replace action requires 'target_label' value`:                                             {},
		`action: relabel configuration for hashmod requires non-zero modulus`:                                                        {Action: "hashmod", TargetLabel: "x"},
		`action: labeldrop action requires only 'regex', and no other fields`:                                                        {Action: "labeldrop", Separator: &empty},
	} {
		var got []string
		rule.Validate(func(field, problem string) { got = append(got, field+": "+problem) })
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
