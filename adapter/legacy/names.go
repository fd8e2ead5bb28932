package legacy

import (
	"errors"
	"fmt"
	"regexp"
)

// filter is one compiled Filter.
type filter struct {
	pattern *regexp.Regexp
	want    bool
}

func (f Filter) compile() (filter, error) {
	switch {
	case f.Is != "" && f.IsNot != "":
		return filter{}, errors.New("has both is and isNot: make two filters of them")
	case f.Is == "" && f.IsNot == "":
		return filter{}, errors.New("has neither is nor isNot: write one of them")
	}
	pattern, err := regexp.Compile(f.Is + f.IsNot) // One of them is empty.
	if err != nil {
		return filter{}, fmt.Errorf("is no regular expression: %w", err)
	}
	return filter{pattern, f.Is != ""}, nil
}

func (f filter) passes(name string) bool { return f.pattern.MatchString(name) == f.want }

// naming is a compiled Name.
type naming struct {
	pattern *regexp.Regexp
	as      string
}

func (n Name) compile() (naming, error) {
	matches := n.Matches
	if matches == "" {
		matches = ".*"
	}
	pattern, err := regexp.Compile(matches)
	if err != nil {
		return naming{}, fmt.Errorf("is no regular expression: %w", err)
	}
	as := n.As
	switch groups := pattern.NumSubexp(); {
	case as != "":
	case groups == 0:
		as = "$0"
	case groups == 1:
		as = "$1"
	default:
		return naming{}, fmt.Errorf("missing: matches has %d groups, so say what the name is, as in ${1}_${2}", groups)
	}
	return naming{pattern, as}, nil
}

// name returns the metric's name: what As expands to, without the parts of the series' name that Matches leaves out.
// False where the series' name does not match.
func (n naming) name(series string) (string, bool) {
	match := n.pattern.FindStringSubmatchIndex(series)
	if match == nil {
		return "", false
	}
	return string(n.pattern.ExpandString(nil, n.as, series, match)), true
}
