package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// The page is on the web port and tells what the server has: its values, who has read them, and the last reload.
func TestPage(t *testing.T) {
	backend, _ := askedServer(t)
	a, api := start(t, fmt.Sprintf(explainedFile, backend))
	if code, body := get(t, a.WebURL()+"/"); code != http.StatusOK || !strings.Contains(body, "<title>Foresail</title>") {
		t.Fatalf("%d: %s", code, body)
	}
	if code, body := get(t, api+"/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/load?labelSelector=queue%3Da"); code != http.StatusOK {
		t.Fatalf("%d: %s", code, body)
	}
	get(t, api+"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-1/requests")
	get(t, api+"/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/requests?labelSelector=app%3Dweb")
	told := func(path string, want ...string) {
		t.Helper()
		code, body := get(t, a.WebURL()+"/api/v1alpha/page/"+path)
		if code != http.StatusOK || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d: %s", path, code, body)
		}
		for _, w := range want {
			if !strings.Contains(body, w) {
				t.Errorf("%s: want %s in %s", path, w, body)
			}
		}
	}
	// 12.5 + 2 + 77 = 91.5: the page is for who runs the server, and tells of all namespaces.
	told("metrics", `"name":"load","rule":"metrics[0]","live":{"series":3,"sum":91.5,"low":2,"high":77}`, `"name":"requests","resource":"pods"`, `"readers":1`)
	told("series?metric=load&q=bank", `"total":3,"matched":1`, `"value":77`)
	told("readers",
		`"namespace":"shop","metric":"load","selector":"queue=a","user":"system:anonymous"`,
		`"namespace":"shop","metric":"requests","resource":"pods","object":"web-1"`,
		`"namespace":"shop","metric":"requests","resource":"pods","objects":"app=web"`)
	told("collectors", `"total":0`)
	told("config", `enforceNamespace: true`)
	if err := a.Reload(func() (*config.File, error) { return nil, errors.New("test.yaml:3: it is wrong") }); err == nil {
		t.Fatal("a wrong config was taken")
	}
	told("config", `"problem":"test.yaml:3: it is wrong"`)
	told("metrics", `"problem":"test.yaml:3: it is wrong"`)
}
