package figures

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestReportEndsWithOneObject(t *testing.T) {
	var r Report
	r.Told("beside", 12.3456789, "ms")
	r.Held("good", 900, "reads/s", AtLeast, 900)
	r.Held("bad", 2.01, "ms", AtMost, 2)
	var out bytes.Buffer
	if err := r.Print(&out); err == nil {
		t.Error("a missed figure is no error")
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var last struct {
		OK      bool
		Figures []Figure
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name  string
		value float64
		ok    bool
	}{{"beside", 12.35, true}, {"good", 900, true}, {"bad", 2.01, false}}
	for i, w := range want {
		if f := last.Figures[i]; f.Name != w.name || f.Value != w.value || f.OK != w.ok {
			t.Errorf("figure %d is %+v, want %+v", i, f, w)
		}
	}
	if last.OK {
		t.Error("all is said to be well with one figure missed")
	}
	smoke := Report{Smoke: true}
	smoke.Timed("slow", 5, "ms", AtMost, 2)
	if err := smoke.Print(&out); err != nil {
		t.Errorf("a time is held to its limit where little is measured: %v", err)
	}
}
