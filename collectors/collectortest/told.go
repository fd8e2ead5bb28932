package collectortest

import (
	"slices"
	"strings"
	"testing"

	"github.com/foresail/foresail/collectors"
	"github.com/foresail/foresail/forecast/series"
)

// Told holds the points of a collection to what a source says of its metrics: each point is of one of them and has its labels.
func Told(t *testing.T, metrics []collectors.Metric, points []series.Point) {
	t.Helper()
	for _, p := range points {
		i := slices.IndexFunc(metrics, func(m collectors.Metric) bool { return m.Name == p.Key.Metric })
		if i < 0 {
			t.Errorf("%v is not among the metrics that the source tells of", p.Key)
			continue
		}
		some := 0 // labels that both have
		for _, l := range metrics[i].Labels {
			name := strings.Trim(l, "[]")
			switch {
			case p.Key.Get(name) != "":
				some++
			case name == l:
				t.Errorf("%v has no label %s", p.Key, name)
			}
		}
		if len(p.Key.Labels()) > some {
			t.Errorf("%v has other labels than %v", p.Key, metrics[i].Labels)
		}
	}
}
