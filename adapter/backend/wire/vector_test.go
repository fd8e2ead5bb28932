package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/foresail/foresail/forecast/series"
)

const vector = `{"status":"success","data":{"resultType":"vector","result":[` +
	`{"metric":{"__name__":"up","pod":"a\"\u00e9\\","z":"é"},"value":[1772452800.5,"7.25"]},` +
	`{"metric":{},"value":[1772452800,"NaN"]}]},"warnings":["w"]}`

// twin decodes with encoding/json and Prometheus' own types, as the answer's slow and obvious reader.
func twin(body []byte) (points []series.Point, err error) {
	var a struct {
		Status string
		Data   struct {
			ResultType string
			Result     model.Vector
		}
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, err
	}
	for _, s := range a.Data.Result {
		if s == nil || s.Histogram != nil {
			return nil, fmt.Errorf("a sample without a value")
		}
		set := make(map[string]string)
		for name, value := range s.Metric {
			set[string(name)] = string(value)
		}
		points = append(points, series.Point{Key: keyOf(set), Sample: series.Sample{Time: s.Timestamp.Time(), Value: float64(s.Value)}})
	}
	return points, nil
}

func same(a, b []series.Point) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		bothNaN := math.IsNaN(a[i].Value) && math.IsNaN(b[i].Value)
		if a[i].Key != b[i].Key || !a[i].Time.Equal(b[i].Time) || a[i].Value != b[i].Value && !bothNaN {
			return false
		}
	}
	return true
}

func TestAnswerIsReadAsItsTwinReadsIt(t *testing.T) {
	spaced := strings.NewReplacer(`{`, " {\n", `,`, "\t, ", `]`, " ] ").Replace(vector)
	turned := `{"data":{"result":[{"value":[1,"2"],"metric":{"a":"b","a":"c","empty":""}}],"extra":[{"x":[1,true,null]}],"resultType":"vector"},"status":"success"}`
	for _, body := range []string{vector, spaced, turned, `{"status":"success","data":{"resultType":"vector","result":[]}}`} {
		var keys series.Keys
		a, err := ReadAnswer([]byte(body), &keys)
		if err != nil || a.Status != "success" || a.Type != "vector" {
			t.Fatalf("%s: %v, status %q, type %q", body, err, a.Status, a.Type)
		}
		want, err := twin([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if !same(a.Points, want) {
			t.Errorf("%s\nis read as %v,\nwant       %v", body, a.Points, want)
		}
	}
}

func TestHalfAnAnswerIsAnError(t *testing.T) {
	for n := range len(vector) {
		if a, err := ReadAnswer([]byte(vector[:n]), new(series.Keys)); err == nil {
			t.Errorf("%s is read as %v", vector[:n], a)
		}
	}
	for _, body := range []string{
		`[]`, vector + `x`, `{"status":"success" "data":null}`, strings.Replace(vector, `"7.25"`, `7.25`, 1), strings.Replace(vector, `"7.25"`, `"7,25"`, 1),
		strings.Replace(vector, `1772452800.5`, `"x"`, 1), strings.Replace(vector, `1772452800.5`, `1e300`, 1), strings.Repeat(`{"a":[`, 10_000),
		`{"data":{"resultType":"vector","result":[{"metric":{}}]}}`, `{"status":7}`, strings.Replace(vector, `\u00e9`, `\q`, 1),
	} {
		if a, err := ReadAnswer([]byte(body), new(series.Keys)); err == nil {
			t.Errorf("%.200s is read as %v", body, a)
		}
	}
}

// FuzzReadAnswer holds that whatever is sent, the reader ends, and that what both it and its twin take is the same to both.
func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(vector))
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"2.5"]}}`))
	f.Add([]byte(`{"status":"success","data":{"result":[{"metric":{"h":"\ud800"},"histogram":[1,{}]}],"resultType":"vector"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := ReadAnswer(body, new(series.Keys))
		if err != nil || a.Type != "vector" || a.Histogram != nil {
			return
		}
		// A name that is there twice, or in another case, is where encoding/json has its own ways.
		for _, name := range []string{"status", "data", "resulttype", "result", "metric", "value", "histogram"} {
			if strings.Count(strings.ToLower(string(body)), name) > 1 {
				return
			}
		}
		want, err := twin(body)
		if err == nil && !same(a.Points, want) {
			t.Errorf("%q is read as %v, want %v", body, a.Points, want)
		}
	})
}

func BenchmarkReadAnswer(b *testing.B) {
	var body strings.Builder
	body.WriteString(`{"status":"success","data":{"resultType":"vector","result":[`)
	for i := range 10_000 {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"metric":{"namespace":"team-%02d","pod":"web-6b9c5f7d8b-%05d"},"value":[1772452800.123,"%d.125"]}`, i/200, i, i)
	}
	body.WriteString(`]}}`)
	var keys series.Keys
	b.ReportAllocs()
	for b.Loop() {
		if a, err := ReadAnswer([]byte(body.String()), &keys); err != nil || len(a.Points) != 10_000 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/series")
}
