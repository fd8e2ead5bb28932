package catalog

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/forecast/series"
)

var enforced = rules.Tenancy{EnforceNamespace: new(true)}

// Whatever the template says, what is asked is of the namespace that reads.
func TestEnforcedRulesAskForTheirNamespaceOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := false
		external := queue()
		external.Tenancy, external.Resources.Namespaced = enforced, &open
		external.MetricsQuery = `<<.Series>>{namespace!="bank"} or other{<<.LabelMatchers>>}`
		custom := requests()
		custom.Tenancy = enforced
		custom.MetricsQuery = `sum(rate(<<.Series>>[2m])) by (<<.GroupBy>>) + on (<<.GroupBy>>) sum(x{<<.LabelMatchers>>}) by (<<.GroupBy>>)`
		p := shop()
		s := run(t, p, setup{custom: []legacy.Rule{custom}, external: []legacy.Rule{external}})
		s.alive.objects = map[string]labels.Set{"shop/web-1": nil}
		asked := func(got, value, query string) {
			t.Helper()
			if got != value {
				t.Errorf("got %s, want %s", got, value)
			}
			if p.times(query) != 1 {
				t.Errorf("asked %v, want %s", p.asked, query)
			}
		}
		asked(s.sum("shop", "queue_length", ""), "Queue_Length{__name__=Queue_Length,queue=mail}=3",
			`Queue_Length{namespace!="bank",namespace="shop"} or other{namespace="shop"}`)
		// An autoscaler that asks for another namespace gets what is in both: nothing.
		asked(s.sum("shop", "queue_length", "namespace=bank"), "Queue_Length{__name__=Queue_Length,queue=mail}=3",
			`Queue_Length{namespace!="bank",namespace="shop"} or other{namespace="bank",namespace="shop"}`)
		by := func(label string) string {
			return `sum by (` + label + `) (rate(http_requests_total{namespace="shop"}[2m])) + on (` + label + `) sum by (` + label +
				`) (x{namespace="shop",` + label + `!=""})`
		}
		asked(s.list("pods", "shop", "", perSecond, ""), "web-1=2500m", by("pod"))
		asked(s.one("pods", "shop", "web-1", perSecond), "Pod shop/web-1=2500m", by("pod"))
		asked(s.one("nodes", "shop", "n1", perSecond), "Node /n1=2500m", by("node")) // its share in the namespace
		before, _ := p.queries()
		matches(t, s.one("nodes", "", "n1", perSecond), `403 metric "http_requests_per_second" \(rules\[0\]\) may not be read from no namespace: `+
			`by enforceNamespace each reads its own series only`)
		matches(t, s.list("namespaces", "", "", perSecond, ""), `403 metric .* may not be read from no namespace: .*`)
		if after, _ := p.queries(); after != before {
			t.Errorf("%d queries for reads that are refused", after-before)
		}
		matches(t, s.one("namespaces", "", "shop", perSecond), `Namespace /shop=2500m`)
	})
}

func TestEnforcedRulesThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, unlabelled, two := queue(), queue(), queue()
		broken.Tenancy, unlabelled.Tenancy = enforced, enforced
		broken.MetricsQuery, broken.Name.As = `sum(<<.Series>>{<<.LabelMatchers>>}`, "broken"
		open := false
		unlabelled.Resources, unlabelled.Name.As = legacy.Resources{Namespaced: &open}, "unlabelled"
		two.Tenancy, two.MetricsQuery, two.Name.As = enforced, `info(<<.Series>>{<<.LabelMatchers>>})`, "info"
		s := run(t, shop(), setup{external: []legacy.Rule{broken, unlabelled, two}})
		matches(t, s.sum("shop", "broken", ""), `503 metric "broken" \(externalRules\[0\]\) has no value: cannot confine the query to namespace="shop": `+
			`it is neither PromQL nor MetricsQL: .*: correct the rule`)
		matches(t, s.sum("shop", "unlabelled", ""), `503 .*\(externalRules\[1\]\) has no value: enforceNamespace: no label is known to name namespaces: `+
			`add an override for it, or a template: correct the rule`)
		matches(t, s.sum("shop", "info", ""), `503 .*: info\(\) reads series beside those of its selectors: correct the rule`)
		if _, n := s.prom.queries(); n != 0 {
			t.Errorf("%d queries", n)
		}
	})
}

// Who may read is refused or not by the namespace; what is listed is the same for all.
func TestNamespacesThatMayRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		external, custom := queue(), requests()
		external.Namespaces, custom.Namespaces = []string{"shop", "team-*"}, []string{"shop"}
		s := run(t, shop(), setup{custom: []legacy.Rule{custom}, external: []legacy.Rule{external}})
		s.alive.objects = map[string]labels.Set{"shop/web-1": nil}
		const value = `Queue_Length\{__name__=Queue_Length,queue=mail\}=3`
		matches(t, s.sum("shop", "queue_length", ""), value)
		matches(t, s.sum("team-red", "queue_length", ""), value)
		matches(t, s.sum("bank", "queue_length", ""),
			`403 metric "Queue_Length" \(externalRules\[0\]\) may not be read from namespace "bank", only from shop, team-\*`)
		matches(t, s.list("pods", "shop", "", perSecond, ""), "web-1=2500m")
		matches(t, s.list("pods", "bank", "", perSecond, ""), `403 metric .* may not be read from namespace "bank", only from shop`)
		matches(t, s.one("namespaces", "", "shop", perSecond), "Namespace /shop=2500m")
		matches(t, s.one("namespaces", "", "bank", perSecond), "403 .*")
		matches(t, s.one("nodes", "", "n1", perSecond), `403 metric .* may not be read from no namespace, only from shop`)
		if len(s.ListAllExternalMetrics()) != 1 || len(s.ListAllMetrics()) != 4 {
			t.Errorf("listed %v and %v", s.ListAllExternalMetrics(), s.ListAllMetrics())
		}
		var counted float64
		families, err := s.reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == "foresail_reads_total" && strings.Contains(m.String(), `"forbidden"`) {
					counted += m.GetCounter().GetValue()
				}
			}
		}
		if counted != 4 {
			t.Errorf("%v forbidden reads are counted, want 4", counted)
		}
	})
}

// What is beyond a limit is an error that names it, never a part of the answer.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := shop()
		p.samples = func(expr string) []series.Point {
			if strings.Contains(expr, "large") {
				return []series.Point{sample(1, "pod", "a"), sample(2, "pod", "b"), sample(3, "pod", "c")}
			}
			return []series.Point{sample(1, "pod", "a"), sample(2, "pod", "b")}
		}
		s := run(t, p, setup{external: []legacy.Rule{queue()}, limits: standing.Limits{SeriesPerRule: 2, RulesPerNamespace: 2}})
		matches(t, s.sum("shop", "queue_length", "queue=small"), `\S+=1 \S+=2`)
		matches(t, s.sum("shop", "queue_length", "queue=large"), `503 metric "Queue_Length" \(externalRules\[0\]\) has no value: its query never succeeded: `+
			`the answer of backend "main" has 3 series, and limits.seriesPerRule is 2: aggregate the query, or raise the limit`)
		matches(t, s.sum("shop", "queue_length", "queue=third"), `403 metric "Queue_Length" \(externalRules\[0\]\) may not be read: `+
			`limits.rulesPerNamespace is reached: namespace "shop" has read 2 queries of rules in the last 10m0s, and may read 2: .*`)
		matches(t, s.sum("shop", "queue_length", "queue=small"), `\S+=1 \S+=2`) // it is kept already
		matches(t, s.sum("bank", "queue_length", "queue=third"), `\S+=1 \S+=2`)
		metrics := `
# HELP foresail_limit_exceeded_total Answers of a rule's query beyond the config's limit seriesPerRule, and reads of it refused by rulesPerNamespace.
# TYPE foresail_limit_exceeded_total counter
foresail_limit_exceeded_total{limit="rulesPerNamespace",rule="externalRules[0]"} 1
foresail_limit_exceeded_total{limit="seriesPerRule",rule="externalRules[0]"} 1
`
		if err := testutil.GatherAndCompare(s.reg, strings.NewReader(metrics), "foresail_limit_exceeded_total"); err != nil {
			t.Error(err)
		}
	})
}
