package oracle

import (
	"math/rand/v2"
)

// names are objects to read the metrics of: those that exist and have series, and some of which only one of both is so.
var names = map[string][]string{
	"pods":              {"web-0", "web.2", "api-0", "dead-0", "gone-0", "idle-0", "nobody"},
	"services":          {"web", "api", "gone"},
	"deployments":       {"web", "api", "gone"},
	"statefulsets":      {"db"},
	"jobs":              {"nightly", "http"},
	"ingresses":         {"web", "gone"},
	"ingressclasses":    {"nginx"},
	"nodes":             {"kwok-0", "kwok-9"},
	"persistentvolumes": {"pv-0"},
	"namespaces":        {"shop", "other", "gone"},
	"topics":            {"orders", "mails"},
}

// singulars are how the paths of requests may name resources, too.
var singulars = map[string]string{
	"pods": "pod", "services": "service", "nodes": "node", "ingresses": "ingress", "persistentvolumes": "persistentvolume",
}

var labelSelectors = []string{"", "", "app=web", "app in (web,api)", "app!=web,tier!=back", "tier", "app=none", "team=web"}

var metricSelectors = []string{
	"", "", "", "code=200", "code==200,method=GET", "code!=200", "code in (200,404)", "code in (2.0)", "code notin (500,404)",
	"method", "!missing", "missing", "namespace=other", "pod=web-0", "code>300", "code<300", "example.com/code=200", "name=orders",
	"name in (orders,mails)", "name in (orders)", "name notin (mails)", "queue=a", "zone!=a,method,code in (500,200)",
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// readsOf returns reads of the entries, at most limit: each entry is read by name and by selector, with different
// selectors of metrics, before one is read again.
func readsOf(random *rand.Rand, entries []entry, limit int) []read {
	var reads []read
	if len(entries) == 0 {
		return []read{
			{API: "custom", Namespace: "shop", Resource: "pods", Name: "web-0", Metric: "nothing"},
			{API: "external", Namespace: "shop", Metric: "nothing"},
		}
	}
	order := random.Perm(len(entries))
	for round := 0; len(reads) < limit && round < 8; round++ {
		for _, i := range order {
			if len(reads) < limit {
				reads = append(reads, readOf(random, entries[i], round))
			}
		}
	}
	return reads
}

func readOf(random *rand.Rand, e entry, round int) read {
	r := read{
		API: e.API, Namespace: pick(random, []string{"shop", "shop", "other"}), Group: e.Group, Resource: e.Resource, Metric: e.Metric,
		Version: pick(random, []string{"v1beta1", "v1beta2"}), MetricSelector: pick(random, metricSelectors),
	}
	if round < 2 {
		r.MetricSelector = "" // What an autoscaler asks most often.
	}
	if e.API == "external" {
		return r
	}
	if !e.Namespaced {
		r.Namespace = ""
	}
	r.Spelling = e.Resource
	if e.Group != "" {
		r.Spelling += "." + e.Group
	}
	if singular := singulars[e.Resource]; singular != "" && random.IntN(4) == 0 {
		r.Spelling = singular
	}
	if round%2 == 1 && len(names[e.Resource]) > 0 {
		r.Name = pick(random, names[e.Resource])
	} else {
		r.LabelSelector = pick(random, labelSelectors)
	}
	return r
}

// resourceReads are the reads of the API of CPU and memory.
var resourceReads = []read{
	{API: "resource", Namespace: "shop", Resource: "pods"},
	{API: "resource", Namespace: "other", Resource: "pods"},
	{API: "resource", Namespace: "shop", Resource: "pods", LabelSelector: "app=web"},
	{API: "resource", Namespace: "shop", Resource: "pods", LabelSelector: "app=none"},
	{API: "resource", Namespace: "shop", Resource: "pods", Name: "web-0"},
	{API: "resource", Namespace: "shop", Resource: "pods", Name: "idle-0"},
	{API: "resource", Namespace: "shop", Resource: "pods", Name: "nobody"},
	{API: "resource", Resource: "nodes"},
	{API: "resource", Resource: "nodes", Name: "kwok-0"},
	{API: "resource", Resource: "nodes", Name: "nobody"},
}
