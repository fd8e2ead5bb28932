package oracle

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// What generated rules are made of: each part has the forms that are in the field, and some that are only possible.
var (
	seriesQueries = []string{
		`http_requests_total{namespace!="",pod!=""}`, `http_requests_total`, `{__name__=~"^http_.*",pod!=""}`, `{__name__=~"^http_request.*_total$"}`,
		`{__name__=~"^container_.*",container!="POD",namespace!="",pod!=""}`, `{namespace!="",__name__!~"^container_.*"}`, `{pod=~"web.+"}`,
		`worker_busy`, `worker_busy{app="workers"}`, `{__name__=~"odd_.*"}`, `{__name__=~"odd_(nan|half|long|negative|binary)"}`, `doubled`,
		`kube_deployment_status_replicas`, `{__name__=~"^kube_.*"}`, `node_load1`, `{__name__=~"node_.*|up"}`, `namespace_load`,
		`{__name__=~"namespace_.*"}`, `{__name__=~"app_.*"}`, `app_sessions`, `{__name__=~"my_metrics_.*"}`, `grouped_load`, `plain_group_load`,
		`nginx_ingress_controller_requests`, `kube_persistentvolume_capacity_bytes`, `kube_ingressclass_routes`, `queue_consumer_lag`, `foo_total_bar`,
		`rule:requests:rate5m`, `Upper_Case_Total`, `nothing_at_all`, `{__name__=~"^nothing.*"}`, `escaped`, `http_request_duration_seconds_bucket`,
	}
	externalSeries = []string{
		`queue_consumer_lag`, `{__name__=~"^queue_.*",name!=""}`, `{__name__=~"^queue_.*"}`, `queue_depth`, `rabbitmq_queue_messages`,
		`{__name__=~"^rabbitmq_.*"}`, `logging_googleapis_com:byte_count{monitored_resource="k8s_cluster"}`, `http_requests_total`, `{__name__=~"odd_.*"}`,
		`rule:requests:rate5m`, `Upper_Case_Total`, `nothing_at_all`, `namespace_load`, `queue_published_total`,
	}
	filterSets = []string{
		``, ``, ``, `[]`, `[{is: "^http_.*"}]`, `[{isNot: ".*_total$"}]`, `[{isNot: "^container_.*_seconds_total$"}, {is: "total"}]`, `[{is: "e"}, {isNot: "_bucket$"}]`,
		`[{is: "^queue_"}, {isNot: "topics"}]`,
	}
	resourceForms = []string{
		`{overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}`, `{overrides: {namespace: {resource: namespaces}, pod: {resource: pods}}}`,
		`{overrides: {namespace: {resource: namespace}, pod: {resource: pod}, service: {resource: service}}}`, `{template: "<<.Resource>>"}`, `{template: <<.Resource>>}`,
		`{template: "<<.Resource>>", overrides: {instance: {resource: node}}}`, `{overrides: {namespace: {resource: namespace}, deployment: {group: apps, resource: deployment}}}`,
		`{overrides: {namespace: {resource: namespace}, deployment: {group: app, resource: deployment}}}`, `{overrides: {namespace: {resource: namespace}, deployment: {resource: deployments}}}`,
		`{template: "kube_<<.Resource>>"}`, `{template: "kubernetes_<<.Resource>>_name", overrides: {kubernetes_namespace: {resource: namespace}}}`,
		`{overrides: {kubernetes_namespace: {resource: namespace}, kubernetes_pod_name: {resource: pod}}}`, `{template: "k_<<.Group>>_<<.Resource>>"}`,
		`{template: "<<.Group>>_<<.Resource>>", overrides: {ns_namespace: {resource: namespace}}}`, `{template: "exported_<<.Resource>>"}`,
		`{template: "exported_<<.Resource>>", overrides: {ingress: {group: networking.k8s.io, resource: ingress}}}`, `{overrides: {node: {resource: node}}}`,
		`{overrides: {instance: {resource: node}, namespace: {resource: namespaces}}}`, `{overrides: {persistentvolume: {resource: persistentvolume}}}`,
		`{overrides: {ingressclass: {group: networking.k8s.io, resource: ingressclass}}}`, `{overrides: {namespace: {resource: namespace}}}`, ``, `{}`,
		`{overrides: {pod: {resource: pod}}}`, `{template: "<<.Resource>>", namespaced: false}`, `{template: "<<with .Resource>><<.>><<end>>"}`,
	}
	externalForms = []string{
		`{overrides: {namespace: {resource: namespace}}}`, `{overrides: {namespace: {resource: namespace}}}`, `{template: "<<.Resource>>"}`, `{namespaced: false}`,
		`{namespaced: false}`, `{namespaced: true, overrides: {namespace: {resource: namespaces}}}`, ``, `{namespaced: off, template: "<<.Resource>>"}`,
	}
	namings = []string{
		``, ``, `{matches: "^(.*)_total$"}`, `{matches: "^(.*)_total", as: ""}`, `{matches: "^(.*)_total$", as: "${1}_per_second"}`, `{matches: "", as: ""}`,
		`{matches: "^(.+)_([a-z]+)$", as: "${2}_of_${1}"}`, `{as: fixed_name}`, `{matches: "total"}`, `{matches: "^(?P<what>[^_]+)_", as: "${what}x"}`, `{as: "$0"}`,
		`{matches: "^http_(.*)$"}`, `{matches: "_(.*)_"}`, `{matches: "(a)?(.*)", as: "$2$1"}`, `{as: 1.5}`, `{as: "Mixed_Case_$0"}`,
	}
	metricsQueries = []string{
		`sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)`, `sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)`,
		`sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)`, `sum(rate(<<.Series>>{<<.LabelMatchers>>,container!="POD"}[5m])) by (<<.GroupBy>>)`,
		`avg by (<<.GroupBy>>) (<<.Series>>{<<.LabelMatchers>>})`, `<<.Series>>{<<.LabelMatchers>>}`, `sum(<<.Series>>{<<.LabelMatchers>>}) by (<<index .GroupBySlice 0>>)`,
		`sum(<<.Series>>{<<.LabelMatchers>>}) by (<<range .GroupBySlice>><<.>>,<<end>>)`, `<<printf "sum(%s{%s})" .Series .LabelMatchers>> by (<<.GroupBy>>)`,
		`sum(<<.Series>>{namespace="<<index .LabelValuesByName "namespace">>"}) by (<<.GroupBy>>)`,
		`sum(<<.Series>>{namespace="<<.LabelValuesByName.namespace>>",pod=~"<<.LabelValuesByName.pod>>"}) by (<<.GroupBy>>)`,
		`sum(<<.Series>>{<<range $k, $v := .LabelValuesByName>><<$k>>=~"<<$v>>",<<end>>}) by (<<.GroupBy>>)`, `topk(2, sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>))`,
		`scalar(sum(<<.Series>>{<<.LabelMatchers>>}))`, `sum(<<.Series>>{<<.LabelMatchers>>})`, `count(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>) or vector(0)`,
		`max_over_time(sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)[5m:1m])`, `sum(<<.Series>>{<<.LabelMatchers>>} offset 1m) by (<<.GroupBy>>)`,
		`sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>) / scalar(count(<<.Series>>{<<.LabelMatchers>>}))`, `sum(<<.Missing>>) by (<<.GroupBy>>)`,
		`<<if eq .Series "worker_busy">>max<<else>>sum<<end>>(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)`, `sum(<<.Series>>{<<.LabelMatchers>>}`,
		`histogram_quantile(0.9, sum(rate(<<.Series>>{<<.LabelMatchers>>}[5m])) by (le, <<.GroupBy>>))`, `sum(<<.Series>>{<<.LabelMatchers>>}) without (code, method)`,
		`label_replace(sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>), "x", "$1", "<<.GroupBy>>", "(.*)")`, `100 * avg(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)`,
		"sum by (<<.GroupBy>>) (\n  irate(\n    <<.Series>>{<<.LabelMatchers>>}[1m]\n  )\n)", `<<.Series>>{<<.LabelMatchers>>} > 1000`, `<<.Series>>`, `<<>>`,
		`sum(<<.Series>>{<<.LabelMatchers>>}) by (namespace, <<.GroupBy>>)`, `sum({__name__=~"<<.Series>>.*",<<.LabelMatchers>>}) by (<<.GroupBy>>)`,
		`sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>) and on (<<.GroupBy>>) <<.Series>>{<<.LabelMatchers>>}`, `<<.GroupBySlice>>`,
	}
)

// generate returns a config of some custom rules and perhaps external ones.
func generate(random *rand.Rand) string {
	var b strings.Builder
	section := func(name string, n int, series, resources []string) {
		if n > 0 {
			fmt.Fprintf(&b, "%s:\n", name)
		}
		for range n {
			fmt.Fprintf(&b, "- seriesQuery: %q\n  metricsQuery: %q\n", pick(random, series), pick(random, metricsQueries))
			field := func(name, value string) {
				if value != "" {
					fmt.Fprintf(&b, "  %s: %s\n", name, value)
				}
			}
			field("seriesFilters", pick(random, filterSets))
			field("resources", pick(random, resources))
			field("name", pick(random, namings))
		}
	}
	section("rules", 1+random.IntN(3), seriesQueries, resourceForms)
	section("externalRules", random.IntN(3), externalSeries, externalForms)
	return b.String()
}
