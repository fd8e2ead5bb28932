package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Without a cluster and a listener all runs but the metrics API, on reloads too; whether there is one a reload cannot change.
func TestStandalone(t *testing.T) {
	const text = `
standalone: %t
store: {path: %q}
web: {listen: "127.0.0.1:0"}
metrics: [{name: used, query: node_memory_used_bytes, interval: 1s, external: {}, forecast: {}}]
collectors: {nodeMemory: [{interval: 1s, proc: %q}]}
`
	store, proc := t.TempDir(), procWith(t, 1000, 400)
	alone := fmt.Sprintf(text, true, store, proc)
	a, _ := startOn(t, alone, nil)
	if a.URL() != "" {
		t.Errorf("the metrics API is at %s", a.URL())
	}
	waitForPage(t, a.WebURL()+"/metrics", "\nforesail_forecast_state{")
	if status, body := get(t, a.WebURL()+"/-/ready"); status != http.StatusOK {
		t.Errorf("/-/ready answers %d %s", status, body)
	}
	if err := a.Reload(loads(t, strings.ReplaceAll(alone, "name: used", "name: taken"))); err != nil {
		t.Fatal(err)
	}
	waitForPage(t, a.WebURL()+"/metrics", `metric="taken"`)
	err := a.Reload(loads(t, fmt.Sprintf(text, false, store, proc)))
	if err == nil || !strings.Contains(err.Error(), "standalone has changed: this needs a restart") {
		t.Errorf("a reload with a cluster: %v", err)
	}
}
