package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// What the config's cloudWatch names is written for as long as it is in the config.
func TestCloudWatch(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	written := make(chan string, 100)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("smithy-protocol", "rpc-v2-cbor")
		written <- r.URL.Path
	}))
	defer aws.Close()
	without := fmt.Sprintf(`
backends: [{name: main, prometheus: {url: %q}}]
web: {listen: "127.0.0.1:0"}
metrics: [{name: load, query: x, external: {}}]
`, promServer(t, `{"metric":{},"value":[1,"12.5"]}`))
	with := without + fmt.Sprintf(`
cloudWatch: {region: eu-central-1, endpoint: %q, namespace: Shop, interval: 1s, metrics: [{name: Load, query: x}]}
`, aws.URL)
	a, _ := start(t, with)
	for range 2 {
		select {
		case path := <-written:
			if !strings.HasSuffix(path, "/PutMetricData") {
				t.Errorf("a request to %s", path)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was written for 10 s")
		}
	}
	if _, page := get(t, a.WebURL()+"/metrics"); !strings.Contains(page, "\nforesail_cloudwatch_sent_total ") {
		t.Error("what was written is not told on /metrics")
	}
	if err := a.Reload(func() (*config.File, error) { return config.Parse("test.yaml", []byte(without)) }); err != nil {
		t.Fatal(err)
	}
	if _, page := get(t, a.WebURL()+"/metrics"); strings.Contains(page, "foresail_cloudwatch_") {
		t.Error("without cloudWatch in the config /metrics tells of it")
	}
}
