package budget

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// twin divides as Divide's comment says, one unit at a time.
func twin(budget int64, members []Member) ([]int64, bool) {
	granted := make([]int64, len(members))
	wants := make([]int64, len(members))
	base := make([]int64, len(members))
	minimums := int64(0)
	for _, m := range members {
		minimums += m.Least * m.Cost
	}
	feasible := minimums <= budget
	for i, m := range members {
		wants[i] = m.Least
		if feasible {
			base[i], granted[i], wants[i] = m.Least, m.Least, max(m.Need, m.Least)
		}
	}
	if feasible {
		budget -= minimums
	}
	asks := func(i int) int64 { return max(members[i].Need, members[i].Least) * members[i].Cost }
	height := func(i int) float64 {
		return float64(granted[i]-base[i]+1) * float64(members[i].Cost) / members[i].Weight
	}
	for {
		best := -1
		for i, m := range members {
			if granted[i] >= wants[i] || m.Cost > budget {
				continue
			}
			if best >= 0 {
				b := members[best]
				switch {
				case m.Priority != b.Priority:
					if m.Priority < b.Priority {
						continue
					}
				case height(i) != height(best):
					if height(i) > height(best) {
						continue
					}
				case asks(i) <= asks(best):
					continue
				}
			}
			best = i
		}
		if best < 0 {
			return granted, feasible
		}
		granted[best]++
		budget -= members[best].Cost
	}
}

func total(members []Member, granted []int64) (sum int64) {
	for i, m := range members {
		sum += m.Cost * granted[i]
	}
	return sum
}

func TestDivide(t *testing.T) {
	pod := func(need, least int64) Member { return Member{Need: need, Least: least, Cost: 1, Weight: 1} }
	tests := []struct {
		name       string
		budget     int64
		members    []Member
		want       []int64
		infeasible bool
	}{
		{name: "nobody", budget: 20},
		{name: "all fits", budget: 20, members: []Member{pod(12, 1), pod(8, 1)}, want: []int64{12, 8}},
		// 20 - 2 minimums = 18, 9 each; the second wants only 5 more, and the first has the rest: 1 + 13.
		{name: "one needs less than its share", budget: 20, members: []Member{pod(30, 1), pod(6, 1)}, want: []int64{14, 6}},
		{name: "the odd unit goes to the larger need", budget: 5, members: []Member{pod(8, 0), pod(9, 0)}, want: []int64{2, 3}},
		{name: "and among equals to the first", budget: 5, members: []Member{pod(9, 0), pod(9, 0)}, want: []int64{3, 2}},
		// Of 12, weights 2:1 have 8 and 4.
		{name: "weights", budget: 12, members: []Member{{Need: 20, Cost: 1, Weight: 2}, {Need: 20, Cost: 1, Weight: 1}}, want: []int64{8, 4}},
		{
			name: "a lower priority has its minimum", budget: 12,
			members: []Member{{Need: 5, Least: 2, Cost: 1, Weight: 1}, {Need: 40, Cost: 1, Weight: 1, Priority: 1}}, want: []int64{2, 10},
		},
		{
			name: "and what the higher one leaves", budget: 12,
			members: []Member{{Need: 5, Least: 2, Cost: 1, Weight: 1}, {Need: 8, Cost: 1, Weight: 1, Priority: 1}}, want: []int64{4, 8},
		},
		// Pods of 4 GPUs and of 1: 10 GPUs are 5 each; one pod of 4 fits into 5, then a second would need 8 of 10 - 4 - 5 = 1 left: the
		// small ones take it, 6.
		{name: "large units", budget: 10, members: []Member{{Need: 9, Cost: 4, Weight: 1}, {Need: 9, Cost: 1, Weight: 1}}, want: []int64{1, 6}},
		// 3 + 4 minimums do not fit into 5: 2 each, the odd one is the first's, and nothing is left for needs.
		{name: "minimums beyond the budget", budget: 5, members: []Member{pod(9, 3), pod(9, 4)}, want: []int64{3, 2}, infeasible: true},
		{
			name: "minimums beyond the budget, by priority", budget: 5,
			members: []Member{{Least: 3, Cost: 1, Weight: 1}, {Least: 4, Cost: 1, Weight: 1, Priority: 1}}, want: []int64{1, 4}, infeasible: true,
		},
		// 1 MiB pages of 1 TiB, by far too many to hand out one by one.
		{
			name: "many units", budget: 1 << 40, members: []Member{{Need: 1 << 42, Cost: 1, Weight: 3}, {Need: 1 << 42, Cost: 1, Weight: 1}},
			want: []int64{3 << 38, 1 << 38},
		},
		{
			name: "the largest there can be", budget: Most,
			members: []Member{{Need: Most, Cost: Most, Weight: 1}, {Need: Most, Least: 1, Cost: 1, Weight: 1e-6}}, want: []int64{0, Most},
		},
	}
	for _, tt := range tests {
		got, feasible := Divide(tt.budget, tt.members)
		if !slices.Equal(got, tt.want) || feasible == tt.infeasible {
			t.Errorf("%s: %v of %d, feasible %t; want %v", tt.name, got, tt.budget, feasible, tt.want)
		}
	}
}

// random is a pool as they are: few priorities, some weights and costs that tie, minimums that sometimes do not fit.
func random(r *rand.Rand, costs []int64) (int64, []Member) {
	weights := []float64{1, 1, 1, 2, 3, .1, .7}
	members := make([]Member, 1+r.IntN(6))
	for i := range members {
		members[i] = Member{
			Need: r.Int64N(40), Least: r.Int64N(4), Cost: costs[r.IntN(len(costs))],
			Weight: weights[r.IntN(len(weights))], Priority: r.IntN(3),
		}
	}
	return r.Int64N(150), members
}

func TestDivideAsOneUnitAtATime(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		budget, members := random(r, []int64{1, 1, 2, 3, 8})
		got, feasible := Divide(budget, members)
		want, wantFeasible := twin(budget, members)
		if !slices.Equal(got, want) || feasible != wantFeasible {
			t.Fatalf("%d among %+v: %v, feasible %t; one unit at a time %v, %t", budget, members, got, feasible, want, wantFeasible)
		}
	}
}

// What the comment of Divide promises, one by one.
func TestDivideKeepsItsPromises(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		budget, members := random(r, []int64{1, 2, 3, 8})
		granted, feasible := Divide(budget, members)
		if sum := total(members, granted); sum > budget {
			t.Fatalf("%d among %+v: %v cost %d", budget, members, granted, sum)
		}
		left := budget
		for i, m := range members {
			left -= m.Cost * m.Least
			if granted[i] > max(m.Need, m.Least) || feasible && granted[i] < m.Least {
				t.Fatalf("%d among %+v: %v: member %d has more than it needs, or less than its minimum", budget, members, granted, i)
			}
		}
		for i, m := range members {
			if rest := budget - total(members, granted); granted[i] < m.Need && feasible && m.Cost <= rest {
				t.Fatalf("%d among %+v: %v: %d are left over, and member %d could use them", budget, members, granted, rest, i)
			}
		}
		if !feasible {
			continue
		}
		// The share of a member is of what the higher priorities have not taken beyond their minimums.
		for i, m := range members {
			share, weights := left, 0.
			for k, other := range members {
				switch {
				case other.Priority > m.Priority:
					share -= (granted[k] - other.Least) * other.Cost
				case other.Priority == m.Priority:
					weights += other.Weight
				}
			}
			quota := int64(math.Floor(m.Weight/weights*float64(share)/float64(m.Cost) - 1e-9))
			if granted[i] < min(m.Need, m.Least+quota) {
				t.Fatalf("%d among %+v: %v: member %d starves: its share is %d units", budget, members, granted, i, quota)
			}
		}
	}
}

// More of the budget never takes from anyone, and who asks for more, or counts for more, never gets less. With units of different
// costs the first does not hold: of 1, a unit of 1 has all; of 2, a unit of 2 may.
func TestDivideIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 50_000 {
		budget, members := random(r, []int64{1})
		before, feasible := Divide(budget, members)
		after, _ := Divide(budget+1, members)
		for i := range members {
			if after[i] < before[i] && feasible {
				t.Fatalf("%+v: %v of %d and %v of one more", members, before, budget, after)
			}
		}
		i := r.IntN(len(members))
		for _, change := range []func(*Member){
			func(m *Member) { m.Need++ }, func(m *Member) { m.Weight *= 1.5 }, func(m *Member) { m.Priority++ },
		} {
			more := slices.Clone(members)
			change(&more[i])
			if after, _ := Divide(budget, more); after[i] < before[i] {
				t.Fatalf("%d among %+v: %v; member %d as %+v: %v", budget, members, before, i, more[i], after)
			}
		}
	}
}

func BenchmarkDivide(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 8))
	members := make([]Member, 10)
	for i := range members {
		members[i] = Member{Need: r.Int64N(1000), Least: 1, Cost: 1 + r.Int64N(8), Weight: 1, Priority: i % 2}
	}
	for b.Loop() {
		Divide(5000, members)
	}
}
