package config

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Near returns at most three of the known names that a wrong one is most like, each once, the best first.
func Near(name string, known []string) []string {
	const most, longest = 3, 256
	like := map[string]int{}
	for _, k := range known {
		if len(name) > longest || len(k) > longest {
			continue // not a slip of the pen, and too long to compare for nothing
		}
		d := distance(fold(name), fold(k))
		if d <= len(name)/3+1 || len(name) > 3 && strings.Contains(fold(k), fold(name)) {
			like[k] = d
		}
	}
	near := slices.SortedFunc(maps.Keys(like), func(a, b string) int { return cmp.Or(cmp.Compare(like[a], like[b]), strings.Compare(a, b)) })
	return near[:min(len(near), most)]
}
