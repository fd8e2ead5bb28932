package oracle

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"net/http"
	"slices"
	"strings"
)

// onPurpose are the differences that are no faults of Foresail. docs/MIGRATION.md tells users of each.
var onPurpose = map[string]string{
	"api-version": "the apiVersion of a core object is v1, not /v1",
	"case":        "an external metric is found whatever the case of its name: autoscalers ask in lower case",
	"empty":       "no value at all is an error that says why, not an empty list",
	"isolation":   "a rule that cannot work hurts only itself: the others are served",
	"live-pods":   "a selector selects live pods, not those that have failed, succeeded or are being deleted",
	"negative":    "a negative value is 0: the autoscaler takes negative averages for an overflow",
	"no-labels":   "an external value without labels has metricLabels {}, also where the query gives a scalar, not null",
	"not-finite":  "NaN and infinity are no value, not 0 or the smallest integer",
	"overflow":    "a value above 9.2e15 is 9.2e15, not the remainder of an overflow",
	"root-scope":  "all cluster-scoped kinds are root scoped, and are also served through a namespace's path, which autoscalers use",
	"rounding":    "what is below a thousandth is rounded up, not cut off",
	"status":      "the HTTP status and the text of an error tell its cause",
	"tags":        "a YAML tag such as !!binary is refused",
	"unknown-use": "of CPU and memory, a use that is not finite, negative or not told is not known, and left out, not 0",
	"unnamed":     "the use of a container without a name is left out where others of its pod have one: it is the sum of theirs",
	"two-labels":  "of several labels that overrides give to one resource it is always the first, not another one from start to start",
	"templates":   "resources.template with .Group finds groups with dots and dashes",
}

// open are differences that are faults, and the package that must change. One that is not seen any more must go.
var open = map[string]string{}

// findings are the differences between the two adapters: those that are on purpose, counted, and the others.
type findings struct {
	counts map[string]int
	others []string
}

func (f *findings) onPurpose(id string) {
	if onPurpose[id]+open[id] == "" {
		f.other("BUG: no difference %q is listed", id)
		return
	}
	if f.counts == nil {
		f.counts = map[string]int{}
	}
	f.counts[id]++
}

// add takes over what another comparison found.
func (f *findings) add(other findings) {
	for id, n := range other.counts {
		for range n {
			f.onPurpose(id)
		}
	}
	f.others = append(f.others, other.others...)
}

func (f *findings) other(format string, args ...any) {
	f.others = append(f.others, fmt.Sprintf(format, args...))
}

// entries compares what prometheus-adapter lists with what Foresail makes of the same file if it is to be the same.
func (f *findings) entries(theirs, ours []entry) {
	f.sets("entry", keysOf(theirs), keysOf(ours))
}

// ownEntries compares what Foresail lists with what its packages make of the file; theirs are the same without the
// differences that are on purpose.
func (f *findings) ownEntries(theirs, want, listed []entry) {
	f.sets("listed entry", keysOf(want), keysOf(slices.DeleteFunc(slices.Clone(listed), func(e entry) bool {
		return strings.Contains(e.Metric, "no_metrics")
	})))
	exact := map[entry]bool{}
	for _, e := range theirs {
		exact[e] = true
	}
	for _, e := range want {
		if exact[e] {
			continue
		}
		e.Namespaced = !e.Namespaced
		if exact[e] {
			f.onPurpose("root-scope")
		} else {
			f.onPurpose("templates")
		}
	}
}

func keysOf(entries []entry) []string {
	keys := make([]string, len(entries))
	for i, e := range entries {
		// External metrics are in a namespace to those who list them, whatever their rule says.
		keys[i] = fmt.Sprintf("%s %s.%s/%s namespaced=%t", e.API, e.Resource, e.Group, e.Metric, e.Namespaced || e.API == "external")
	}
	slices.Sort(keys)
	return keys
}

func (f *findings) sets(what string, theirs, ours []string) {
	for _, k := range theirs {
		if !slices.Contains(ours, k) {
			f.other("%s only on the left side: %s", what, k)
		}
	}
	for _, k := range ours {
		if !slices.Contains(theirs, k) {
			f.other("%s only on the right side: %s", what, k)
		}
	}
	if len(theirs) != len(ours) && len(f.others) == 0 {
		f.other("%s: %d on the left side, %d on the right side", what, len(theirs), len(ours))
	}
}

// queries compares the PromQL that prometheus-adapter asked for a read with that which Foresail's packages write.
func (f *findings) queries(r read, theirs []asked, ours queries) {
	got, want := queriesOf(theirs), slices.Sorted(slices.Values(ours.Exact))
	if ours.Error != "" {
		want = nil
	}
	if r.API == "resource" { // Its pods come in no order.
		got, want = eachSorted(got), eachSorted(want)
	}
	if !slices.Equal(got, want) {
		f.other("%s: prometheus-adapter asks\n  %s\nForesail writes (error: %s)\n  %s",
			r.path(), strings.Join(got, "\n  "), ours.Error, strings.Join(want, "\n  "))
	}
}

// eachSorted sorts the alternatives of the expressions in queries.
func eachSorted(queries []string) []string {
	out := make([]string, len(queries))
	for i, q := range queries {
		parts := strings.Split(q, `"`)
		for j := 1; j < len(parts); j += 2 {
			names := strings.Split(parts[j], "|")
			slices.Sort(names)
			parts[j] = strings.Join(names, "|")
		}
		out[i] = strings.Join(parts, `"`)
	}
	slices.Sort(out)
	return out
}

// batches compares the answers to the queries for all objects with those to the queries for some.
func (f *findings) batches(r read, theirs []asked, ours queries, backend string) {
	for i, query := range ours.Batched {
		all, err := instant(backend, query)
		if err != nil {
			f.other("%s: %v", r.path(), err)
			return
		}
		if all.status != http.StatusOK || len(theirs) == 0 {
			continue
		}
		at := slices.IndexFunc(theirs, func(a asked) bool { return a.query == ours.Exact[i] })
		if len(theirs) == 1 {
			at = 0
		}
		if at < 0 || theirs[at].status != http.StatusOK {
			continue
		}
		exact, batched := named(theirs[at].samples, ours.Label[i], ours.Names), named(all.samples, ours.Label[i], ours.Names)
		if !slices.Equal(exact, batched) {
			f.other("%s: the answer to\n  %s\nis %q, and that to\n  %s\nis %q", r.path(), theirs[at].query, exact, query, batched)
		}
	}
}

// named returns the samples of the objects, as text, sorted.
func named(samples []sample, label string, names []string) []string {
	var texts []string
	for _, s := range samples {
		if slices.Contains(names, s.labels[label]) {
			texts = append(texts, fmt.Sprint(s.labels, s.value))
		}
	}
	slices.Sort(texts)
	return texts
}

// replies compares the answers to one read. What prometheus-adapter asked tells the values before they were converted;
// dead are the objects that exist but are no live pods.
func (f *findings) replies(r read, theirs, ours reply, asked []asked, dead []string) {
	at := func(format string, args ...any) { f.other("%s: %s", r.path(), fmt.Sprintf(format, args...)) }
	ok := http.StatusOK
	switch {
	case theirs.status != ok && ours.status != ok:
		if theirs.status != ours.status {
			f.onPurpose("status")
		}
		return
	case theirs.status != ok:
		at("prometheus-adapter answers %d %q, Foresail %s", theirs.status, theirs.message, describe(ours.items))
		return
	case ours.status != ok:
		if id := excuse(r, theirs, asked, dead); id != "" {
			f.onPurpose(id)
		} else {
			at("Foresail answers %d %q, prometheus-adapter %s", ours.status, ours.message, describe(theirs.items))
		}
		return
	}
	values := valuesOf(asked)
	mine := slices.Clone(ours.items)
	for _, t := range theirs.items {
		if r.API == "external" && t.object == "null" && len(mine) == 1 && mine[0].object == "{}" {
			f.onPurpose("no-labels")
			t.object = "{}"
		}
		i := slices.IndexFunc(mine, func(m item) bool { return m.object == t.object && m.metric == t.metric })
		if i < 0 {
			if id := missing(r, t, theirs.items, ours.items, values, dead); id != "" {
				f.onPurpose(id)
			} else {
				at("Foresail has no value of %s %s (%s)", t.kind, t.object, t.value)
			}
			continue
		}
		f.items(at, t, mine[i], values)
		mine = slices.Delete(mine, i, i+1)
	}
	if len(mine) > 0 {
		at("only Foresail has %s", describe(mine))
	}
}

func (f *findings) items(at func(string, ...any), t, m item, values map[string][]float64) {
	if t.apiVersion != m.apiVersion {
		if t.apiVersion == "/"+m.apiVersion {
			f.onPurpose("api-version")
		} else {
			at("%s is of %q, not %q", t.object, m.apiVersion, t.apiVersion)
		}
	}
	if t.kind != m.kind || t.selector != m.selector {
		at("%s is told as a %s with selector %s, not as a %s with %s", t.object, m.kind, m.selector, t.kind, t.selector)
	}
	if t.milli.Cmp(m.milli) == 0 {
		return
	}
	if id := converted(t, m, values); id != "" {
		f.onPurpose(id)
		return
	}
	at("%s is %s, not %s", t.object, m.value, t.value)
}

// valuesOf returns the values in the answers by what prometheus-adapter makes of them: v*1000 as an int64.
func valuesOf(asked []asked) map[string][]float64 {
	values := map[string][]float64{}
	for _, a := range asked {
		for _, s := range a.samples {
			milli := int64(s.value * 1000)
			if math.IsNaN(s.value) {
				values["0"] = append(values["0"], s.value)
			}
			key := big.NewInt(milli).String()
			values[key] = append(values[key], s.value)
		}
	}
	return values
}

const largest = 9.2e15

// converted says on purpose of what our value is another than theirs, or "".
func converted(t, m item, values map[string][]float64) string {
	for _, v := range values[t.milli.String()] {
		switch {
		case v < 0 && m.milli.Sign() == 0:
			return "negative"
		case v > largest && m.milli.Cmp(big.NewInt(9.2e18)) == 0:
			return "overflow"
		case v > 0 && v <= largest && v*1000 != math.Trunc(v*1000) && m.milli.Cmp(new(big.Int).Add(t.milli, big.NewInt(1))) == 0:
			return "rounding"
		}
	}
	return ""
}

// missing says on purpose of what we have no value of an object that they have one of, or "".
func missing(r read, t item, theirs, ours []item, values map[string][]float64, dead []string) string {
	switch {
	case r.API == "resource":
		return missingUse(t, theirs, ours)
	case r.Name == "" && slices.Contains(dead, t.object) && t.kind == "Pod":
		return "live-pods"
	case slices.ContainsFunc(values[t.milli.String()], notFinite):
		return "not-finite"
	default:
		return ""
	}
}

// missingUse is missing for the use of a container or a node, whose object is namespace/name/container/resource.
func missingUse(t item, theirs, ours []item) string {
	parts := strings.Split(t.object, "/")
	whole := strings.Join(parts[:2], "/") + "/"
	named, none := false, map[string]bool{"cpu": true, "memory": true}
	for _, other := range theirs {
		if rest, same := strings.CutPrefix(other.object, whole); same {
			container, resource, _ := strings.Cut(rest, "/")
			named = named || container != ""
			none[resource] = none[resource] && other.milli.Sign() <= 0 // infinity is the smallest integer there
		}
	}
	left := slices.ContainsFunc(ours, func(o item) bool { return strings.HasPrefix(o.object, whole) })
	switch unnamed := parts[2] == "" && parts[0] != ""; {
	case t.milli.Sign() <= 0 || !left && (none["cpu"] || none["memory"]):
		return "unknown-use"
	case unnamed && named:
		return "unnamed"
	default:
		return ""
	}
}

// excuse says on purpose of what we answer with an error where they do not, or "".
func excuse(r read, theirs reply, asked []asked, dead []string) string {
	values := valuesOf(asked)
	if len(theirs.items) == 0 {
		return "empty"
	}
	ids := map[string]bool{}
	for _, t := range theirs.items {
		ids[missing(r, t, theirs.items, nil, values, dead)] = true
	}
	if r.API == "external" && ids["not-finite"] { // A sum of which one part is not known is not known.
		return "not-finite"
	}
	if ids[""] {
		return ""
	}
	return slices.Sorted(maps.Keys(ids))[0]
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

func describe(items []item) string {
	if len(items) == 0 {
		return "no values"
	}
	const most = 8
	var texts []string
	for _, i := range items[:min(len(items), most)] {
		texts = append(texts, i.object+"="+i.value)
	}
	if len(items) > most {
		texts = append(texts, fmt.Sprintf("and %d more", len(items)-most))
	}
	return strings.Join(texts, " ")
}
