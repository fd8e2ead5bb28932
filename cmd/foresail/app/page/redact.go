package page

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	hidden = "<hidden>"
	// secret is in the name of what is not for everybody.
	secret = `(?:password|passwd|secret|token|credential|authorization|api-?_?key|access-?_?key|private-?_?key|cookie)`
)

var (
	// secretKey is what a key is called whose value is not for everybody, unless it names a file or an address.
	secretKey = regexp.MustCompile(`(?i)` + secret)
	plainKey  = regexp.MustCompile(`(?i)(file|path|url|name|username)s?$`)
	// userinfo is the part of an address that has a password.
	userinfo = regexp.MustCompile(`(://)[^/?#\s]*@`)
	// parameter is one of an address that is called like a secret.
	parameter = regexp.MustCompile(`(?i)([?&][\w-]*` + secret + `[\w-]*=)[^&#\s"']+`)
	// commented is a secret in a comment.
	commented = regexp.MustCompile(`(?i)([\w-]*` + secret + `[\w-]*["']?\s*[:=]\s*)(.+)`)
	// bearer is a token wherever it stands.
	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}`)
)

// Redact returns a YAML text without its secrets: values of keys that are called like one, HTTP headers, and passwords in
// addresses, also in comments. A text that is no YAML is not told at all.
func Redact(text string) string {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return "# The file cannot be shown: it is not YAML.\n"
	}
	if root.Kind == 0 {
		return ""
	}
	redact(&root, false)
	var out strings.Builder
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&root); err != nil {
		return "# The file cannot be shown.\n"
	}
	return out.String()
}

// redact hides what is secret in a node and below; all says that every value is.
func redact(n *yaml.Node, all bool) {
	for _, comment := range []*string{&n.HeadComment, &n.LineComment, &n.FootComment} {
		*comment = plain(commented.ReplaceAllString(*comment, "${1}"+hidden))
	}
	switch n.Kind {
	case yaml.ScalarNode:
		n.Value = plain(n.Value)
		if all && n.Value != "" {
			n.Value, n.Tag, n.Style = hidden, "!!str", 0
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			redact(key, false)
			redact(n.Content[i+1], all || key.Value == "headers" || secretKey.MatchString(key.Value) && !plainKey.MatchString(key.Value))
		}
	case yaml.AliasNode:
		if all {
			redact(n.Alias, true) // What it stands for is shown at its anchor.
		}
	default:
		for _, child := range n.Content {
			redact(child, all)
		}
	}
}

// plain hides passwords and secret parameters in addresses, and tokens.
func plain(text string) string {
	text = parameter.ReplaceAllString(text, "${1}"+hidden)
	return bearer.ReplaceAllString(userinfo.ReplaceAllString(text, "${1}"+hidden+"@"), "${1} "+hidden)
}
