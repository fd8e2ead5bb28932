package main

import (
	"context"
	"flag"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

func TestReadSeries(t *testing.T) {
	start := time.Unix(1_800_000_007, 0)
	runs, err := readSeries(strings.NewReader("# a comment\n\nhttp{pod=\"a\",x=\"}\"} 10 +0.5\nnone{} NaN\n"), start)
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d series, %v", len(runs), err)
	}
	counter := runs[0]
	if counter.Key.Metric != "http" || counter.Key.Get("pod") != "a" || counter.Key.Get("x") != "}" {
		t.Errorf("the first series is %s", counter.Key)
	}
	// Two hours back and two ahead in steps of 15 s: 960 samples, of which the last is 959 steps after the first.
	first, last := counter.Samples[0], counter.Samples[len(counter.Samples)-1]
	if len(counter.Samples) != 960 || first.Value != 10 || last.Value != 10+959*0.5 {
		t.Errorf("%d samples from %v to %v, want 960 from 10 to 489.5", len(counter.Samples), first.Value, last.Value)
	}
	if want := time.Unix(1_800_000_000-7200, 0); !first.Time.Equal(want) {
		t.Errorf("the first sample is of %v, want %v: on the grid", first.Time, want)
	}
	if v := runs[1].Samples[0].Value; !math.IsNaN(v) {
		t.Errorf("the value of none is %v, want NaN", v)
	}
}

func TestReadSeriesErrors(t *testing.T) {
	f := func(line string) {
		t.Helper()
		if _, err := readSeries(strings.NewReader(line), time.Unix(0, 0)); err == nil {
			t.Errorf("%q was read", line)
		}
	}
	f("up 1")
	f("up{} ")
	f("up{} one")
	f("up{} 1 +2 +3")
	f("up{a=b} 1")
}

func TestPinnedTellsTheTimeAskedFor(t *testing.T) {
	at := time.Unix(1_800_000_000, 5e8)
	backend := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "["+r.FormValue("time")+",\"1\"] "+r.FormValue("query"))
	})
	f := func(method, asked, want string) {
		t.Helper()
		body := strings.NewReader("query=up&time=" + asked)
		r := httptest.NewRequest(method, "/api/v1/query?query=up&time="+asked, http.NoBody)
		if method == http.MethodPost {
			r = httptest.NewRequest(method, "/api/v1/query", body)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := httptest.NewRecorder()
		pinned(backend, at).ServeHTTP(w, r)
		if got := w.Body.String(); got != want {
			t.Errorf("%s at %s: got %q, want %q", method, asked, got, want)
		}
	}
	f(http.MethodGet, "1800001234.5", `[1800001234.500,"1"] up`)
	f(http.MethodPost, "1800001234", `[1800001234.000,"1"] up`)
	f(http.MethodGet, "2027-01-15T08:20:34Z", `[1800001234.000,"1"] up`)
}

func TestServeEndsWithItsInput(t *testing.T) {
	dir := t.TempDir()
	file := dir + "/series.txt"
	if err := os.WriteFile(file, []byte("up{} 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, stop := io.Pipe()
	out, say := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- serve(context.Background(), flag.NewFlagSet("serve", flag.ContinueOnError), []string{"--series", file, "--dir", dir}, in, say)
	}()
	line := make([]byte, 256)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "ready url=")
	if !ok {
		t.Fatalf("it printed %q", line[:n])
	}
	response, err := http.Get(url + "/api/v1/query?query=up")
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if !strings.Contains(string(answer), `"1"]`) {
		t.Errorf("it answers %s", answer)
	}
	_ = stop.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
