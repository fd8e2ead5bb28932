package trees

import (
	_ "embed"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/foresail/foresail/forecast/past"
)

// loads returns rows of four features in 0 to 31 and targets that depend on them, with noise, from a linear congruential generator
// that is easily written down in another language.
func loads() (x, y []float32) { return rows(600) }

func rows(n int) (x, y []float32) {
	state := uint64(42)
	next := func() float64 {
		state = state*6364136223846793005 + 1442695040888963407
		return float64(state >> 33 % 32)
	}
	for range n {
		a, b, c, d := next(), next(), next(), next()
		noise := next() + next() - 31
		target := .1 * b
		if c > 20 {
			target = .5 * b
		}
		if a > 15 {
			target += 10
		}
		x = append(x, float32(a), float32(b), float32(c), float32(d))
		y = append(y, float32(target+noise*(.2+.02*d)))
	}
	return x, y
}

func meanLoss(m *Model, x, y []float32, features int, tau float64) float64 {
	loss := 0.
	for i, v := range y {
		r := float64(v) - m.Predict(x[i*features:(i+1)*features])
		loss += max(tau*r, (tau-1)*r) / float64(len(y))
	}
	return loss
}

// slowTree grows a tree the obvious way: every split of every leaf is tried on the rows themselves.
type slowTree struct {
	feature     int // -1 for a leaf.
	value       float32
	left, right *slowTree
	rows        []int
	depth       int
	gain        float64
	at          split
}

func (s *slowTree) predict(x []float32) float32 {
	for s.feature >= 0 {
		if x[s.feature] <= s.value {
			s = s.left
		} else {
			s = s.right
		}
	}
	return s.value
}

// fitSlowly follows the same rules as Fit, with nothing binned, counted ahead or subtracted.
func fitSlowly(x, y []float32, features int, o Options) func(row []float32) float64 {
	base := quantile(slices.Clone(y), o.Tau)
	score := make([]float32, len(y))
	for i := range score {
		score[i] = base
	}
	var grown []*slowTree
	for range o.Trees {
		gradient := make([]float64, len(y))
		for i := range y {
			switch {
			case y[i] > score[i]:
				gradient[i] = o.Tau
			case y[i] < score[i] || o.Tau != .5:
				gradient[i] = o.Tau - 1
			}
		}
		root := &slowTree{feature: -1}
		for i := range y {
			root.rows = append(root.rows, i)
		}
		leaves := []*slowTree{root}
		for _, l := range leaves {
			l.search(x, gradient, features, o)
		}
		for len(leaves) < o.Leaves {
			best := slices.MaxFunc(leaves, func(a, b *slowTree) int {
				return map[bool]int{true: 1, false: -1}[a.gain > b.gain]
			})
			if best.gain <= 0 {
				break
			}
			best.feature, best.value = best.at.feature, float32(best.at.bin)
			best.left, best.right = &slowTree{feature: -1, depth: best.depth + 1}, &slowTree{feature: -1, depth: best.depth + 1}
			for _, r := range best.rows {
				if x[r*features+best.feature] <= best.value {
					best.left.rows = append(best.left.rows, r)
				} else {
					best.right.rows = append(best.right.rows, r)
				}
			}
			leaves = slices.DeleteFunc(leaves, func(l *slowTree) bool { return l == best })
			for _, l := range []*slowTree{best.left, best.right} {
				l.search(x, gradient, features, o)
				leaves = append(leaves, l)
			}
		}
		for _, l := range leaves {
			var rest []float32
			for _, r := range l.rows {
				rest = append(rest, y[r]-score[r])
			}
			l.value = float32(o.Rate) * quantile(rest, o.Tau)
			for _, r := range l.rows {
				score[r] += l.value
			}
		}
		grown = append(grown, root)
	}
	return func(row []float32) float64 {
		sum := base
		for _, t := range grown {
			sum += t.predict(row)
		}
		return float64(sum)
	}
}

func (s *slowTree) search(x []float32, gradient []float64, features int, o Options) {
	if o.Depth > 0 && s.depth >= o.Depth {
		return
	}
	whole := 0.
	for _, r := range s.rows {
		whole += gradient[r]
	}
	for f := range features {
		for value := range 32 {
			left, n := 0., 0
			for _, r := range s.rows {
				if x[r*features+f] <= float32(value) {
					left += gradient[r]
					n++
				}
			}
			rest := len(s.rows) - n
			if n < o.MinLeaf || rest < o.MinLeaf {
				continue
			}
			right := whole - left
			gain := left*left/float64(n) + right*right/float64(rest) - whole*whole/float64(len(s.rows)) - 1e-9
			if gain > s.gain+1e-9 {
				s.gain, s.at = gain, split{feature: f, bin: uint8(value)}
			}
		}
	}
}

func TestFitAgainstEverySplit(t *testing.T) {
	x, y := loads()
	data := NewData(x, 4)
	for _, o := range []Options{
		{Tau: .5, Trees: 10, Leaves: 15, Rate: .2, MinLeaf: 20, Columns: 1},
		{Tau: .9, Trees: 10, Leaves: 8, Depth: 3, Rate: .2, MinLeaf: 20, Columns: 1},
		{Tau: .1, Trees: 5, Leaves: 16, Depth: 4, Rate: .5, MinLeaf: 20, Columns: 1},
	} {
		fast, slow := data.Fit(y, o), fitSlowly(x, y, 4, o)
		for i := range y {
			row := x[i*4 : i*4+4]
			if a, b := fast.Predict(row), slow(row); math.Abs(a-b) > .03 { // Leaves are held to 1 in 256 of their value.
				t.Fatalf("%+v, row %d: %v, want %v", o, i, a, b)
			}
		}
	}
}

// lightGBM is what LightGBM 4.7.0 fits to the same rows, and says of 200 further ones; testdata/oracle.py is the recipe.
//
//go:embed testdata/oracle.json
var lightGBM []byte

func TestFitAgainstLightGBM(t *testing.T) {
	var oracle []struct {
		Tau           float64
		Leaves, Depth int
		Loss, Later   float64 // Mean pinball loss on the rows, and on the further ones.
		Said          []float64
	}
	if err := json.Unmarshal(lightGBM, &oracle); err != nil {
		t.Fatal(err)
	}
	if len(oracle) != 3 {
		t.Errorf("%d models", len(oracle))
	}
	const learnt = 600
	x, y := rows(800)
	data := NewData(x[:4*learnt], 4)
	later, came := x[4*learnt:], y[learnt:]
	for _, want := range oracle {
		m := data.Fit(y, Options{Tau: want.Tau, Trees: 30, Leaves: want.Leaves, Depth: want.Depth, Rate: .2, MinLeaf: 20, Columns: 1})
		fitted, ahead := meanLoss(m, x, y[:learnt], 4, want.Tau), meanLoss(m, later, came, 4, want.Tau)
		away := 0.
		for i, v := range want.Said {
			away += math.Abs(m.Predict(later[i*4:i*4+4])-v) / float64(len(want.Said))
		}
		t.Logf("tau %v: loss %.4f and %.4f later, of LightGBM %.4f and %.4f; %.3f away", want.Tau, fitted, ahead, want.Loss, want.Later, away)
		if math.Abs(fitted-want.Loss) > .018*want.Loss {
			t.Errorf("tau %v: loss %.4f, of LightGBM %.4f", want.Tau, fitted, want.Loss)
		}
		if ahead > 1.03*want.Later {
			t.Errorf("tau %v: loss %.4f on further rows, of LightGBM %.4f", want.Tau, ahead, want.Later)
		}
		if away > .8 || len(want.Said) != len(came) { // Of targets that spread by 9.
			t.Errorf("tau %v: forecasts are %.3f away from those of LightGBM on average", want.Tau, away)
		}
	}
}

// Edges part values evenly, and each distinct one alone if there are few.
func TestEdges(t *testing.T) {
	if got := edges([]float32{3, 1, 1, 2, 3}); !slices.Equal(got, []float32{1, 2}) {
		t.Errorf("%v, want [1 2]", got)
	}
	if got := edges([]float32{7, 7}); len(got) != 0 {
		t.Errorf("%v of one value", got)
	}
	many, ties := make([]float32, 640), make([]float32, 640)
	for i := range many {
		many[i], ties[i] = float32(640-i), float32(max(i, 500))
	}
	if got := edges(many); len(got) != Bins-1 || got[0] != 11 || got[62] != 632 { // Ten values a bin; 631 rounded.
		t.Errorf("%v", got)
	}
	if got := edges(ties); got[0] != 500 || !slices.IsSorted(got) || got[len(got)-1] >= 639 {
		t.Errorf("%v", got)
	}
}

// Bins and edges say the same: a value is in a bin not above b exactly if it is not above edge b.
func TestBinsAgreeWithEdges(t *testing.T) {
	x, _ := loads()
	for i := range x {
		x[i] *= 1.7 + float32(i%97)/100 // More values than bins.
	}
	d := NewData(x, 4)
	for f, edges := range d.edges {
		for r := range d.rows {
			bin := int(d.byRow[r*4+f])
			if d.byColumn[f*d.rows+r] != d.byRow[r*4+f] {
				t.Fatal("rows and columns differ")
			}
			for b, edge := range edges {
				if (x[r*4+f] <= edge) != (bin <= b) {
					t.Fatalf("value %v, bin %d, edge %d is %v", x[r*4+f], bin, b, edge)
				}
			}
		}
	}
}

func TestQuantileAgainstSorting(t *testing.T) {
	x, _ := loads()
	for n := 1; n < 60; n++ {
		sorted := slices.Clone(x[:n])
		slices.Sort(sorted)
		for _, tau := range []float64{0, .1, .5, .9, 1} {
			low, share := math.Modf(tau * float64(n-1))
			want := sorted[int(low)]
			if share > 0 {
				want += float32(share) * (sorted[int(low)+1] - want)
			}
			if got := quantile(slices.Clone(x[:n]), tau); math.Abs(float64(got-want)) > 1e-5 {
				t.Fatalf("%v of %v: %v, want %v", tau, sorted, got, want)
			}
		}
	}
	if quantile(nil, .5) != 0 {
		t.Error("of nothing")
	}
}

// Nothing to split is the quantile itself.
func TestFitOfAConstantFeature(t *testing.T) {
	y := make([]float32, 50)
	for i := range y {
		y[i] = float32(i)
	}
	m := NewData(make([]float32, 50), 1).Fit(y, Options{Tau: .5, Trees: 3, Leaves: 4, Rate: 1, MinLeaf: 1, Columns: 1})
	if got := m.Predict([]float32{0}); got != 24.5 {
		t.Errorf("%v, want the median of 0..49", got)
	}
}

func BenchmarkFit(b *testing.B) {
	const rows, features = 8064, 27
	x, y := make([]float32, rows*features), make([]float32, rows)
	state := uint64(1)
	for i := range x {
		state = state*6364136223846793005 + 1442695040888963407
		x[i] = float32(state>>40) / (1 << 24)
	}
	for i := range y {
		y[i] = x[i*features] + x[i*features+1]*x[i*features+2]
	}
	b.Run("bins", func(b *testing.B) {
		for b.Loop() {
			NewData(x, features)
		}
	})
	d := NewData(x, features)
	for name, o := range map[string]Options{
		"median": {Tau: .5, Trees: 30, Leaves: 15, Rate: .2, MinLeaf: 20, Columns: .5},
		"upper":  {Tau: .9, Trees: 40, Leaves: 8, Depth: 3, Rate: .2, MinLeaf: 20, Columns: .5},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				d.Fit(y, o)
			}
		})
	}
}

// Rows go by ranks as they would by the numbers.
func TestRank(t *testing.T) {
	numbers := []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, 1, -1, 1.00001, -1.00001, 3.4e38, -3.4e38, float32(math.Inf(1)), float32(math.Inf(-1))}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		v := float32(random.NormFloat64() * math.Exp(20*random.NormFloat64()))
		numbers = append(numbers, v, float32(past.ToHalf(float64(v)).Value()))
	}
	for _, split := range numbers {
		h := past.ToHalf(float64(split))
		for _, v := range numbers {
			if want := float64(v) > h.Value(); above(v) > rank(h) != want {
				t.Fatalf("%v goes right at a split of %v: %v", v, h.Value(), !want)
			}
		}
	}
}

// A row ends where it does on its way from root to leaf, one tree after the other.
func TestPredictWalksTheTrees(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const features = 5
	for trial := range 200 {
		width := 1 + random.IntN(MostLeaves)
		grown := make([][]node, 1+random.IntN(20))
		for g := range grown {
			grown[g] = []node{{feature: leaf}}
			for range random.IntN(width) { // Any leaf is split.
				at := random.IntN(len(grown[g]))
				for grown[g][at].feature != leaf {
					at = random.IntN(len(grown[g]))
				}
				grown[g][at] = node{past.ToHalf(float64(random.IntN(9) - 4)), uint8(random.IntN(features)), uint8(len(grown[g]))}
				grown[g] = append(grown[g], node{feature: leaf}, node{feature: leaf})
			}
			for i := range grown[g] {
				if grown[g][i].feature == leaf {
					grown[g][i].value = past.ToHalf(random.NormFloat64())
				}
			}
		}
		m := newModel(.5, grown, width, features)
		for range 50 {
			x := make([]float32, features)
			for i := range x {
				x[i] = float32(random.IntN(11)-5) + float32(random.IntN(2))*.25
			}
			want := .5
			for _, nodes := range grown {
				n := nodes[0]
				for n.feature != leaf {
					next := n.left
					if float64(x[n.feature]) > n.value.Value() {
						next++
					}
					n = nodes[next]
				}
				want += n.value.Value()
			}
			if got := m.Predict(x); got != want {
				t.Fatalf("trial %d: %v of %v, want %v", trial, got, x, want)
			}
		}
	}
}
