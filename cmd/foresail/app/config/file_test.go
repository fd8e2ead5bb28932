package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/foresail/foresail/adapter/backend"
	"github.com/foresail/foresail/adapter/backend/relabel"
	"github.com/foresail/foresail/adapter/ceiling"
	"github.com/foresail/foresail/adapter/keda"
	"github.com/foresail/foresail/adapter/legacy"
	"github.com/foresail/foresail/adapter/planned"
	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/adapter/standing"
	"github.com/foresail/foresail/collectors/kafka"
	"github.com/foresail/foresail/collectors/kafka/connect"
	"github.com/foresail/foresail/collectors/nodemem"
	"github.com/foresail/foresail/collectors/rpc"
	"github.com/foresail/foresail/export/cloudwatch"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
	"github.com/foresail/foresail/forecast/slots"
)

const day = 24 * time.Hour

// ofOneShard is said of each query of the store in a file of shards.
const ofOneShard = ": with shards the embedded store has the series of one of them: " +
	`have them written to a server that all shards ask (remoteWrite), and name that, as "main"`

// bad holds, for each testdata/NAME.bad.yaml, all lines of its error, from the colon after the file's name on. There is
// one file for each way in which a config file can be wrong; each package's own checks have their tests there.
var bad = map[string][]string{
	"syntax":        {`:3: this is not YAML: mapping values are not allowed in this context (quote text that holds a colon and a space; check the indentation)`},
	"not_a_mapping": {`:1: must be a mapping of keys to values, not a list`},
	"two_documents": {`:3: a second YAML document begins here: only one is read, put all of it into the first`},
	"unknown_key":   {`:5: metrics[0].forcast: unknown key; did you mean "forecast"?`},
	"duplicate_key": {`:5: metrics[0].query: is given twice: first on line 3`},
	"wrong_type": {
		`:2: metrics[0].name: must be text, not a list`,
		`:5: metrics[0].interval: "15" has no unit: add one, as in 30s`,
	},
	"billion_laughs": {
		`:1: metrics[0]: must be a mapping of keys to values, not a list`,
		`:1: metrics[1]: must be a mapping of keys to values, not a list`,
	},
	"metric_expect": {
		`:4: metrics[0].external.expect.engine: no series of the query's result can have this label: keep it there, as in sum by (engine) (...)`,
		`:8: metrics[1].external.expect: "module" has no value, or an empty one: list those of which there must be series, as in {engine: [bi, ml]}`,
		`:9: metrics[1].external.expect.engine: "ml" is listed twice: remove one`,
		`:13: metrics[2].external.expect: cannot be told for each namespace: remove it, or namespaceLabel`,
	},
	"many": {
		`:2: metrics[0].name: missing: name the metric as autoscalers ask for it`,
		`:2: metrics[0].query: this is not PromQL: at character 6: expected type range vector in call to function "rate", got instant vector`,
		`:6: metrics[1].backend: there is no backend "prom": known are store`,
		`:8: metrics[1].interval: 1ms is too short: use 1s or more`,
		`:9: metrics[1].forecast.lead: 48h0m0s is more than 120 steps of 5m0s: use a longer step or a shorter lead`,
		`:9: metrics[1].forecast.quantile: 90 is not between 0.5 and 0.99`,
		`:9: metrics[1].forecast.lead: 48h0m0s is longer than the shortest season, 24h0m0s`,
	},
	"metric_name_missing":      {`:2: metrics[0].name: missing: name the metric as autoscalers ask for it`},
	"metric_name_slash":        {`:2: metrics[0].name: "shop/load" cannot stand in the path of a request: use letters, digits and _`},
	"metric_name_star":         {`:2: metrics[0].name: "*" asks for all metrics: give the metric a name of its own`},
	"metric_name_dot":          {`:2: metrics[0].name: ".." cannot stand in the path of a request: use letters, digits and _`},
	"metric_name_long":         {`:2: metrics[0].name: longer than 253 bytes: shorten it`},
	"metric_name_twice":        {`:5: metrics[1].name: "LOAD" is the name of metrics[0] too (case does not count): rename one of them`},
	"metric_name_of_forecast":  {`:6: metrics[1].name: "Load_forecast" is the name of the forecast of metrics[0] too: rename one of them, or remove that forecast`},
	"metric_interval_short":    {`:5: metrics[0].interval: 500ms is too short: use 1s or more`},
	"metric_max_age_short":     {`:6: metrics[0].maxAge: 30s is shorter than the interval, 1m0s: a value would be too old before the next one comes`},
	"metric_nan":               {`:5: metrics[0].nan: "zero" is neither omit nor error`},
	"metric_backend_unknown":   {`:8: metrics[0].backend: there is no backend "mian": known are main, store`},
	"api_missing":              {`:2: metrics[0]: nothing says where to serve it: add external: {}, pods: {} or object: {resource: ...}`},
	"api_two":                  {`:2: metrics[0]: more than one of external, pods and object: keep one, and write another metric for the other`},
	"object_resource_missing":  {`:4: metrics[0].object.resource: missing: name the resource in the plural with its group, as in deployments.apps`},
	"object_resource_kind":     {`:4: metrics[0].object.resource: "Deployment" is not a resource: write it in lower case and in the plural with its group, as in deployments.apps`},
	"object_resource_pods":     {`:4: metrics[0].object.resource: pods are served by pods: {}: write that in place of object`},
	"object_resource_no_group": {`:4: metrics[0].object.resource: deployments has no group: write deployments.apps`},
	"object_namespace_of_none": {`:4: metrics[0].object.namespaceLabel: nodes are in no namespace: remove it`},
	"limit_backend":            {`:5: metrics[0].limit.backend: there is no backend "mian": known are store`},
	"limit_max_age":            {`:5: metrics[0].limit.maxAge: 10ms is too short: use 1s or more`},
	"limit_missing":            {`:5: metrics[0].limit.amount: missing: give an amount above 0 and up to 9e12, or a query that tells it`},
	"limit_per_pod":            {`:5: metrics[0].limit.perPod: -1: give what one pod carries in whole thousandths, as an averageValue is`},
	"limit_pods":               {`:5: metrics[0].limit: is for external metrics, which are one demand: serve this one by external: {}`},
	"limit_query":              {`:5: metrics[0].limit.query: this gives a range vector, which has no single value: wrap it in rate(), max_over_time() or the like`},
	"limit_reserve":            {`:5: metrics[0].limit.reserve: "ten" is neither an amount, as in 2, nor a share below 100%, as in 10%`},
	"limit_reserve_all":        {`:5: metrics[0].limit.reserve: 20 of 20 leaves nothing`},
	"limit_two":                {`:5: metrics[0].limit.amount: there is a query, too: keep one of them`},
	"pool_budget":              {`:7: pools[0].budget.amount: missing: give an amount above 0 and up to 9e12, or a query that tells it`},
	"pool_cost":                {`:9: pools[0].members[0].cost: 0.0001: give what one pod takes of the budget in whole thousandths`},
	"pool_members":             {`:6: pools[0].members: 0 members: list from 1 to 1000 metrics that share the budget`},
	"pool_metric_pods":         {`:9: pools[0].members[0].metric: "each" is not an external metric, which are one demand: serve it by external: {}`},
	"pool_metric_twice": {
		`:10: pools[0].members[1].metric: "chat" is a member of pools[0] already: it can take from one pool only`,
		`:14: pools[1].members[0].metric: "chat" is a member of pools[0] already: it can take from one pool only`,
	},
	"pool_metric_unknown":            {`:9: pools[0].members[0].metric: there is no metric "chatter" in metrics: members are metrics of the short form`},
	"pool_minimum":                   {`:9: pools[0].members[0].minimum: -1 is not a number of pods`},
	"pool_minimums":                  {`:8: pools[0].members: the minimums take 21, and the budget is 20: lower some of them, or remove members`},
	"pool_name":                      {`:6: pools[0].name: missing: name the pool, as metrics and explain tell of it`},
	"pool_name_twice":                {`:10: pools[1].name: "gpu" is the name of pools[0] too: rename one of them`},
	"pool_per_pod":                   {`:9: pools[0].members[0].perPod: 33.3333: give what one pod carries in whole thousandths, as an averageValue is`},
	"pool_weight":                    {`:9: pools[0].members[0].weight: 1e+06 is not between 0.001 and 1000`},
	"query_missing":                  {`:2: metrics[0].query: missing: write the PromQL that gives the metric`},
	"query_not_promql":               {`:3: metrics[0].query: this is not PromQL: at character 6: unclosed left parenthesis`},
	"query_not_metricsql":            {`:6: metrics[0].query: this is neither PromQL nor MetricsQL: at character 6: unclosed left parenthesis`},
	"query_only_metricsql":           {`:3: metrics[0].query: this is not PromQL: at character 6: expected type range vector in call to function "rate", got instant vector`},
	"query_range":                    {`:3: metrics[0].query: this gives a range vector, which has no single value: wrap it in rate(), max_over_time() or the like`},
	"query_text":                     {`:3: metrics[0].query: this gives text, not numbers`},
	"query_drops_pod":                {`:3: metrics[0].query: no series of the result can have the label "pod", by which it is served: keep it, as in sum by (namespace, pod) (...)`},
	"query_drops_namespace":          {`:3: metrics[0].query: no series of the result can have the label "namespace", by which it is served: keep it, as in sum by (namespace, pod) (...)`},
	"query_drops_object":             {`:3: metrics[0].query: no series of the result can have the label "svc", by which it is served: keep it, as in sum by (namespace, svc) (...)`},
	"query_drops_external_namespace": {`:3: metrics[0].query: no series of the result can have the label "namespace", by which it is served: keep it, as in sum by (namespace) (...)`},
	"query_scalar_for_pods":          {`:3: metrics[0].query: no series of the result can have the label "pod", by which it is served: keep it, as in sum by (namespace, pod) (...)`},
	"forecast_quantile":              {`:5: metrics[0].forecast.quantile: 0.999 is not between 0.5 and 0.99`},
	"forecast_lead_beyond_season":    {`:5: metrics[0].forecast.lead: 2h0m0s is longer than the shortest season, 1h0m0s`},
	"forecast_step_below_interval":   {`:6: metrics[0].forecast.step: 5m0s is shorter than the metric's interval, 10m0s: most steps would have no sample`},
	"forecast_calendar": {
		`:5: metrics[0].forecast.timezone: "Europe/Berln" is not a time zone: use a name of the IANA database such as Europe/Berlin`,
		`:10: metrics[1].forecast.calendar[0].file: cannot read the calendar: open testdata/none.ics: no such file or directory`,
		`:11: metrics[1].forecast.calendar[1].file: cannot use rule_two_documents.bad.yaml: line 1: RULES is outside of a VCALENDAR`,
		`:12: metrics[1].forecast.calendar[2].day: "24.12.2026" is not a date such as 2026-12-25`,
		`:13: metrics[1].forecast.calendar[3].to: the event does not end after it begins`,
		`:14: metrics[1].forecast.calendar[4]: to and uplift belong to an event with from`,
		`:15: metrics[1].forecast.calendar[5].uplift: -1 is not above 0 and at most 1000`,
		`:16: metrics[1].forecast.absent: "nil" is neither "missing" nor "zero"`,
	},
	"forecast_season_no_multiple": {`:5: metrics[0].forecast.seasons[1]: 24h0m1s is not a multiple of the step 5m0s`},
	"backend_name_missing":        {`:2: backends[0].name: missing: name the backend, so that metrics can choose it`},
	"backend_name_store":          {`:2: backends[0].name: "store" is the embedded store: choose another name`},
	"backend_name_twice":          {`:4: backends[1].name: "main" is the name of backends[0] too: rename one of them`},
	"backend_url_missing":         {`:2: backends[0].prometheus.url: missing: give the server's address, such as http://prometheus.monitoring.svc:9090`},
	"store_retention":             {`:1: store.retention: 1m0s is below 1h: forecasts need days of history, 35d by default`},
	"remote_write_relabel":        {`:4: remoteWrite[0].writeRelabel[0].action: relabel configuration for replace action requires 'target_label' value`},
	"remote_write_password":       {`:2: remoteWrite[0].url: a password does not belong in the address: use basicAuth`},
	"keda": {
		`:1: kedaScaler.keyFile: missing: KEDA's operator proves who it is by a certificate, as nothing else keeps others from reading; insecure: true does without`,
		`:1: kedaScaler.clientCAFile: missing: KEDA's operator proves who it is by a certificate, as nothing else keeps others from reading; insecure: true does without`,
		`:2: kedaScaler.listen: "6000" is not host:port: write it as in ":6000"`,
	},
	"keda_insecure": {`:4: kedaScaler.clientCAFile: not used with insecure: remove one of the two`},
	"shards": {
		`:4: shards.backend: "store" is not one that all shards ask: name one of backends`,
		":5: shards.interval: 10ms is too short: use 1s or more",
	},
	"shards_metric":         {`:6: metrics[0].backend` + ofOneShard},
	"shards_limit":          {`:7: metrics[0].limit.backend` + ofOneShard},
	"shards_pool":           {`:7: pools[0].budget.backend` + ofOneShard},
	"shards_boost":          {`:6: boost[0].backend` + ofOneShard},
	"shards_rules":          {`:7: rules[0].backend` + ofOneShard, `:11: externalRules[0].backend` + ofOneShard},
	"shards_resource_rules": {`:10: resourceRules.backend` + ofOneShard},
	"shards_cloudwatch":     {`:7: cloudWatch.metrics[1].backend` + ofOneShard},
	"cloudwatch": {
		`:2: cloudWatch.namespace: names that begin with AWS/ are those of AWS' own services: choose another one`,
		`:4: cloudWatch.metrics[0].unit: "Messages" is none of CloudWatch's: use Count, Count/Second, Seconds, Bytes, None or the like`,
		`:5: cloudWatch.metrics[1].backend: there is no backend "mian": name one of backends, or store`,
	},
	"standalone_pods":           {`:5: metrics[0].pods: needs a cluster, and there is none with standalone: leave it out`},
	"standalone_object":         {`:5: metrics[0].object: needs a cluster, and there is none with standalone: leave it out`},
	"standalone_rules":          {`:2: rules: needs a cluster, and there is none with standalone: write what is to be known under metrics`},
	"standalone_external_rules": {`:2: externalRules: needs a cluster, and there is none with standalone: write what is to be known under metrics`},
	"standalone_resource_rules": {`:2: resourceRules: needs a cluster, and there is none with standalone: write what is to be known under metrics`},
	"standalone_grpc_pods":      {`:5: collectors.grpc[0].pods: needs a cluster, and there is none with standalone: list the servers under targets`},
	"standalone_metrics_api":    {`:4: collectors.nodeMemory[0].source: needs a cluster, and there is none with standalone: use proc, or nodeExporter with targets`},
	"standalone_nodes": {
		`:4: collectors.nodeMemory[0].targets: missing: with standalone there is no cluster that knows the nodes: list their pages`,
		`:5: collectors.nodeMemory[1].targets: missing: with standalone there is no cluster that knows the nodes: list their pages`,
	},
	"web_config":              {`:1: web.configFile: cannot use the web config file testdata/web.bad.yml: yaml: unmarshal errors: line 1: field basic_auth_user not found in type web.Config`},
	"web_listen":              {`:1: web.listen: "8080" is not host:port: write it as in ":8080", or "" for no port`},
	"kafka_name_twice":        {`:4: collectors.kafka[1].name: "orders" is the name of kafka[0] too: rename one of them`},
	"kafka_broker":            {`:4: collectors.kafka[0].brokers[0]: "kafka" is not host:port`},
	"kafka_group_missing":     {`:5: collectors.kafka[0].groups[0].group: name the consumer group's id`},
	"kafka_no_groups":         {`:5: collectors.kafka[0].groups: name at least one consumer group`},
	"kafka_alias":             {`:5: collectors.kafka[0].groups[0].alias: "a:b" cannot be selected by an HPA: use up to 63 of A-Z, a-z, 0-9, ., _ and -, with a letter or digit at both ends`},
	"kafka_alias_taken":       {`:5: collectors.kafka[0].groups[1]: is called "a" like groups[0]: give one of them another alias`},
	"kafka_aliases":           {`:6: collectors.kafka[0].aliases: "kminion" is not kafka_exporter: use that, or leave it out`},
	"kafka_topic_twice":       {`:5: collectors.kafka[0].groups[0].topics[1]: "t" is named twice`},
	"kafka_no_commit":         {`:5: collectors.kafka[0].groups[0].noCommit: "newest" is none of earliest, latest, ignore`},
	"kafka_bootstrap":         {`:5: collectors.kafka[0].groups[0].bootstrapMin: name the group's topics: before its first commit nothing else tells what it reads`},
	"kafka_negative":          {`:5: collectors.kafka[0].groups[0].tailSlack: must not be negative`},
	"kafka_drain_within":      {`:5: collectors.kafka[0].groups[0].drainWithin: 5ms is too short: use 1s or more`},
	"kafka_consumers_per_pod": {`:5: collectors.kafka[0].groups[0].consumersPerPod: -2 is not possible: use 1 or more`},
	"kafka_interval":          {`:6: collectors.kafka[0].interval: 10ms is too short: use 1s or more`},
	"kafka_tls":               {`:6: collectors.kafka[0].tls.keyFile: name the file of the certificate's key, too`},
	"kafka_tls_cert":          {`:6: collectors.kafka[0].tls.certFile: name the file of the key's certificate, too`},
	"kafka_sasl":              {`:6: collectors.kafka[0].sasl.mechanism: "GSSAPI" is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER and AWS_MSK_IAM`},
	"kafka_sasl_password":     {`:6: collectors.kafka[0].sasl.passwordFile: missing: PLAIN needs it`},
	"kafka_sasl_no_use":       {`:6: collectors.kafka[0].sasl.username: AWS_MSK_IAM has no use for it: leave it out`},
	"kafka_sasl_token":        {`:6: collectors.kafka[0].sasl.tokenFile: name a file that holds the token, or a tokenURL to get it from`},
	"kafka_sasl_token_twice":  {`:6: collectors.kafka[0].sasl.tokenURL: there is a tokenFile already: leave one of them out`},
	"kafka_sasl_token_url":    {`:6: collectors.kafka[0].sasl.tokenURL: "b" is not an http or https URL`},
	"grpc_name_twice":         {`:5: collectors.grpc[1].name: "shop" is the name of grpc[0] too: rename one of them`},
	"grpc_target":             {`:4: collectors.grpc[0].targets[0].url: "10.0.0.7:9090" is not an address like http://host:port/metrics`},
	"grpc_no_servers":         {`:3: collectors.grpc[0].targets: name at least one metrics page, or choose pods`},
	"grpc_pods_and_targets":   {`:5: collectors.grpc[0].pods: there are targets already: make two sets of them`},
	"grpc_pods_selector":      {`:4: collectors.grpc[0].pods.selector: say by their labels which pods are servers: app=checkout`},
	"grpc_pods_bad_selector":  {`:4: collectors.grpc[0].pods.selector: is no selector of labels: unable to parse requirement: found 'shop' expected: '('`},
	"grpc_pods_fields": {
		`:6: collectors.grpc[0].pods.namespaces[0]: name a namespace, or leave the list out for all`,
		`:7: collectors.grpc[0].pods.port: 99999 is no port: use 1 to 65535, or leave it out for the annotation prometheus.io/port`,
		`:8: collectors.grpc[0].pods.path: "metrics" does not begin with /`,
		`:9: collectors.grpc[0].pods.scheme: "ftp" is neither http nor https`,
		`:10: collectors.grpc[0].pods.grpcPort: -1 is no port: use 1 to 65535`,
	},
	"grpc_pods_grpc_port":        {`:5: collectors.grpc[0].pods.grpcPort: missing: say which port channelz and ORCA are asked on`},
	"grpc_address":               {`:5: collectors.grpc[0].targets[0].address: "10.0.0.7" is not host:port: channelz and ORCA are asked there`},
	"grpc_app_port":              {`:4: collectors.grpc[0].channelz.appPort: 70000 is no port: use 1 to 65535`},
	"grpc_window":                {`:4: collectors.grpc[0].window: 10s is shorter than the interval: use 15s or more`},
	"grpc_interval":              {`:4: collectors.grpc[0].interval: 10ms is too short: use 1s or more`},
	"grpc_limit":                 {`:4: collectors.grpc[0].concurrencyLimit: use the number of calls that one server works on at once, or leave it out`},
	"grpc_tls":                   {`:4: collectors.grpc[0].tls.keyFile: name the file of the certificate's key, too`},
	"node_memory":                {`:2: collectors.nodeMemory[0].proc: "proc" is not an absolute path`},
	"node_memory_source":         {`:2: collectors.nodeMemory[0].source: "cadvisor" is none of proc, kubelet, nodeExporter, metricsAPI`},
	"node_memory_name":           {`:2: collectors.nodeMemory[0].name: "a b" cannot be selected by an HPA: use up to 63 of A-Z, a-z, 0-9, ., _ and -, with a letter or digit at both ends`},
	"node_memory_name_twice":     {`:4: collectors.nodeMemory[1].name: "kubelet" is the name of nodeMemory[0] too: rename one of them`},
	"node_memory_interval":       {`:2: collectors.nodeMemory[0].interval: 10ms is too short: use 1s or more`},
	"node_memory_reserve":        {`:2: collectors.nodeMemory[0].reserveBytes: use a number of bytes above 0, or leave it out`},
	"node_memory_port":           {`:2: collectors.nodeMemory[0].port: 70000 is no port: use 1 to 65535, or leave it out`},
	"node_memory_tls":            {`:2: collectors.nodeMemory[0].tls.keyFile: name the file of the certificate's key, too`},
	"node_memory_no_use":         {`:2: collectors.nodeMemory[0].tokenFile: the source proc has no use for it: leave it out`},
	"node_memory_targets_port":   {`:2: collectors.nodeMemory[0].port: is for the nodes of the cluster: leave it out, or leave targets out`},
	"node_memory_target":         {`:2: collectors.nodeMemory[0].targets[0].url: "10.0.0.7:10250" is not an address like https://host:port/metrics/resource`},
	"node_memory_target_node":    {`:2: collectors.nodeMemory[0].targets[0].node: name the node: it becomes the label node`},
	"node_memory_target_twice":   {`:2: collectors.nodeMemory[0].targets[1].node: "a" is the node of targets[0] too`},
	"node_memory_pool":           {`:2: collectors.nodeMemory[0].pools[0].alias: "a/b" cannot be selected by an HPA: use up to 63 of A-Z, a-z, 0-9, ., _ and -, with a letter or digit at both ends`},
	"node_memory_pool_twice":     {`:2: collectors.nodeMemory[0].pools[1].alias: "a" is the alias of pools[0] too`},
	"node_memory_pool_selector":  {`:2: collectors.nodeMemory[0].pools[0].selector: "a in b" is no label selector: unable to parse requirement: found 'b' expected: '('`},
	"node_memory_workload":       {`:2: collectors.nodeMemory[0].workloads[0]: name the workload's namespace and its name`},
	"node_memory_workload_twice": {`:2: collectors.nodeMemory[0].workloads[1]: is workloads[0] again: leave one of them out`},
	"rule_filters": {
		`:4: rules[0].seriesFilters[0]: has both is and isNot: make two filters of them`,
		`:6: rules[0].seriesFilters[1]: has neither is nor isNot: write one of them`,
		":7: rules[0].seriesFilters[2]: is no regular expression: error parsing regexp: missing closing ): `(`",
	},
	"rule_name": {
		":4: rules[0].name.matches: is no regular expression: error parsing regexp: missing closing ]: `[a`",
		`:9: externalRules[0].name.as: missing: matches has 2 groups, so say what the name is, as in ${1}_${2}`,
	},
	"rule_resources": {
		`:4: rules[0].resources.template: does not use <<.Resource>>, by which labels are told apart`,
		`:6: rules[0].resources.overrides.pod.resource: missing: name the resource that the label names, as in pod`,
		`:7: rules[0].resources.overrides["a.b"].resource: missing: name the resource that the label names, as in pod`,
		`:9: rules[1].resources.template: is no template: template: resources:1: unclosed action`,
		`:11: rules[2].resources.template: cannot be executed: template: resources:1:2: executing "resources" at <.Name>: can't evaluate field Name in type schema.GroupResource`,
		":14: resourceRules.memory.resources.template: does not make a regular expression to find labels by: error parsing regexp: missing closing ): `^((?P<resource>.+?)$`",
	},
	"rule_template": {
		`:2: rules[0].metricsQuery: is no template: template: query:1: unexpected right paren`,
		`:4: externalRules[0].metricsQuery: is no template: template: query:1: unexpected {{end}}`,
		`:7: resourceRules.cpu.containerQuery: is no template: template: query:1: missing value for if`,
		`:8: resourceRules.cpu.nodeQuery: is no template: template: query:1: function "nope" not defined`,
		`:9: resourceRules.window: "180" has no unit: add one, as in 30s`,
	},
	"rule_own_keys": {
		`:3: rules[0].backend: there is no backend "mian": known are store`,
		`:4: rules[0].interval: 1ms is too short: use 1s or more`,
		`:7: externalRules[0].maxAge: 1s is shorter than the interval, 15s: a value would be too old before the next one comes`,
		`:9: externalRules[0].forecast.quantile: 90 is not between 0.5 and 0.99`,
		`:10: externalRules[0].nan: "zero" is neither omit nor error`,
	},
	"tenancy_enforced": {
		`:4: metrics[0].query: a namespace might see the series of others, which enforceNamespace forbids: scalar() may mix objects: keep them apart by the label "namespace", or set enforceNamespace: false for this metric`,
		`:8: metrics[1].external.namespaceLabel: missing: name the label of the namespace that may read a series, as enforceNamespace demands, or set enforceNamespace: false for this metric`,
		`:11: metrics[2].object.resource: nodes are in no namespace, so none may read them by enforceNamespace: set enforceNamespace: false for this metric`,
	},
	"tenancy_namespaces": {
		`:2: metrics[0].namespaces: is empty: name who may read the metric, or remove the key`,
		`:4: rules[0].namespaces[0]: "team-[a" is not the name of a namespace, nor a pattern like team-*`,
		`:6: externalRules[0].namespaces[1]: "" is not the name of a namespace, nor a pattern like team-*`,
	},
	"limits": {
		`:1: limits.seriesPerRule: -100 is no limit: use 1 or more`,
		`:1: limits.rulesPerNamespace: -1 is no limit: use 1 or more`,
	},
	"resource_own_keys": {
		`:2: resourceRules.backend: there is no backend "mian": known are store`,
		`:4: resourceRules.maxAge: 30s is shorter than the interval, 1m0s: a value would be too old before the next one comes`,
	},
	"rule_strict": {
		`:2: rules[0].SeriesQuery: unknown key; did you mean "seriesQuery"?`,
		`:6: rules[0].resources.overrides.pod: is given twice: first on line 5`,
		`:7: rules[0].resources.namespaced: must be true or false: remove the quotes`,
		`:8: rules[0].seriesFilters: must be a list, not ""`,
		`:10: resourceRules.CPU: unknown key; did you mean "cpu"?`,
		`:11: resourceRules.window: is empty: write a duration, as in 30s, or remove the key`,
	},
	"schedules": {
		`:5: schedules[0].timezone: "Europe/Berln" is not a time zone: use a name of the IANA database such as Europe/Berlin`,
		`:6: schedules[1].cron: "0 8 30 2 *" cannot be used: no date fits it, so it would never start`,
		`:7: schedules[2].cron: "0 8 * *" cannot be used: it has 4 fields and needs 5 (minute, hour, day, month, weekday), or 6 with the second first`,
		`:8: schedules[3].floor: -10 is not above 0 and at most 9e12`,
		`:9: schedules[4].factor: there is a floor, too: keep one of them, or write two schedules`,
		`:10: schedules[5]: asks for nothing: set floor or factor`,
		`:11: schedules[6].factor: 2000 is not above 0 and at most 1000`,
		`:12: schedules[7]: never starts: set cron with duration, or calendar`,
		`:13: schedules[8].duration: missing: say how long it is in force from each start`,
		`:14: schedules[9].rampUp: must not be negative`,
		`:14: schedules[9].duration: 960h0m0s is not from 0 to 31d`,
		`:15: schedules[10].calendar[1].file: cannot read the calendar: open testdata/none.ics: no such file or directory`,
		`:15: schedules[10].calendar[0].day: "24.12.2026" is not a date such as 2026-12-25`,
		`:15: schedules[10].duration: is that of starts by cron: the calendar's events end by themselves`,
		`:16: schedules[11].cron: "* * * * * *" starts more than 10000 times within its duration of 720h0m0s: start it less often`,
		`:17: schedules[12].metrics[0]: busy is the value of single pods, and with a floor below each an autoscaler would never stop to add some: use a factor`,
		`:18: schedules[13].metrics[0]: no rule serves a metric "laod"`,
		`:18: schedules[13].metrics[1]: load_forecast is a forecast: name load, with which it is meant`,
		`:19: schedules[14].name: "pods" is the name of schedules[12] too: rename one of them`,
		`:19: schedules[14].metrics: missing: name the metrics that it adds to`,
		`:19: schedules[14].selector: "a in b" is no selector of labels: unable to parse requirement: found 'b' expected: '('`,
		`:19: schedules[14].namespaces[0]: "team-[a" is not the name of a namespace, nor a pattern like team-*`,
		`:20: schedules[15].name: missing: name it, so that explain and metrics can`,
	},
	"boost": {
		`:4: boost[0].factor: 0 is not above 0 and at most 1000`,
		`:5: boost[1].coolDown: must not be negative`,
		`:5: boost[1].name: "a" is the name of boost[0] too: rename one of them`,
		`:5: boost[1].duration: 0s is not above 0 and at most 31d: say how long a boost lasts`,
		`:6: boost[2].query: missing: write the condition, as in rate(errors_total[1m]) > 5`,
		`:7: boost[3].query: this is not PromQL: at character 4: unexpected end of input`,
		`:8: boost[4].query: this returns a value whatever it is, so the condition would always be true: compare without bool, as in x > 5`,
		`:9: boost[5].interval: 1ms is too short: use 1s or more`,
		`:9: boost[5].query: this returns a value whatever it is, so the condition would always be true: compare without bool, as in x > 5`,
		`:10: boost[6].metrics[0]: no rule serves a metric "none"`,
		`:10: boost[6].backend: there is no backend "mian": known are store`,
	},
	"rule_two_documents": {`:4: a second YAML document begins here: only one is read, put all of it into the first`},
}

func TestLoadBadFiles(t *testing.T) {
	for name, want := range bad {
		path := filepath.Join("testdata", name+".bad.yaml")
		file, err := Load(path)
		if err == nil || file != nil {
			t.Errorf("%s: loaded, want an error", path)
			continue
		}
		if got := err.Error(); got != path+strings.Join(want, "\n"+path) {
			t.Errorf("\n got %s\nwant %s", got, path+strings.Join(want, "\n     "+path))
		}
	}
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) != len(bad) {
		t.Errorf("%d files for %d cases, %v", len(files), len(bad), err)
	}
}

func TestLoadMissingFile(t *testing.T) {
	if _, err := Load("testdata/none.yaml"); err == nil ||
		err.Error() != "cannot read config file: open testdata/none.yaml: no such file or directory" {
		t.Errorf("got %v", err)
	}
}

func TestLoadGoodFile(t *testing.T) {
	got, err := Load("testdata/conf.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	holidays, err := os.ReadFile("testdata/holidays.ics")
	if err != nil {
		t.Fatal(err)
	}
	want := &File{
		Backends: []Backend{
			{Name: "main", Prometheus: backend.Config{
				URL: "https://prometheus.monitoring.svc:9090/prefix", Timeout: 5 * time.Second,
				Headers: map[string]string{"X-Scope-OrgID": "shop"}, HeaderFiles: map[string]string{"X-Token": "/etc/foresail/token"},
				BasicAuth: backend.BasicAuth{Username: "foresail", PasswordFile: "/etc/foresail/password"},
				TLS:       backend.TLS{CAFile: "/etc/foresail/ca.pem", CertFile: "/etc/foresail/cert.pem", KeyFile: "/etc/foresail/key.pem", ServerName: "prometheus"},
			}},
			{Name: "tenant", Prometheus: backend.Config{
				URL: "https://mimir.monitoring.svc/prometheus", Timeout: 10 * time.Second, BearerTokenFile: "/var/run/secrets/token",
				TLS: backend.TLS{InsecureSkipVerify: true},
			}},
		},
		Snapshots: Snapshots{Path: "/var/lib/foresail/learnt", Interval: 5 * time.Minute},
		Shards:    Shards{Backend: "tenant", Interval: 20 * time.Second},
		Store:     backend.StoreConfig{Path: "/var/lib/foresail", Retention: 50 * day, Lookback: 2 * time.Minute},
		Web:       Web{Listen: "127.0.0.1:9099", ConfigFile: "testdata/web.yml"},
		RemoteWrite: []backend.RemoteWrite{
			{Config: backend.Config{
				URL: "https://mimir.monitoring.svc/api/v1/push", Timeout: 5 * time.Second, Headers: map[string]string{"X-Scope-OrgID": "shop"},
				HeaderFiles: map[string]string{"X-Token": "/etc/foresail/token"}, BearerTokenFile: "/var/run/secrets/token",
				TLS: backend.TLS{CAFile: "/etc/foresail/ca.pem", CertFile: "/etc/foresail/cert.pem", KeyFile: "/etc/foresail/key.pem", ServerName: "mimir"},
			}, WriteRelabel: []relabel.Rule{{
				SourceLabels: []string{"__name__", "consumergroup"}, Separator: new("/"), Regex: new("kafka_.*/(.*)"), Modulus: 8, TargetLabel: "shard",
				Replacement: new("$1"), Action: "hashmod",
			}}},
			{Config: backend.Config{
				URL: "https://other.monitoring.svc/api/v1/write", Timeout: 10 * time.Second,
				BasicAuth: backend.BasicAuth{Username: "foresail", PasswordFile: "/etc/foresail/password"}, TLS: backend.TLS{InsecureSkipVerify: true},
			}},
		},
		CloudWatch: &cloudwatch.Config{
			Region: "eu-central-1", Endpoint: "https://vpce-1.monitoring.eu-central-1.vpce.amazonaws.com", Namespace: "Pipestream/Kafka", Interval: 10 * time.Second,
			Metrics: []cloudwatch.Metric{{
				Name: "ConsumerLag", Query: "kafka_consumergroup_group_lag_sum", Backend: "tenant", Unit: "Count",
				Dimensions: map[string]string{"Stage": "prod"}, Labels: map[string]string{"consumergroup": "ConsumerGroup"},
			}},
		},
		KEDAScaler: &keda.Config{
			Listen: ":6000", CertFile: "/etc/foresail/cert.pem", KeyFile: "/etc/foresail/key.pem", ClientCAFile: "/etc/foresail/ca.pem",
		},
		Schedules: []planned.Schedule{{
			Name: "morning", Target: planned.Target{Metrics: []string{"Checkout_requests_per_second"}, Selector: "queue=orders", Namespaces: []string{"shop", "team-*"}},
			Cron: "30 0 8 * * MON-FRI", Timezone: "Europe/Berlin", Duration: 2 * time.Hour, RampUp: 10 * time.Minute, RampDown: 20 * time.Minute,
			Floor: 500, Priority: 3,
		}, {
			Name: "party", Target: planned.Target{Metrics: []string{"checkout_requests_per_second"}}, Factor: 0.5,
			Calendar: []rules.CalendarEntry{{Day: "2026-12-31"}, {From: "2026-11-27T08:00", To: "2026-11-27T09:00", Uplift: 3}, {File: "holidays.ics", Text: holidays}},
		}},
		Boosts: []planned.Boost{{
			Name: "deploy", Target: planned.Target{Metrics: []string{"checkout_requests_per_second"}, Selector: "queue=orders", Namespaces: []string{"shop"}}, Query: "changes(version[5m]) > 0", Backend: "main",
			Interval: 30 * time.Second, Factor: 1.5, Duration: 10 * time.Minute, CoolDown: time.Hour,
		}},
		Limits: standing.Limits{SeriesPerRule: 20_000, RulesPerNamespace: 100},
		Collectors: Collectors{
			Kafka: []kafka.Config{{
				Name: "orders", Brokers: []string{"kafka-0:9092", "[2001:db8::1]:9092"}, Interval: 10 * time.Second,
				Groups: []kafka.Group{
					{Alias: "invoicing", Group: "invoicing:v2", Topics: []string{"orders", "refunds"}, NoCommit: "earliest", DrainWithin: 5 * time.Minute, ConsumersPerPod: 1},
					{Group: "on", NoCommit: "earliest", DrainWithin: 5 * time.Minute, ConsumersPerPod: 1},
				},
				TLS: &connect.TLS{CAFile: "/etc/kafka/ca.pem", CertFile: "/etc/kafka/cert.pem", KeyFile: "/etc/kafka/key.pem", ServerName: "kafka"},
			}, {
				Name: "payments", Brokers: []string{"payments:9093"}, Interval: 15 * time.Second, TLS: &connect.TLS{}, Aliases: "kafka_exporter",
				SASL: &connect.SASL{Mechanism: "SCRAM-SHA-512", Username: "foresail", PasswordFile: "/etc/kafka/password"},
				Groups: []kafka.Group{{
					Group: "billing", Topics: []string{"bills"}, NoCommit: "latest", BootstrapMin: 10, ReadCommitted: true, TailSlack: 2,
					AcceptableLag: 100, DrainWithin: 10 * time.Minute, Capacity: 12.5, ConsumersPerPod: 3, SLO: 90 * time.Second, Partitions: true,
				}},
			}, {
				Name: "shipping", Brokers: []string{"shipping:9093"}, Interval: 15 * time.Second,
				SASL:   &connect.SASL{Mechanism: "OAUTHBEARER", TokenFile: "/var/run/secrets/token"},
				Groups: []kafka.Group{{Group: "labels", NoCommit: "ignore", DrainWithin: 5 * time.Minute, ConsumersPerPod: 1}},
			}, {
				Name: "returns", Brokers: []string{"returns:9093"}, Interval: 15 * time.Second,
				SASL: &connect.SASL{
					Mechanism: "OAUTHBEARER", TokenURL: "https://login.example.com/token", ClientID: "foresail",
					ClientSecretFile: "/etc/kafka/secret", Scopes: []string{"kafka"},
				},
				Groups: []kafka.Group{{Group: "labels", NoCommit: "earliest", DrainWithin: 5 * time.Minute, ConsumersPerPod: 1}},
			}},
			GRPC: []rpc.Config{{
				Name: "checkout", Interval: 5 * time.Second, ConcurrencyLimit: 16, Window: time.Minute,
				Targets: []rpc.Target{
					{URL: "http://10.0.0.7:9090/metrics", Address: "10.0.0.7:50051", Pod: "checkout-0", Namespace: "shop"},
					{URL: "http://10.0.0.8:9090/metrics", Pod: "10.0.0.8:9090"},
				},
			}, {
				Name: "cart", Interval: 15 * time.Second, Window: 2 * time.Minute, ORCA: true, BearerTokenFile: "/etc/foresail/token",
				Pods:     &rpc.Pods{Namespaces: []string{"shop"}, Selector: "app=cart", Port: 9090, Path: "/m", Scheme: "http", GRPCPort: 50052},
				Channelz: &rpc.Channelz{AppPort: 50051},
				TLS:      &rpc.TLS{CAFile: "/etc/foresail/ca.pem", CertFile: "/etc/foresail/cert.pem", KeyFile: "/etc/foresail/key.pem", ServerName: "cart"},
			}},
			NodeMemory: []nodemem.Config{{
				Source: "proc", Name: "proc", Node: "worker-1", Proc: "/host/proc", Interval: 20 * time.Second, ReserveBytes: 200 << 20, Warmup: 5 * time.Minute,
			}, {
				Source: "kubelet", Name: "kubelet", Interval: 15 * time.Second, ReserveBytes: 100 << 20, Warmup: 10 * time.Minute, Port: 10255,
				TLS: &nodemem.TLS{CAFile: "/etc/kubelet/ca.pem", CertFile: "/etc/kubelet/cert.pem", KeyFile: "/etc/kubelet/key.pem", ServerName: "node"}, TokenFile: "/etc/kubelet/token",
				Pools:     []nodemem.Pool{{Alias: "big", Selector: "size in (l, xl)"}},
				Workloads: []nodemem.Workload{{Namespace: "shop", Kind: "Deployment", Name: "checkout"}, {Namespace: "shop", Kind: "StatefulSet", Name: "db"}},
			}, {
				Source: "nodeExporter", Name: "exporters", Interval: 15 * time.Second, ReserveBytes: 100 << 20, Warmup: 5 * time.Minute,
				Targets: []nodemem.Target{{Node: "worker-1", URL: "http://10.0.0.7:9100/metrics"}},
			}, {
				Source: "metricsAPI", Name: "metrics_api", Interval: 15 * time.Second, ReserveBytes: 100 << 20, Warmup: 5 * time.Minute,
			}},
		},
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	local := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 0, 0, 0, berlin)
	}
	daily := rules.Forecast{
		Config: forecast.Config{
			Step: time.Minute, Lead: 45 * time.Minute, Seasons: []time.Duration{day, 7 * day}, Analogs: true, Zone: berlin,
			Events: []slots.Event{
				{From: local(10, 3, 0), To: local(10, 4, 0), Sunday: true, Name: "German Unity Day"},
				{From: local(12, 24, 0), To: local(12, 25, 0), Sunday: true},
				{From: local(11, 27, 8), To: local(11, 27, 20), Uplift: 1.8},
			},
		},
		Quantile: 0.95, History: 42 * day, Timezone: "Europe/Berlin", Absent: rules.AbsentZero,
		Calendar: []rules.CalendarEntry{
			{File: "holidays.ics", Text: holidays}, {Day: "2026-12-24"},
			{From: "2026-11-27T08:00", To: "2026-11-27T20:00", Uplift: 1.8},
		},
	}
	cautious := daily
	cautious.Quantile = 0.8
	want.Rules = []rules.Rule{
		{
			Name:    "checkout_requests_per_second",
			Query:   "sum by (namespace) (\n  rate(http_requests_total{service=\"checkout\"}[2m])\n)",
			Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute, NamespaceLabel: "namespace",
			Namespaces: []string{"shop", "team-*"}, Forecast: &daily,
		},
		{
			Name: "queue_per_pod", Query: "max_over_time(grpc_queue) keep_metric_names", Backend: "tenant", NaN: "omit",
			Interval: 30 * time.Second, MaxAge: 5 * time.Minute,
			Resource: schema.GroupResource{Resource: "pods"}, NameLabel: "pod_name", NamespaceLabel: "ns", Forecast: &cautious,
		},
		{
			Name: "deployment_load", Query: "sum by (ns, name) (load)", Backend: "tenant",
			Interval: 15 * time.Second, MaxAge: time.Minute,
			Resource: schema.GroupResource{Group: "apps", Resource: "deployments"}, NameLabel: "name", NamespaceLabel: "ns",
		},
		{
			Name: "cluster_load", Query: "sum by (cluster) (load)", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute,
			Resource: schema.GroupResource{Group: "example.com", Resource: "clusters"}, NameLabel: "cluster",
		},
		{
			Name: "engine_load", Query: "sum by (engine) (load)", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute,
			Expect: []series.Label{{Name: "engine", Value: "bi"}, {Name: "engine", Value: "ml"}},
		},
		{
			Name: "chat_requests", Query: "sum(chat_requests_in_flight)", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute,
			Limit: &rules.Limit{PerPod: 100, Quota: rules.Quota{
				Query: `workload_memory_feasible_replicas_upper_bound{workload="chat"}`, Backend: "tenant", Reserve: "10%", MaxAge: 10 * time.Minute,
			}},
		},
		{
			Name: "batch_jobs", Query: "sum(batch_jobs_pending)", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute,
			Limit: &rules.Limit{Quota: rules.Quota{Amount: 50, Backend: "main", MaxAge: 5 * time.Minute}},
		},
		{Name: "night_jobs", Query: "sum(night_jobs_pending)", Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute},
	}
	want.Pools = []ceiling.Pool{
		{
			Name: "gpu", Budget: rules.Quota{Query: "sum(gpus)", Backend: "tenant", Reserve: "2", MaxAge: 10 * time.Minute},
			Members: []ceiling.Member{
				{Metric: "chat_requests", PerPod: 100, Cost: 2, Minimum: 1, Weight: 3, Priority: 10},
				{Metric: "batch_jobs", PerPod: 1, Cost: 1, Weight: 1},
			},
		},
		{
			Name: "licences", Budget: rules.Quota{Amount: 20, MaxAge: 5 * time.Minute},
			Members: []ceiling.Member{{Metric: "night_jobs", PerPod: 1, Cost: 1, Weight: 1}},
		},
	}
	want.Metrics = got.Metrics // What Rules is made of.
	want.Source = got.Source
	want.Config = legacyOfGoodFile(&daily, &cautious)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func legacyOfGoodFile(daily, cautious *rules.Forecast) legacy.Config {
	on, off := true, false
	usage := legacy.ResourceRule{
		ContainerQuery: "sum by (<<.GroupBy>>) (rate(container_cpu_usage_seconds_total{<<.LabelMatchers>>}[3m]))\n",
		NodeQuery:      "sum(rate(node_cpu_usage_seconds_total{<<.LabelMatchers>>}[3m])) by (<<.GroupBy>>)",
		Resources: legacy.Resources{
			Template: "<<.Resource>>", Overrides: map[string]legacy.Override{"instance": {Resource: "node"}}, Namespaced: &on,
		},
		ContainerLabel: "container",
	}
	memory := usage
	memory.NodeQuery, memory.Resources = "", legacy.Resources{}
	return legacy.Config{
		Custom: []legacy.Rule{{
			SeriesQuery:   `{__name__=~"^http_.*_total$",namespace!="",pod!=""}`,
			SeriesFilters: []legacy.Filter{{IsNot: "^http_debug_"}, {Is: "_total$"}},
			Resources: legacy.Resources{
				Template: "kube_<<.Resource>>", Namespaced: &on,
				Overrides: map[string]legacy.Override{"namespace": {Resource: "namespace"}, "y": {Group: "apps", Resource: "deployment"}},
			},
			Name:         legacy.Name{Matches: "^(.*)_total$", As: "${1}_per_second"},
			MetricsQuery: "sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)",
			Backend:      "tenant", Interval: 30 * time.Second, MaxAge: 3 * time.Minute, NaN: "error", Forecast: daily,
			Tenancy: rules.Tenancy{EnforceNamespace: &on, Namespaces: []string{"shop"}},
		}},
		External: []legacy.Rule{{
			SeriesQuery: `queue_depth{name!=""}`, SeriesFilters: []legacy.Filter{{Is: "queue"}},
			Resources:    legacy.Resources{Template: "<<.Resource>>", Overrides: map[string]legacy.Override{}, Namespaced: &off},
			MetricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>}) by (name)",
			Backend:      "tenant", Interval: 20 * time.Second, MaxAge: 2 * time.Minute, NaN: "omit", Forecast: cautious,
			Tenancy: rules.Tenancy{EnforceNamespace: &off, Namespaces: []string{"*"}},
		}, {Backend: "main", Interval: 15 * time.Second, MaxAge: time.Minute}},
		Resource: &legacy.ResourceRules{CPU: usage, Memory: memory, Window: 3 * time.Minute,
			Backend: "tenant", Interval: time.Minute, MaxAge: 10 * time.Minute},
	}
}

// TestLoadPrometheusAdapterFiles: what its users have loads as it is.
func TestLoadPrometheusAdapterFiles(t *testing.T) {
	files, err := filepath.Glob(legacyFiles)
	if err != nil || len(files) < 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		if _, err := Load(path); err != nil {
			t.Error(err)
		}
	}
}

const legacyFiles = "../../../../adapter/legacy/testdata/*.yaml"

func TestParsePrometheusAdapterFile(t *testing.T) {
	f := func(in string, want legacy.Config) {
		t.Helper()
		got, err := Parse("f.yaml", []byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
		} else if !reflect.DeepEqual(got.Config, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", in, got.Config, want)
		}
	}
	rule := legacy.Rule{Backend: StoreBackend, Interval: 15 * time.Second, MaxAge: time.Minute}
	resource := legacy.ResourceRules{Backend: StoreBackend, Interval: 15 * time.Second, MaxAge: time.Minute}
	with := func(change func(*legacy.Rule)) legacy.Config {
		r := rule
		change(&r)
		return legacy.Config{Custom: []legacy.Rule{r}}
	}
	// A file of its keys only is its own: no document after the first is read, whatever stands there.
	f("rules: []\n---\nkind: ConfigMap\n", legacy.Config{Custom: []legacy.Rule{}})
	f("rules:\n- {}\n---\n{", legacy.Config{Custom: []legacy.Rule{rule}})
	f("--- # comment\nresourceRules: {}\n...\n---\n- a\n---\nb", legacy.Config{Resource: &resource})
	resource.Window = 90 * time.Minute
	f("resourceRules: {window: 1h30m}", legacy.Config{Resource: &resource})
	// Null is unset, and so is what Helm writes for it.
	f("rules:\nexternalRules: ~\nresourceRules: null\n", legacy.Config{})
	f("rules: [{name: {matches: \"\", as: ''}, seriesFilters: [], resources: {overrides: }}]", with(func(r *legacy.Rule) {
		r.SeriesFilters = []legacy.Filter{}
	}))
	// Text is what stands there, whatever else it may mean to YAML.
	f("rules: [{seriesQuery: on, metricsQuery: 1.50, name: {matches: 0x1F, as: no}}]", with(func(r *legacy.Rule) {
		r.SeriesQuery, r.MetricsQuery, r.Name = "on", "1.50", legacy.Name{Matches: "0x1F", As: "no"}
	}))
	f("rules: [{resources: {overrides: {on: {resource: y}, 1: {group: 2, resource: 3}}, namespaced: N}}]", with(func(r *legacy.Rule) {
		off := false
		r.Resources = legacy.Resources{
			Namespaced: &off, Overrides: map[string]legacy.Override{"on": {Resource: "y"}, "1": {Group: "2", Resource: "3"}},
		}
	}))
}

// TestGoodFileHasEveryField compares the fields in conf.good.yaml with those of the structs.
func TestGoodFileHasEveryField(t *testing.T) {
	data, err := os.ReadFile("testdata/conf.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, errs := Decode("conf.good.yaml", data, &File{})
	if errs != nil {
		t.Fatal(errs)
	}
	inFile := map[string]bool{}
	index := regexp.MustCompile(`\[[0-9]+\]`)
	for field := range doc.lines {
		inFile[index.ReplaceAllString(field, "")] = true
	}
	fields := fieldPaths(reflect.TypeFor[File](), "")
	if len(fields) < 50 {
		t.Errorf("found %d fields only: %q", len(fields), fields)
	}
	for _, field := range fields {
		if !inFile[field] {
			t.Errorf("%s is not in the file", field)
		}
	}
}

func fieldPaths(t reflect.Type, field string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var all []string
	fields, keys := fieldsOf(t)
	for _, key := range keys {
		path := join(field, key)
		all = append(all, path)
		all = append(all, fieldPaths(t.FieldByIndex(fields[key]).Type, path)...)
	}
	return all
}

func TestParseDefaults(t *testing.T) {
	f := func(in string, want *File) {
		t.Helper()
		got, err := Parse("f.yaml", []byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			return
		}
		if len(got.Rules) == 0 {
			got.Rules = nil
		}
		want.Source = Source{"f.yaml", in}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", in, got, want)
		}
	}
	store := backend.StoreConfig{Path: "data", Retention: 35 * day, Lookback: 5 * time.Minute}
	limits := standing.Limits{SeriesPerRule: 100_000, RulesPerNamespace: 2_000}
	f("", &File{Store: store, Limits: limits, Web: Web{Listen: ":8080"}})
	f("store:\nweb:\nmetrics:\n", &File{Store: store, Limits: limits, Web: Web{Listen: ":8080"}})
	f(`web: {listen: ""}`, &File{Store: store, Limits: limits})
	f("store: {path: x}", &File{Limits: limits, Store: backend.StoreConfig{Path: "x", Retention: 35 * day, Lookback: 5 * time.Minute}, Web: Web{Listen: ":8080"}})
	f("collectors: {nodeMemory: [{}]}", &File{Store: store, Limits: limits, Web: Web{Listen: ":8080"}, Collectors: Collectors{
		NodeMemory: []nodemem.Config{{Source: "proc", Name: "proc", Proc: "/proc", Interval: 15 * time.Second, ReserveBytes: 100 << 20, Warmup: 5 * time.Minute}},
	}})
}

func TestBackendOfMetrics(t *testing.T) {
	const servers = "backends:\n- {name: a, prometheus: {url: \"http://a\"}}\n- {name: b, prometheus: {url: \"http://b\"}}\n"
	f := func(in, wantBackend string, wantStore bool) {
		t.Helper()
		got, err := Parse("f.yaml", []byte(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			return
		}
		if got.Rules[0].Backend != wantBackend || got.UsesStore() != wantStore {
			t.Errorf("%q: backend %q, uses the store: %v", in, got.Rules[0].Backend, got.UsesStore())
		}
	}
	f("metrics: [{name: x, query: x, external: {}}]", "store", true)
	f("metrics: [{name: x, query: x, external: {}, backend: store}]", "store", true)
	f(servers+"metrics: [{name: x, query: x, external: {}}]", "a", false)
	f(servers+"metrics: [{name: x, query: x, external: {}, backend: b}]", "b", false)
	f(servers+"metrics: [{name: x, query: x, external: {}, backend: store}]", "store", true)
	f(servers+"metrics: [{name: x, query: x, external: {}}]\nexternalRules: [{}]", "a", false)
	f(servers+"metrics: [{name: x, query: x, external: {}}]\nexternalRules: [{backend: store}]", "a", true)
	f(servers+"metrics: [{name: x, query: x, external: {}, limit: {query: y, backend: store}}]", "a", true)
	f(servers+"metrics: [{name: x, query: x, external: {}, limit: {amount: 1, backend: store}}]", "a", false)
	f(servers+"metrics: [{name: x, query: x, external: {}, backend: store, limit: {query: y}}]", "store", true)
	f(servers+"metrics: [{name: x, query: x, external: {}}]\npools: [{name: p, budget: {query: y, backend: store}, members: [{metric: x}]}]", "a", true)
	f(servers+"metrics: [{name: x, query: x, external: {}}]\nboost: [{name: b, metrics: [x], query: y > 1, backend: store, duration: 10m, factor: 2}]", "a", true)
	f(servers+"metrics: [{name: x, query: x, external: {}}]\ncollectors: {nodeMemory: [{}]}", "a", true)
}

// FuzzParse holds that every file is either refused, with lines and in order, or comes to one rule per metric.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	legacies, err := filepath.Glob(legacyFiles)
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(files, legacies...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f.yaml", data)
		if err == nil {
			if len(file.Rules) != len(file.Metrics) {
				t.Errorf("%d rules of %d metrics", len(file.Rules), len(file.Metrics))
			}
			return
		}
		errs, ok := err.(Errors) //nolint:errorlint // The type itself is what is promised.
		if !ok || len(errs) == 0 {
			t.Fatalf("%T: %v", err, err)
		}
		if !slices.IsSortedFunc(errs, func(a, b Error) int { return a.Line - b.Line }) || errs[0].Line < 1 {
			t.Errorf("lines: %v", errs)
		}
	})
}
