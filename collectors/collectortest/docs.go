package collectortest

import (
	"os"
	"regexp"
	"testing"
)

// Docs is a page that must name every metric that stands in some code, and no other.
type Docs struct {
	Page string
	// Code are the files whose constants are the metrics; Pattern is the regular expression of their names.
	Code    []string
	Pattern string
	// Least is how many metrics there are at least, so that a test whose pattern finds nothing fails.
	Least int
	// Others are names that the page has although the code has not, as those of other programs.
	Others []string
}

// Check holds the page to the code.
func (d Docs) Check(t *testing.T) {
	t.Helper()
	read := func(path, pattern string) map[string]bool {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names := make(map[string]bool)
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		return names
	}
	documented := read(d.Page, "`("+d.Pattern+")`")
	known := make(map[string]bool)
	for _, file := range d.Code {
		for name := range read(file, `= "(`+d.Pattern+`)"`) {
			known[name] = true
			if !documented[name] {
				t.Errorf("%s is not in %s", name, d.Page)
			}
		}
	}
	if len(known) < d.Least {
		t.Errorf("found %d metrics only", len(known))
	}
	for _, name := range d.Others {
		known[name] = true
	}
	for name := range documented {
		if !known[name] {
			t.Errorf("%s has %s, which nothing makes", d.Page, name)
		}
	}
}
