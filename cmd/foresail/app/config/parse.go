package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// errExtraDocument is the problem of a file with more than one document: whatever stands in the second one would be
// ignored in silence. Of files in a dialect that ignores it (see dialect) it is ignored here too, unread.
var errExtraDocument = errors.New("a second YAML document begins here: only one is read, put all of it into the first")

// dialect is a config struct that other programs have files for, too.
type dialect interface {
	// FirstDocumentOnly tells, by the keys of a file's first document, that it is such a file, of which only that counts.
	FirstDocumentOnly(keys []string) bool
}

// parse returns the top value of a YAML file, nil for an empty one, or the line of the first syntax error.
func parse(data []byte, into any) (root *yaml.Node, line int, err error) {
	d, _ := into.(dialect)
	root, extra, err := read(data, d)
	switch {
	case err != nil:
		problem := err.Error()
		return nil, errorLine(data, d, problem), errors.New("this is not YAML: " + plainProblem(problem))
	case extra != nil:
		return nil, extra.Line, errExtraDocument
	}
	return root, 0, nil
}

// read decodes the first document, and the start of a second one where there is one that says something.
func read(data []byte, d dialect) (first, extra *yaml.Node, err error) {
	// The library reports some malformed input by a panic of its own that it does not catch.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for _, into := range []**yaml.Node{&first, &extra} {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if len(doc.Content) > 0 && !isNull(doc.Content[0]) {
			*into = doc.Content[0]
		}
		if d != nil && d.FirstDocumentOnly(keys(first)) {
			break
		}
	}
	return first, extra, nil
}

// keys returns the keys of a mapping, and none of anything else.
func keys(n *yaml.Node) []string {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var keys []string
	for i := 0; i < len(n.Content); i += 2 {
		keys = append(keys, n.Content[i].Value)
	}
	return keys
}

// errorLine finds the line of a syntax error. The library's own number is that of the construct around it, and off by
// one for half of its errors; but it reads from the top, so that every prefix of the file which holds the mistake fails
// with the same words, and the shortest such prefix ends at the mistake (or where what was never closed was opened).
func errorLine(data []byte, d dialect, problem string) int {
	lines := bytes.SplitAfter(data, []byte("\n"))
	before := sort.Search(len(lines)-1, func(n int) bool {
		_, _, err := read(bytes.Join(lines[:n+1], nil), d)
		return err != nil && err.Error() == problem
	})
	return before + 1
}

var yamlPosition = regexp.MustCompile(`^(yaml: )?(line \d+: )?`)

// plainProblem drops the library's name and line, and explains the two messages that people meet most.
func plainProblem(problem string) string {
	problem = yamlPosition.ReplaceAllString(problem, "")
	switch {
	case strings.Contains(problem, "cannot start any token"):
		return problem + " (indent with spaces, not tabs, and quote text that begins with @ ` or %)"
	case strings.Contains(problem, "mapping values are not allowed"):
		return problem + " (quote text that holds a colon and a space; check the indentation)"
	}
	return problem
}

// isNull tells whether a node is null, which means unset.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}
