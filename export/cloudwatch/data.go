package cloudwatch

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/foresail/foresail/forecast/series"
)

const (
	// maxBatch and maxBytes bound a request, to CloudWatch's 1,000 values and, with some reserve, its 1 MB.
	maxBatch = 1000
	maxBytes = 900_000
	// datumBytes is more than a value takes besides its texts, and dimensionBytes a dimension.
	datumBytes     = 200
	dimensionBytes = 30
)

// largest is the largest value that CloudWatch takes, 2^360.
var largest = math.Ldexp(1, 360)

// problem is why values are not written.
type problem struct {
	reason string // as in foresail_cloudwatch_failed_total
	err    error
	values int // how many, as far as that is known; else 1
}

type problems []problem

// Error says all of them, a line each.
func (p problems) Error() string { return errors.Join(p.Unwrap()...).Error() }

// Unwrap returns what each of them is.
func (p problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i := range p {
		errs[i] = p[i].err
	}
	return errs
}

// reasons are all their reasons, each once, sorted.
func (p problems) reasons() string {
	var all []string
	for i := range p {
		all = append(all, p[i].reason)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// data turns the points of the metric's query into what is sent. A value that is NaN, infinite or beyond what CloudWatch takes
// is left out and told. Where two series would be one in CloudWatch none is sent: it would take their mean for the value.
func (m *Metric) data(points []series.Point, at time.Time, fine bool) (data []types.MetricDatum, missing problems) {
	resolution := aws.Int32(60)
	if fine {
		resolution = aws.Int32(1)
	}
	unit := types.StandardUnitNone
	if m.Unit != "" {
		unit = types.StandardUnit(m.Unit)
	}
	seen := map[string]bool{}
	for _, p := range points {
		dimensions, id, err := m.dimensions(p.Key)
		switch {
		case err != nil:
			missing = append(missing, problem{"dimension", err, 1})
			continue
		case seen[id]:
			return nil, problems{{"duplicate", fmt.Errorf("cannot write %s: two series of its query have the same dimensions: add a label, or aggregate", m.Name), 1}}
		}
		seen[id] = true
		if math.IsNaN(p.Value) || math.Abs(p.Value) > largest {
			missing = append(missing, problem{"value", fmt.Errorf("cannot write %v as %s: it is not a number that CloudWatch takes", p.Value, m.Name), 1})
			continue
		}
		data = append(data, types.MetricDatum{
			MetricName: &m.Name, Dimensions: dimensions, Unit: unit, Value: aws.Float64(p.Value), Timestamp: &at, StorageResolution: resolution,
		})
	}
	return data, missing
}

// dimensions are those of one series, sorted by their names, and all of them as one text.
func (m *Metric) dimensions(key series.Key) ([]types.Dimension, string, error) {
	all := maps.Clone(m.Dimensions)
	if all == nil {
		all = map[string]string{}
	}
	values := map[string]string{}
	for _, l := range key.Labels() {
		values[l.Name] = l.Value
	}
	for label, name := range m.Labels {
		value := values[label]
		if !printable(value, maxDimensionValue) {
			return nil, "", fmt.Errorf("cannot write %s of %s: its label %s is missing, or %q is no value of a dimension", m.Name, key, label, value)
		}
		all[name] = value
	}
	var id strings.Builder
	dimensions := make([]types.Dimension, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		dimensions = append(dimensions, types.Dimension{Name: &name, Value: aws.String(all[name])})
		fmt.Fprintf(&id, "%q=%q,", name, all[name])
	}
	return dimensions, id.String(), nil
}

// batches cuts what is sent into requests.
func batches(data []types.MetricDatum) [][]types.MetricDatum {
	var all [][]types.MetricDatum
	begin, size := 0, 0
	for i, d := range data {
		own := datumBytes + len(*d.MetricName)
		for _, dim := range d.Dimensions {
			own += dimensionBytes + len(*dim.Name) + len(*dim.Value)
		}
		if i-begin == maxBatch || size+own > maxBytes {
			all = append(all, data[begin:i])
			begin, size = i, 0
		}
		size += own
	}
	if begin < len(data) {
		all = append(all, data[begin:])
	}
	return all
}
