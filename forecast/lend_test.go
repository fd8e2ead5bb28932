package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/foresail/foresail/forecast/pool"
	"github.com/foresail/foresail/forecast/series"
)

// squares returns n values of a daily pattern with noise that are remembered exactly: squares of whole numbers.
func squares(random *rand.Rand, n int, level, noise float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		root := math.Round(level * (10 + 5*math.Sin(2*math.Pi*float64(i)/24) + noise*random.NormFloat64()))
		values[i] = root * root
	}
	return values
}

// taught returns what six loads teach that have a daily pattern, or none.
func taught(t *testing.T, pattern float64) *pool.Model {
	t.Helper()
	random := rand.New(rand.NewPCG(91, 92))
	f, err := New(hourly)
	if err != nil {
		t.Fatal(err)
	}
	var pasts []pool.Past
	for i := range 6 {
		values := make([]float64, 40*24)
		for k := range values {
			values[k] = float64(i+1) * (100 + 50*pattern*math.Sin(2*math.Pi*float64(k)/24) + 5*random.NormFloat64())
		}
		pasts = append(pasts, pool.Past{First: f.history.Local(slotOf(monday)), Values: values})
	}
	m := pool.Train(pool.Shape{Step: time.Hour, Lead: hourly.LeadSteps(), Season: 24}, pasts)
	if m == nil {
		t.Fatal("nothing learnt")
	}
	return m
}

func slotOf(at time.Time) int64 { return at.UnixNano() / int64(hourly.Step) }

// live steps a new forecaster through values, and says at every step what its state is; at a step it is lent a model.
func live(t *testing.T, values []float64, m *pool.Model, lent int) (*Forecaster, []State) {
	t.Helper()
	f, err := New(hourly)
	if err != nil {
		t.Fatal(err)
	}
	var states []State
	for i, v := range values {
		if i == lent {
			f.Lend(m)
		}
		if err := f.Step(series.Sample{Time: monday.Add(time.Duration(i+1) * time.Hour), Value: v}); err != nil {
			t.Fatal(err)
		}
		states = append(states, f.Outlook().State)
	}
	return f, states
}

// Once half a season's forecasts have matured, or 30 of them, a young load like those that taught is trusted; alone it is not before
// three days are over.
func TestTaughtSeriesIsTrustedSooner(t *testing.T) {
	values := squares(rand.New(rand.NewPCG(93, 94)), 5*24, 1, .2)
	_, alone := live(t, values, nil, 0)
	_, helped := live(t, values, taught(t, 1), 0)
	lead := hourly.LeadSteps()
	for i, s := range helped {
		first := minMatured + lead // What is said of the first step matures a lead later.
		if ready := monday.Add(time.Duration(first) * time.Hour); i >= lead && i+1 < first && (s.Reason != WarmingUp || !s.ReadyAt.Equal(ready)) {
			t.Fatalf("step %d: %v, want it ready at %v", i, s, ready)
		}
		if i+1 >= 48 && !s.Trusted() {
			t.Errorf("step %d: %v", i, s)
		}
		if i < 72 && alone[i].Trusted() {
			t.Errorf("step %d: trusted alone", i)
		}
	}
}

// What a series was lent at its birth and what it was lent later, before its models woke, are the same.
func TestLentLaterIsLentAtBirth(t *testing.T) {
	values := squares(rand.New(rand.NewPCG(95, 96)), 80, 1, .4)
	m := taught(t, 1)
	a, early := live(t, values, m, 0)
	b, late := live(t, values, m, 40)
	if !same(a.Outlook(), b.Outlook()) || early[79] != late[79] {
		t.Errorf("%v and %v", a.Outlook(), b.Outlook())
	}
	// Too late: nothing changes.
	c, _ := live(t, values, m, 2*24+hourly.LeadSteps())
	d, _ := live(t, values, nil, 0)
	if !same(c.Outlook(), d.Outlook()) {
		t.Errorf("%v and %v", c.Outlook(), d.Outlook())
	}
}

// A taught series that is taken down goes on as before once it has been lent the same again, and for that it need not be young any more
// but for its models.
func TestTaughtSeriesResumes(t *testing.T) {
	values := squares(rand.New(rand.NewPCG(97, 98)), 110, 1, .4)
	m := taught(t, 1)
	whole, _ := live(t, values, m, 0)
	f, _ := live(t, values[:30], m, 0)
	g := resumed(t, f)
	if !g.Young() {
		t.Fatal("not young")
	}
	g.Lend(m)
	for i, v := range values[30:] {
		if err := g.Step(series.Sample{Time: monday.Add(time.Duration(i+31) * time.Hour), Value: v}); err != nil {
			t.Fatal(err)
		}
		if i == 60 {
			g = resumed(t, g)
			g.Lend(m) // It is too old by now.
		}
	}
	if a, b := whole.Outlook(), g.Outlook(); whole.gate.early != g.gate.early || a.State.Skill != a.State.Skill || b.State.Reason == WarmingUp {
		t.Errorf("%v and %v", a.State, b.State)
	}
}

// Lessons that do not hold are not trusted: loads that go up and down at random are told to follow a cycle.
func TestWrongLessonsAreRefused(t *testing.T) {
	random := rand.New(rand.NewPCG(99, 100))
	m := taught(t, 1)
	refused := 0
	for range 10 {
		values := make([]float64, 60)
		v := 1000.
		for i := range values {
			v *= math.Exp(.3 * random.NormFloat64())
			values[i] = v
		}
		_, states := live(t, values, m, 0)
		for i, s := range states {
			if s.Trusted() && s.Skill < -hysteresis-.02 { // And what is too little to matter: see tolerance.
				t.Errorf("step %d: trusted at a skill of %v", i, s.Skill)
			}
			if s.Reason == NoSkill || s.Reason == Miscalibrated || s.Reason == LevelShift {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}
