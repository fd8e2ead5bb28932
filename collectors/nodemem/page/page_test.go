package page

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/foresail/foresail/collectors/nodemem/kubelettest"
)

// kubelet is from kubelet 1.36's own tests, with a node beside the containers.
const kubelet = `# HELP container_memory_working_set_bytes [STABLE] Current working set of the container in bytes
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="container_a",namespace="namespace_a",pod="pod_a"} 1000 1624396278302
# HELP container_start_time_seconds [STABLE] Start time of the container since unix epoch in seconds
# TYPE container_start_time_seconds gauge
container_start_time_seconds{container="container_a",namespace="namespace_a",pod="pod_a"} 1.6243962483020916e+09
# TYPE node_memory_working_set_bytes gauge
node_memory_working_set_bytes 1.616273408e+09 1624396278302
# TYPE pod_memory_working_set_bytes gauge
pod_memory_working_set_bytes{namespace="namespace_a",pod="pod_a"} 1000 1624396278302
pod_memory_working_set_bytes{namespace="namespace_b",pod="pod_b"} 0 1624396278302
# TYPE resource_scrape_error gauge
resource_scrape_error 0
`

func TestReadKubelet(t *testing.T) {
	k, err := ReadKubelet([]byte(kubelet))
	if err != nil {
		t.Fatal(err)
	}
	if k.WorkingSet != 1616273408 || k.At.UnixMilli() != 1624396278302 {
		t.Errorf("%v at %v", k.WorkingSet, k.At)
	}
	if want := map[Pod]float64{{"namespace_a", "pod_a"}: 1000}; !maps.Equal(k.Pods, want) {
		t.Errorf("pods %v, want %v: 0 is that of a pod which just starts", k.Pods, want)
	}
	restarted, err := ReadKubelet([]byte(strings.Replace(kubelet, "1.6243962483020916e+09", "1.624396298e+09", 1)))
	if err != nil || restarted.Containers == k.Containers {
		t.Errorf("a restart is not seen: %v", err)
	}
}

func TestReadKubeletRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":        "",
		"no node":      "pod_memory_working_set_bytes{namespace=\"a\",pod=\"b\"} 1 1\n",
		"failed":       strings.Replace(kubelet, "resource_scrape_error 0", "resource_scrape_error 1", 1),
		"failed, old":  kubelet + "scrape_error 1\n",
		"none used":    "node_memory_working_set_bytes 0 1\n",
		"below 0":      "node_memory_working_set_bytes -5 1\n",
		"NaN":          "node_memory_working_set_bytes NaN 1\n",
		"infinite":     "node_memory_working_set_bytes +Inf 1\n",
		"no number":    "node_memory_working_set_bytes x 1\n",
		"no time":      "node_memory_working_set_bytes 1 x\n",
		"too much":     "node_memory_working_set_bytes 1 2 3\n",
		"no value":     "node_memory_working_set_bytes \n",
		"open labels":  "node_memory_working_set_bytes{a=\"}\" 1 2\n",
		"cut off":      kubelet + "pod_memory_working",
		"another page": "<html><body>node_memory_working_set_bytes 1</body></html>\n",
	} {
		if k, err := ReadKubelet([]byte(text)); !errors.Is(err, ErrBad) {
			t.Errorf("%s: %+v, %v; want ErrBad", name, k, err)
		}
	}
}

func TestReadExporter(t *testing.T) {
	const text = `node_memory_AnonPages_bytes 3.9913472e+08
node_memory_MemAvailable_bytes 2.3889784832e+10
node_memory_MemTotal_bytes 2.5276502016e+10
node_pressure_memory_stalled_seconds_total 1.5
node_pressure_memory_waiting_seconds_total 2.25
`
	e, err := ReadExporter([]byte(text))
	if err != nil || e.Total != 25276502016 || e.Available != 23889784832 || e.Anonymous != 399134720 ||
		!maps.Equal(e.Stalled, map[string]float64{"some": 2.25, "full": 1.5}) {
		t.Errorf("%+v, %v", e, err)
	}
	e, err = ReadExporter([]byte("node_memory_MemAvailable_bytes 5\nnode_memory_MemTotal_bytes 10\n"))
	if err != nil || !math.IsNaN(e.Anonymous) || len(e.Stalled) != 0 {
		t.Errorf("without the rest: %+v, %v", e, err)
	}
	for name, text := range map[string]string{
		"empty":              "",
		"no MemTotal":        "node_memory_MemAvailable_bytes 5\n",
		"no MemAvailable":    "node_memory_MemTotal_bytes 5\n",
		"more than there is": "node_memory_MemAvailable_bytes 6\nnode_memory_MemTotal_bytes 5\n",
		"nothing at all":     "node_memory_MemAvailable_bytes 0\nnode_memory_MemTotal_bytes 0\n",
	} {
		if e, err := ReadExporter([]byte(text)); !errors.Is(err, ErrBad) {
			t.Errorf("%s: %+v, %v; want ErrBad", name, e, err)
		}
	}
}

// read is Prometheus' own parser, the oracle: the same figures by name and labels.
func read(t *testing.T, body []byte) map[string]string {
	t.Helper()
	out := make(map[string]string)
	parser, err := textparse.New(body, "text/plain", nil, textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry == textparse.EntrySeries {
			_, at, value := parser.Series()
			var l labels.Labels
			parser.Labels(&l)
			millis := int64(0)
			if at != nil {
				millis = *at
			}
			out[fmt.Sprint(l.Get("__name__"), "/", l.Get("namespace"), "/", l.Get("pod"))] = fmt.Sprint(value, " ", millis)
		}
	}
}

func TestAgainstPrometheus(t *testing.T) {
	k := &kubelettest.Kubelet{Token: "t", Read: func(now time.Time) kubelettest.Stats {
		return kubelettest.Stats{WorkingSet: 7 << 30, Containers: kubelettest.Pods(40, 123456789, now)}
	}}
	r := httptest.NewRequest(http.MethodGet, "/metrics/resource", nil)
	r.Header.Set("Authorization", "Bearer t")
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	got, err := ReadKubelet(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, w.Body.Bytes())
	if node := fmt.Sprint(got.WorkingSet, " ", got.At.UnixMilli()); node != want["node_memory_working_set_bytes//"] {
		t.Errorf("node %s, want %s", node, want["node_memory_working_set_bytes//"])
	}
	if len(got.Pods) != 40 {
		t.Errorf("%d pods, want 40", len(got.Pods))
	}
	for p, used := range got.Pods {
		if pod := fmt.Sprint(used, " ", got.At.UnixMilli()); pod != want["pod_memory_working_set_bytes/"+p.Namespace+"/"+p.Name] {
			t.Errorf("%v: %s, want %s", p, pod, want["pod_memory_working_set_bytes/"+p.Namespace+"/"+p.Name])
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(kubelet)
	f.Add("node_memory_working_set_bytes{a=\"\\\"}\",b=\"\"} 1 2\nnode_memory_MemTotal_bytes 5\nnode_memory_MemAvailable_bytes 5\n")
	f.Add("pod_memory_working_set_bytes{pod=\"")
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ReadKubelet([]byte(text)); err == nil && !(k.WorkingSet > 0 && !math.IsInf(k.WorkingSet, 0)) {
			t.Errorf("%q: %+v", text, k)
		}
		if e, err := ReadExporter([]byte(text)); err == nil && !(e.Available >= 0 && e.Available <= e.Total) {
			t.Errorf("%q: %+v", text, e)
		}
	})
}

func BenchmarkReadKubelet(b *testing.B) {
	k := &kubelettest.Kubelet{Read: func(now time.Time) kubelettest.Stats {
		return kubelettest.Stats{WorkingSet: 7 << 30, Containers: kubelettest.Pods(30, 123456789, now)}
	}}
	r := httptest.NewRequest(http.MethodGet, "/metrics/resource", nil)
	r.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	b.SetBytes(int64(w.Body.Len()))
	for b.Loop() {
		if _, err := ReadKubelet(w.Body.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}
