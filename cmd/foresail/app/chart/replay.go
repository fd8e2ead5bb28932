package chart

import (
	"image/color"
	"io"
	"math"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Dots are settings of one kind: what each costs and how long it was short.
type Dots struct {
	Name        string
	Cost, Short []float64
}

// Line is a value over time, at regular distances.
type Line struct {
	Name   string
	First  time.Time
	Step   time.Duration
	Values []float64
}

// Replay is the drawing of a replay: costs against short minutes, and beneath it some lines over time.
type Replay struct {
	Title, LinesTitle string
	Dots              []Dots
	Lines             []Line
}

var kinds = []color.Color{cameColor, servedColor, medianColor, color.RGBA{R: 60, G: 150, B: 80, A: 255}, color.RGBA{R: 150, G: 60, B: 150, A: 255}}

// Draw writes it in a format: svg or png. The errors are those of the format, and w's.
func (r *Replay) Draw(w io.Writer, format string) error {
	dots := plot.New()
	dots.Title.Text, dots.X.Label.Text, dots.Y.Label.Text = r.Title, "mean pods", "short minutes a day"
	dots.Legend.Top = true
	dots.Add(plotter.NewGrid())
	for i, d := range r.Dots {
		points := make(plotter.XYs, len(d.Cost))
		for k := range points {
			points[k] = plotter.XY{X: d.Cost[k], Y: d.Short[k]}
		}
		scatter, err := plotter.NewScatter(points)
		if err != nil {
			continue // There are none of this kind.
		}
		scatter.Color, scatter.Shape, scatter.Radius = kinds[i%len(kinds)], draw.CircleGlyph{}, vg.Points(2.2)
		dots.Add(scatter)
		dots.Legend.Add(d.Name, scatter)
	}
	lines := plot.New()
	lines.Title.Text = r.LinesTitle
	lines.X.Tick.Marker, lines.Y.Tick.Marker = plot.TimeTicks{Format: "Jan 2\n15:04", Ticker: days{}}, plain{}
	lines.Legend.Top, lines.Legend.Left = true, true
	lines.Add(plotter.NewGrid())
	for i, l := range r.Lines {
		var points plotter.XYs
		for k, v := range l.Values {
			if !math.IsNaN(v) {
				points = append(points, plotter.XY{X: float64(l.First.Add(time.Duration(k) * l.Step).Unix()), Y: v})
			}
		}
		line, err := plotter.NewLine(thin(points))
		if err != nil {
			continue // Nothing of it is known.
		}
		line.Color = kinds[i%len(kinds)]
		lines.Add(line)
		lines.Legend.Add(l.Name, line)
	}
	lines.Y.Min = min(lines.Y.Min, 0)
	lines.Y.Max *= 1.25 // Room for the legend.
	return drawAll(w, format, [][]*plot.Plot{{dots}, {lines}})
}
