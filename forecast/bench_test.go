package forecast

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/forecasttest"
	"github.com/foresail/foresail/forecast/series"
)

// fiveWeeks is a load of five weeks by five minutes.
func fiveWeeks() []float64 { return forecasttest.Load(rand.New(rand.NewPCG(35, 36)), 35*288, 288, 0) }

func BenchmarkUpdate(b *testing.B) {
	f := fresh(defaults())
	values := fiveWeeks()
	for i, v := range values {
		f.advance(int64(i), v)
	}
	next := len(values)
	b.ReportAllocs()
	for b.Loop() {
		f.advance(int64(next), values[next%len(values)])
		next++
	}
}

func BenchmarkOutlook(b *testing.B) {
	f := fresh(defaults())
	for i, v := range fiveWeeks() {
		f.advance(int64(i), v)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Outlook()
	}
}

func BenchmarkBackfillFiveWeeks(b *testing.B) {
	values := fiveWeeks()
	for b.Loop() {
		f := fresh(defaults())
		for i, v := range values {
			if err := f.Step(series.Sample{Time: monday.Add(time.Duration(i) * f.config.Step), Value: v}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBytesPerSeries reports what one forecaster with its models holds, after five weeks.
func BenchmarkBytesPerSeries(b *testing.B) {
	values := fiveWeeks()
	const n = 5
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		held := make([]*Forecaster, n)
		for j := range held {
			held[j] = fresh(defaults())
			for i, v := range values {
				held[j].advance(int64(i), v)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/series")
		runtime.KeepAlive(held)
	}
}

func defaults() Config {
	var c Config
	c.Default()
	return c
}
