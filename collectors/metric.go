package collectors

import (
	"slices"
	"strings"
)

// Metric is what a source says of all series of one name. The help on /metrics and docs/METRICS.md are made of it.
type Metric struct {
	Name string
	// Labels are those that each of the series has; one in brackets, as in "[pool]", only some of them have.
	Labels []string
	// Unit is a word or two: "messages", "B/s", "0 to 1".
	Unit string
	Help string
}

// Type is what the series are on /metrics: "gauge", or "untyped" for gauges that OpenMetrics has no word for: the suffixes
// and the label of a histogram's or a summary's parts are theirs alone, so that a gauge called x_sum, or one of quantiles
// without their sum and count, is told as what it is not known to be. To queries that makes no difference.
func (m Metric) Type() string {
	for _, suffix := range []string{"_sum", "_count", "_bucket", "_total"} {
		if strings.HasSuffix(m.Name, suffix) {
			return "untyped"
		}
	}
	if slices.Contains(m.Labels, "quantile") || slices.Contains(m.Labels, "le") {
		return "untyped"
	}
	return "gauge"
}
