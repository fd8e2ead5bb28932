// Package chart draws what was forecast of a load beside what came.
package chart

import (
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/foresail/foresail/forecast/backtest"
)

// The size of one panel.
const (
	width  = 28 * vg.Centimeter
	height = 12 * vg.Centimeter
)

// Format returns the picture format that a file name ends in: svg or png.
func Format(path string) (string, error) {
	switch ending := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), "."); ending {
	case "svg", "png":
		return ending, nil
	default:
		return "", fmt.Errorf("%s does not end in .svg or .png", path)
	}
}

// Panel is one of the pictures of a drawing.
type Panel struct {
	Title string
	// Rows are what is drawn; there may be any number of them.
	Rows []backtest.Row
	// From cuts off what came before, and To what came after; zero is no limit.
	From, To time.Time
}

// Draw writes the panels below one another in a format. The error is that a panel has nothing to draw, or w's.
func Draw(w io.Writer, format string, panels ...Panel) error {
	plots := make([][]*plot.Plot, 0, len(panels))
	for _, p := range panels {
		drawn, err := p.plot()
		if err != nil {
			return fmt.Errorf("cannot draw %q: %w", p.Title, err)
		}
		plots = append(plots, []*plot.Plot{drawn})
	}
	return drawAll(w, format, plots)
}

// drawAll draws plots below one another.
func drawAll(w io.Writer, format string, plots [][]*plot.Plot) error {
	canvas, err := draw.NewFormattedCanvas(width, height*vg.Length(len(plots)), format)
	if err != nil {
		return fmt.Errorf("cannot draw %s: %w", format, err)
	}
	tiles := draw.Tiles{Rows: len(plots), Cols: 1, PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 4 * vg.Millimeter, PadRight: 4 * vg.Millimeter, PadY: 4 * vg.Millimeter}
	for i, row := range plot.Align(plots, tiles, draw.New(canvas)) {
		plots[i][0].Draw(row[0])
	}
	_, err = canvas.WriteTo(w)
	return err
}

var (
	bandColor   = color.RGBA{R: 190, G: 215, B: 240, A: 255}
	servedColor = color.RGBA{R: 225, G: 140, B: 30, A: 255}
	medianColor = color.RGBA{R: 20, G: 90, B: 170, A: 255}
	cameColor   = color.Gray{Y: 40}
)

// errNothing is the error of a panel without a value.
var errNothing = errors.New("there is nothing to draw in this time")

// plot draws every forecast at the time it is of, and what was served at the time it was told.
func (p *Panel) plot() (*plot.Plot, error) {
	chart := plot.New()
	chart.Title.Text = p.Title
	chart.X.Tick.Marker = plot.TimeTicks{Format: "Jan 2\n15:04", Ticker: days{}}
	chart.Y.Tick.Marker = plain{}
	chart.Legend.Top, chart.Legend.Left = true, true
	chart.Add(plotter.NewGrid())
	if low, high := p.line(func(r *backtest.Row) (time.Time, float64) { return r.Target, r.P10 }),
		p.line(func(r *backtest.Row) (time.Time, float64) { return r.Target, r.P90 }); len(low) > 1 && len(high) > 1 {
		for _, point := range slices.Backward(high) {
			low = append(low, point)
		}
		area, err := plotter.NewPolygon(low)
		if err != nil {
			return nil, err
		}
		area.Color, area.Width = bandColor, 0
		chart.Add(area)
		chart.Legend.Add("10-90 % of the forecast, made one lead before", area)
	}
	drawn := false
	for _, l := range []struct {
		name  string
		of    func(r *backtest.Row) (time.Time, float64)
		color color.Color
		width vg.Length
	}{
		{"X_forecast as served: P90 of the largest within the lead", func(r *backtest.Row) (time.Time, float64) { return r.Issued, r.Served }, servedColor, 1},
		{"median of the forecast", func(r *backtest.Row) (time.Time, float64) { return r.Target, r.P50 }, medianColor, 1.2},
		{"what came", func(r *backtest.Row) (time.Time, float64) { return r.Issued, r.Live }, cameColor, .8},
	} {
		points := p.line(l.of)
		if len(points) == 0 {
			continue
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = l.color, l.width
		chart.Add(line)
		chart.Legend.Add(l.name, line)
		drawn = true
	}
	if !drawn {
		return nil, errNothing
	}
	chart.Y.Min = min(chart.Y.Min, 0)
	chart.Y.Max += (chart.Y.Max - chart.Y.Min) / 5 // Room for the legend.
	return chart, nil
}

// line returns the points of one value that lie in the panel's time and are known, thinned to what can be seen.
func (p *Panel) line(of func(r *backtest.Row) (time.Time, float64)) plotter.XYs {
	var points plotter.XYs
	for i := range p.Rows {
		at, v := of(&p.Rows[i])
		if math.IsNaN(v) || at.Before(p.From) || !p.To.IsZero() && at.After(p.To) {
			continue
		}
		points = append(points, plotter.XY{X: float64(at.Unix()), Y: v})
	}
	return thin(points)
}

// columns is the number of places side by side that can be told apart.
const columns = 1000

// thin leaves the lowest and the highest of neighbouring points where there are too many of them.
func thin(points plotter.XYs) plotter.XYs {
	if len(points) <= 4*columns {
		return points
	}
	out := make(plotter.XYs, 0, 2*columns)
	for c := range columns {
		part := points[c*len(points)/columns : (c+1)*len(points)/columns]
		low, high := 0, 0
		for i, v := range part {
			if v.Y < part[low].Y {
				low = i
			}
			if v.Y > part[high].Y {
				high = i
			}
		}
		out = append(out, part[min(low, high)], part[max(low, high)])
	}
	return out
}

// plain is the usual ticks with numbers that are no longer than they need be.
type plain struct{}

// Ticks implements plot.Ticker.
func (plain) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = strconv.FormatFloat(t.Value, 'g', 5, 64)
		}
	}
	return ticks
}

// days puts ticks where a person would: at hours that divide a day, or at days.
type days struct{}

// Ticks implements plot.Ticker.
func (days) Ticks(low, high float64) []plot.Tick {
	const hour, most = 3600, 10
	var ticks []plot.Tick
	for _, every := range []float64{hour / 4, hour, 3 * hour, 6 * hour, 12 * hour, 24 * hour, 48 * hour, 7 * 24 * hour} {
		if (high-low)/every <= most || every == 7*24*hour {
			every = max(every, math.Ceil((high-low)/most/every)*every)
			for at := math.Ceil(low/every) * every; at <= high; at += every {
				ticks = append(ticks, plot.Tick{Value: at, Label: " "}) // TimeTicks writes it.
			}
			return ticks
		}
	}
	return nil
}
