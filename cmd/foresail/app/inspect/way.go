package inspect

import (
	"fmt"
	"io"
	"strings"
)

// Way is the way of one read: from what an autoscaler asks for to the values that it is told.
type Way struct {
	// API is custom or external, and Resource, for custom metrics, whose metric it is.
	API      string `json:"api"`
	Resource string `json:"resource,omitempty"`
	Metric   string `json:"metric"`
	// Path is what the API server is asked for, with the metric selector beside it.
	Path     string `json:"path"`
	Selector string `json:"selector,omitempty"`
	// Rule is its place in the config, as in rules[2], and Series the name that its queries are made of.
	Rule    string `json:"rule"`
	Series  string `json:"series,omitempty"`
	Backend string `json:"backend"`
	// Refused says why reads from the namespace are refused; there is nothing more of such a way.
	Refused string `json:"refused,omitempty"`
	Query   string `json:"query,omitempty"`
	// Kept is how a server that runs keeps the query; nil where there is none.
	Kept *Kept `json:"kept,omitempty"`
	// Values are those of single series, and More how many there are beside them.
	Values []Value `json:"values,omitempty"`
	More   int     `json:"more,omitempty"`
	// Shaped are the schedules, boosts and limits that made another value of it, as each says.
	Shaped []string `json:"shaped,omitempty"`
	// Value says what the autoscaler makes of the values, or why there is none: then it begins with Unknown.
	Value string `json:"value,omitempty"`
}

// Unknown begins the Value of a way that ends without one.
const Unknown = "unknown, so the autoscaler holds its size: "

// Kept is the state of a query that a server keeps fresh.
type Kept struct {
	// Warm tells that this read asked no backend, because the query was kept already.
	Warm bool `json:"warm"`
	// Interval is that of the evaluations, and MaxAge how long the last good one is served; Age is its age, which is empty
	// before the first.
	Interval string `json:"interval"`
	MaxAge   string `json:"maxAge"`
	Age      string `json:"age,omitempty"`
	// Failing is the error of the newest evaluation, where that one failed.
	Failing string `json:"failing,omitempty"`
}

// Value is what one series tells.
type Value struct {
	Series string `json:"series"`
	// Value is a number as Go writes it, also NaN and +Inf.
	Value string `json:"value"`
	// Object is the described object's name, and Told what is served; "" where the read is an error.
	Object   string    `json:"object,omitempty"`
	Told     string    `json:"told,omitempty"`
	Forecast *Forecast `json:"forecast,omitempty"`
}

// PathOf returns the path by which a metric is asked for.
func PathOf(namespace, resource, metric string) string {
	switch resource {
	case "":
		return "/apis/external.metrics.k8s.io/v1beta1/namespaces/" + namespace + "/" + metric
	case "namespaces":
		return "/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + namespace + "/metrics/" + metric
	default:
		return "/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + namespace + "/" + resource + "/*/" + metric
	}
}

// Write writes the way as text.
func (y *Way) Write(w io.Writer) error {
	var text strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&text, "  "+format+"\n", args...) }
	fmt.Fprintf(&text, "read      %s\n", y.Path)
	if y.Selector != "" {
		say("metric selector %s", y.Selector)
	}
	rule := y.Rule
	if y.Series != "" {
		rule += ", of the series " + y.Series
	}
	say("rule    %s", rule)
	say("backend %s", y.Backend)
	if y.Refused != "" {
		say("refused %s", y.Refused)
		_, err := io.WriteString(w, text.String())
		return err
	}
	if y.Query != "" {
		say("query   %s", y.Query)
	}
	if y.Kept != nil {
		y.Kept.say(say)
	}
	for i := range y.Values {
		y.Values[i].say(say, y.Resource)
	}
	if y.More > 0 {
		say("series  and %d more", y.More)
	}
	for _, why := range y.Shaped {
		say("shaped  %s", why)
	}
	say("value   %s", y.Value)
	_, err := io.WriteString(w, text.String())
	return err
}

func (k *Kept) say(say func(format string, args ...any)) {
	how := "warm: this asked no backend"
	if !k.Warm {
		how = "cold: this asked the backend, and has the query kept for ten minutes"
	}
	if k.Age == "" {
		say("kept    every %s, never answered; %s", k.Interval, how)
	} else {
		say("kept    every %s, last answered %s ago, served up to %s; %s", k.Interval, k.Age, k.MaxAge, how)
	}
	if k.Failing != "" {
		say("failing %s", k.Failing)
	}
}

func (v *Value) say(say func(format string, args ...any), resource string) {
	switch {
	case v.Told == "":
		say("series  %s = %s, not served", v.Series, v.Value)
	case resource != "":
		say("series  %s = %s: %s %q has %s", v.Series, v.Value, resource, v.Object, v.Told)
	default:
		say("series  %s = %s, served as %s", v.Series, v.Value, v.Told)
	}
	if v.Forecast != nil {
		v.Forecast.say(say)
	}
}
