package legacy

import (
	"fmt"
	"text/template"
	"text/template/parse"
)

// uses is how a template uses what depends on the names of objects: .LabelMatchers and their values by label. The first
// is harmless where it stands alone, as <<.LabelMatchers>>; the second where one other label is looked up. All else
// could make any other query of other names.
type uses struct {
	// other is a use that is not harmless, or "".
	other string
	// values are the labels whose values are looked up.
	values map[string]bool
}

// problem says why the query of a template could depend on the names of objects whose label this is other than in
// .LabelMatchers, or "".
func (u *uses) problem(label string) string {
	if u.values[label] {
		return fmt.Sprintf("the template looks up the names in .LabelValuesByName (label %q)", label)
	}
	return u.other
}

func usesOf(t *template.Template) uses {
	u := uses{values: map[string]bool{}}
	if len(t.Templates()) > 1 {
		u.refuse("the template defines other templates")
	}
	if t.Tree != nil && t.Root != nil {
		u.list(t.Root, true)
	}
	return u
}

func (u *uses) refuse(format string, args ...any) {
	if u.other == "" {
		u.other = fmt.Sprintf(format, args...)
	}
}

// list looks at the nodes of a block; root tells that "." stands there for all that a template sees.
func (u *uses) list(l *parse.ListNode, root bool) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		case *parse.ActionNode:
			if !alone(n.Pipe, root) {
				u.node(n.Pipe, root)
			}
		case *parse.IfNode:
			u.branch(&n.BranchNode, root, root)
		case *parse.RangeNode:
			u.branch(&n.BranchNode, root, false)
		case *parse.WithNode:
			u.branch(&n.BranchNode, root, false)
		default:
			u.refuse("the template has %s in it", n)
		}
	}
}

func (u *uses) branch(b *parse.BranchNode, root, inside bool) {
	u.node(b.Pipe, root)
	u.list(b.List, inside)
	u.list(b.ElseList, root)
}

// alone tells whether a pipeline is .LabelMatchers and nothing else.
func alone(p *parse.PipeNode, root bool) bool {
	if len(p.Decl) > 0 || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	path, ok := fieldOf(p.Cmds[0].Args[0], root)
	return ok && len(path) == 1 && path[0] == "LabelMatchers"
}

// fieldOf returns the path below all that a template sees, which is empty for that itself.
func fieldOf(n parse.Node, root bool) ([]string, bool) {
	switch n := n.(type) {
	case *parse.DotNode:
		return nil, root
	case *parse.FieldNode:
		return n.Ident, root
	case *parse.VariableNode:
		return n.Ident[1:], n.Ident[0] == "$"
	default:
		return nil, false
	}
}

// node looks at what is evaluated.
func (u *uses) node(n parse.Node, root bool) {
	if path, ok := fieldOf(n, root); ok {
		u.field(n, path)
		return
	}
	// Of constants, functions and variables there is nothing to see; variables have been looked at where they were set.
	switch n := n.(type) {
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			u.command(c, root)
		}
	case *parse.ChainNode:
		u.node(n.Node, root)
	}
}

// command looks at a command, of which index .LabelValuesByName "label" is looked at as a whole.
func (u *uses) command(c *parse.CommandNode, root bool) {
	args := c.Args
	if len(args) == 3 && args[0].String() == "index" {
		key, literal := args[2].(*parse.StringNode)
		path, ok := fieldOf(args[1], root)
		if ok && literal && len(path) == 1 && path[0] == "LabelValuesByName" {
			u.values[key.Text] = true
			return
		}
	}
	for _, a := range args {
		u.node(a, root)
	}
}

func (u *uses) field(n parse.Node, path []string) {
	switch {
	case len(path) == 0:
		u.refuse("the template uses all that it sees at once, as %s", n)
	case path[0] == "LabelMatchers":
		u.refuse("the template does more with .LabelMatchers than to insert it")
	case path[0] == "LabelValuesByName" && len(path) == 2:
		u.values[path[1]] = true
	case path[0] == "LabelValuesByName":
		u.refuse("the template does more with .LabelValuesByName than to look up a label")
	}
}
