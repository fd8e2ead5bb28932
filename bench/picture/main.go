// Command picture draws the README's picture: a recorded load, and what had been forecast for it 30 minutes before.
//
//	go run ./bench/picture -out docs/img/forecast.svg
package main

import (
	"bufio"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"image/color"
	"log"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/foresail/foresail/bench/traces"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/series"
)

func main() {
	out := flag.String("out", "forecast.svg", "the file to write; its ending says the format")
	from := flag.String("from", "2020-04-28T00:00:00Z", "the first moment of the picture")
	length := flag.Duration("length", 48*time.Hour, "how much of the load to show")
	flag.Parse()
	start, err := time.Parse(time.RFC3339, *from)
	if err == nil {
		err = draw(*out, start, *length)
	}
	if err != nil {
		log.Fatalf("picture: %v", err)
	}
}

// forecasted is what had been said, one lead before, of one grid value, and the value.
type forecasted struct {
	at                time.Time
	low, median, high float64
	came              float64
	servedWindow      float64 // P90 of the largest value in the lead ahead, issued at that time
}

func draw(out string, start time.Time, length time.Duration) error {
	rows, err := walk(start.Add(length))
	if err != nil {
		return err
	}
	var band, came, median, window plotter.XYs
	var upper plotter.XYs
	for _, r := range rows {
		if r.at.Before(start) || math.IsNaN(r.median) {
			continue
		}
		x := r.at.Sub(start).Hours()
		band = append(band, plotter.XY{X: x, Y: r.low})
		upper = append(upper, plotter.XY{X: x, Y: r.high})
		median = append(median, plotter.XY{X: x, Y: r.median})
		window = append(window, plotter.XY{X: x, Y: r.servedWindow})
		if !math.IsNaN(r.came) {
			came = append(came, plotter.XY{X: x, Y: r.came})
		}
	}
	for _, p := range slices.Backward(upper) {
		band = append(band, p)
	}
	chart := plot.New()
	chart.Title.Text = "A recorded load, and what was forecast of it 30 minutes before"
	chart.X.Label.Text = "hours"
	chart.Y.Label.Text = "load"
	chart.Y.Min = 0
	chart.X.Min, chart.X.Max = 0, length.Hours()
	chart.Legend.Top, chart.Legend.Left = true, true
	area, err := plotter.NewPolygon(band)
	if err != nil {
		return fmt.Errorf("cannot draw the band: %w", err)
	}
	area.Color, area.Width = color.RGBA{R: 190, G: 215, B: 240, A: 255}, 0
	chart.Add(area)
	chart.Legend.Add("10-90 % of the forecast", area)
	for _, l := range []struct {
		name   string
		points plotter.XYs
		color  color.Color
		width  vg.Length
	}{
		{"X_forecast: P90 of the largest in the next 30 min", window, color.RGBA{R: 225, G: 140, B: 30, A: 255}, 1},
		{"median of the forecast", median, color.RGBA{R: 20, G: 90, B: 170, A: 255}, 1.2},
		{"what came", came, color.Gray{Y: 40}, .8},
	} {
		line, err := plotter.NewLine(l.points)
		if err != nil {
			return fmt.Errorf("cannot draw %s: %w", l.name, err)
		}
		line.Color, line.Width = l.color, l.width
		chart.Add(line)
		chart.Legend.Add(l.name, line)
	}
	return chart.Save(28*vg.Centimeter, 12*vg.Centimeter, out)
}

// walk runs the recording through a forecaster up to a time, strictly in order, and pairs every value with what had
// been said of it a lead before.
func walk(until time.Time) (rows []forecasted, err error) {
	file, err := traces.Open("merlion_example_kpi_1m")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	zip, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("cannot unzip the recording: %w", err)
	}
	f, err := forecast.New(forecast.Config{})
	if err != nil {
		return nil, err
	}
	config := f.Config()
	grid := forecast.NewGrid(config.Step)
	said := map[time.Time]forecasted{}
	lines := bufio.NewScanner(zip)
	for lines.Scan() {
		stamp, number, _ := strings.Cut(lines.Text(), ",")
		at, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			continue // the header
		}
		if at.After(until) {
			break
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read the recording: %w", err)
		}
		closed, ok, err := grid.Add(series.Sample{Time: at, Value: value})
		if err != nil {
			return nil, fmt.Errorf("cannot read the recording: %w", err)
		}
		if !ok {
			continue
		}
		if err := f.Step(closed); err != nil {
			return nil, err
		}
		outlook := f.Outlook()
		row, told := said[closed.Time.UTC()]
		if !told {
			row = forecasted{low: math.NaN(), median: math.NaN(), high: math.NaN()}
		}
		row.at, row.came = closed.Time, closed.Value
		if row.servedWindow, err = outlook.Window(config.Lead, .9); err != nil {
			row.servedWindow = math.NaN()
		}
		rows = append(rows, row)
		next := forecasted{}
		next.low, _ = outlook.Point(config.Lead, .1)
		next.median, _ = outlook.Point(config.Lead, .5)
		next.high, _ = outlook.Point(config.Lead, .9)
		said[closed.Time.Add(config.Lead).UTC()] = next
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the recording: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("the recording ends before the picture starts")
	}
	return rows, nil
}
