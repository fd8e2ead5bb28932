package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Error is one mistake in a config file.
type Error struct {
	File string
	// Line counts from 1; 0 where no line is known.
	Line int
	// Field is the path of the mistaken value, as in metrics[2].forecast.lead; empty for the file as a whole.
	Field string
	// Problem says what is wrong and what to do about it.
	Problem string
}

// Error returns file:line: field: problem.
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteString(":")
		b.WriteString(strconv.Itoa(e.Line))
	}
	b.WriteString(": ")
	if e.Field != "" {
		b.WriteString(e.Field)
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Errors is all that is wrong with a config file, sorted by line.
type Errors []Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

func (e Errors) sort() {
	slices.SortStableFunc(e, func(a, b Error) int { return cmp.Compare(a.Line, b.Line) })
}

// Document remembers on which line each field of a decoded file stands.
type Document struct {
	file  string
	lines map[string]int
}

// Line returns the line of a field, counting from 1. For a field that the file does not have, it is the line of the
// nearest field around it, and at last the line of the first value of the file.
func (d *Document) Line(field string) int {
	for {
		if line, ok := d.lines[field]; ok {
			return line
		}
		if field == "" {
			return 1
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
}

// join returns the path of a key below a field. A key that could be mistaken for a path is quoted.
func join(field, key string) string {
	plain := key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '/'
	})
	switch {
	case !plain:
		return field + "[" + strconv.Quote(key) + "]"
	case field == "":
		return key
	default:
		return field + "." + key
	}
}
