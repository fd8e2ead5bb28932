package e2e

import (
	"context"
	"image/color"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// moment is what one Deployment looked like at one time.
type moment struct {
	at             time.Time
	desired, ready int
}

// recorder watches Deployments the way a person with a stopwatch would, five times a second.
type recorder struct {
	mu      sync.Mutex
	moments map[string][]moment
}

func record(t *testing.T, p *plane, namespace string, deployments ...string) *recorder {
	t.Helper()
	r := &recorder{moments: map[string][]moment{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
			}
			for _, name := range deployments {
				d, err := p.client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
				if err != nil {
					continue
				}
				r.mu.Lock()
				r.moments[name] = append(r.moments[name], moment{at: time.Now(), desired: int(*d.Spec.Replicas), ready: int(d.Status.ReadyReplicas)})
				r.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// at returns what the Deployment looked like at the newest moment that is not after the given one.
func (r *recorder) at(deployment string, when time.Time) (moment, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last moment
	for _, m := range r.moments[deployment] {
		if m.at.After(when) {
			break
		}
		last = m
	}
	return last, !last.at.IsZero()
}

// firstReady returns when, from the given time on, the Deployment first had at least n Ready pods.
func (r *recorder) firstReady(deployment string, from time.Time, n int) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.moments[deployment] {
		if !m.at.Before(from) && m.ready >= n {
			return m.at, true
		}
	}
	return time.Time{}, false
}

// lowest returns the smallest size that the Deployment was asked to have since the given time.
func (r *recorder) lowest(deployment string, since time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	lowest := -1
	for _, m := range r.moments[deployment] {
		if !m.at.Before(since) && (lowest < 0 || m.desired < lowest) {
			lowest = m.desired
		}
	}
	return lowest
}

// draw writes the Ready pods of both Deployments over the pods that the load needed.
func (r *recorder) draw(path string, from, to time.Time, names map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	chart := plot.New()
	chart.Title.Text = "Ready pods of a stock HPA, pods start in 6 s, a day lasts 48 s"
	chart.X.Label.Text = "seconds"
	chart.Y.Label.Text = "pods"
	chart.Y.Min = 0
	chart.Legend.Top, chart.Legend.Left = true, true
	chart.Add(plotter.NewGrid())
	var needed plotter.XYs
	for at := from; at.Before(to); at = at.Add(200 * time.Millisecond) {
		needed = append(needed, plotter.XY{X: at.Sub(from).Seconds(), Y: float64(podsFor(load(at)))})
	}
	add := func(points plotter.XYs, name string, c color.Color, width vg.Length) error {
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.Color, line.Width, line.StepStyle = c, width, plotter.PostStep
		chart.Add(line)
		chart.Legend.Add(name, line)
		return nil
	}
	if err := add(needed, "pods that the load needs", color.Gray{Y: 150}, 3); err != nil {
		return err
	}
	colors := map[string]color.Color{"reactive": color.RGBA{R: 200, G: 60, B: 40, A: 255}, "ahead": color.RGBA{R: 20, G: 110, B: 180, A: 255}}
	for _, name := range []string{"reactive", "ahead"} {
		var points plotter.XYs
		for _, m := range r.moments[name] {
			if !m.at.Before(from) && m.at.Before(to) {
				points = append(points, plotter.XY{X: m.at.Sub(from).Seconds(), Y: float64(m.ready)})
			}
		}
		if err := add(points, names[name], colors[name], 1.5); err != nil {
			return err
		}
	}
	chart.Y.Max = 14
	return chart.Save(26*vg.Centimeter, 11*vg.Centimeter, path)
}
