package page

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestRedact(t *testing.T) {
	got := Redact(`# token: abc123 is what we had before
backends:
  - name: main # https://kate:hunter2@old.example
    prometheus:
      url: https://kate:hunter2@prometheus.example/x
      headers: {X-Scope-OrgID: tenant-7}
      basicAuth: {username: kate, passwordFile: /etc/password, password: "hunter2"}
      bearerToken: &t hunter2
      other: *t
  - {name: second, prometheus: {url: "https://kate:x@hunter2@prometheus.example?dedup=true&access_token=hunter2&at=a@b"}}
metrics:
  - name: tokens_per_second
    query: sum(rate(tokens_total{path="/a@b"}[2m]))
    apiKey: [hunter2, {deep: hunter2}]
plain: &p hunter2
secret: *p
note: "Authorization: Bearer hunter2hunter2"
`)
	for _, gone := range []string{"hunter2", "tenant-7", "abc123"} {
		if strings.Contains(got, gone) {
			t.Errorf("%q is told:\n%s", gone, got)
		}
	}
	for _, kept := range []string{
		"passwordFile: /etc/password", "username: kate", "url: https://<hidden>@prometheus.example/x", "X-Scope-OrgID: <hidden>",
		"name: tokens_per_second", `query: sum(rate(tokens_total{path="/a@b"}[2m]))`, "# token: <hidden>", "https://<hidden>@prometheus.example?dedup=true&access_token=<hidden>&at=a@b",
	} {
		if !strings.Contains(got, kept) {
			t.Errorf("%q is missing:\n%s", kept, got)
		}
	}
	if got := Redact("a: [hunter2"); strings.Contains(got, "hunter2") {
		t.Errorf("of what is no YAML is told %q", got)
	}
	if got := Redact(""); got != "" {
		t.Errorf("of nothing is told %q", got)
	}
}

// Whatever the file is, a password under its key is not told, and the program lives on.
func FuzzRedact(f *testing.F) {
	f.Add("b")
	f.Add("&x {b: c}")
	f.Add("? [a]")
	f.Add("|\n  text")
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "hunter2hunter2"
		var tree map[string]any
		file := "password: " + secret + "\nother: " + text
		if yaml.Unmarshal([]byte(file), &tree) != nil || tree["password"] != secret || strings.Contains(text, "hunter") {
			return // It is another file than was meant.
		}
		if got := Redact(file); strings.Contains(got, secret) {
			t.Errorf("told:\n%s", got)
		}
	})
}
