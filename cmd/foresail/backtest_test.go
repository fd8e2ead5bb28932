package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var monday = time.Date(2025, 1, 6, 0, 0, 0, 0, time.UTC)

// daily is a load with a cycle of a day.
func daily(at time.Time) float64 {
	return 100 + 50*math.Sin(2*math.Pi*at.Sub(monday).Hours()/24) + float64(at.Unix()/300*7919%13)
}

// week writes a week of the load, one row in five minutes.
func week(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("timestamp,value\n")
	for i := range 7 * 288 {
		at := monday.Add(time.Duration(i) * 5 * time.Minute)
		fmt.Fprintf(&text, "%s,%v\n", at.Format(time.RFC3339), daily(at))
	}
	return writeAs(t, "load.csv", text.String())
}

// A week's file gives a row a step, a summary and a picture.
func TestBacktestOfAFile(t *testing.T) {
	input := week(t)
	for _, format := range []string{"svg", "png"} {
		dir := t.TempDir()
		output, picture := filepath.Join(dir, "out.csv"), filepath.Join(dir, "picture."+format)
		status, stdout, stderr := call(t, "backtest", "--input", input, "--output", output, "--plot", picture)
		if status != 0 || stderr != "" {
			t.Fatalf("status %d: %s", status, stderr)
		}
		for _, want := range []string{"2016 samples, 2016 steps of 5m from 2025-01-06T00:00:00Z to 2025-01-13T00:00:00Z", "trusted", "Foresail", "last value", "same time yesterday", "on ramps", "what X_forecast told", "hour (UTC)", "CPU time", "- daily cycle: strong (0.99); weekly cycle: not known yet"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("not said: %q in\n%s", want, stdout)
			}
		}
		file, err := os.Open(output)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(file).ReadAll()
		if err := errors.Join(err, file.Close()); err != nil || len(rows) != 2017 {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		drawn, err := os.ReadFile(picture)
		if err != nil {
			t.Fatal(err)
		}
		switch format {
		case "png":
			image, err := png.Decode(bytes.NewReader(drawn))
			if err != nil || image.Bounds().Dx() < 800 {
				t.Errorf("picture: %v", err)
			}
		case "svg":
			if err := xml.Unmarshal(drawn, new(struct{})); err != nil || !bytes.Contains(drawn, []byte("what came")) {
				t.Errorf("picture: %v", err)
			}
		}
	}
}

func TestBacktestAsJSON(t *testing.T) {
	status, stdout, stderr := call(t, "backtest", "--input", week(t), "--json", "--step", "10m", "--lead", "1h")
	var got struct {
		Steps   int
		Trusted float64
		Step    string
		Lead    string
		Methods []struct {
			Name              string
			Steps             int
			MeanAbsoluteError float64
			WindowCoverage90  float64
		}
		Hours    []struct{ Hour int }
		Patterns struct{ DailyStrength, WeeklyStrength *float64 }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s", status, err, stderr)
	}
	if got.Steps != 1008 || got.Step != "10m" || got.Lead != "1h" || len(got.Hours) != 24 || len(got.Methods) != 3 || got.Methods[0].Name != "foresail" ||
		got.Methods[0].MeanAbsoluteError >= got.Methods[1].MeanAbsoluteError || got.Methods[0].WindowCoverage90 < .8 {
		t.Errorf("%s", stdout)
	}
	// The rest of the load is at most 12: its variance is 12 or so beside 50^2/2 = 1250. One week tells nothing of weeks.
	if p := got.Patterns; p.DailyStrength == nil || *p.DailyStrength < .98 || p.WeeklyStrength != nil {
		t.Errorf("patterns in %s", stdout)
	}
}

// What is wrong with rows is named by line, and the rest is walked.
func TestBacktestNamesBrokenRows(t *testing.T) {
	good, err := os.ReadFile(week(t))
	if err != nil {
		t.Fatal(err)
	}
	input := writeAs(t, "broken.csv", string(good)+"2025-01-13T00:00:00Z,\n2025-01-13T00:05:00Z,many\nsoon,1\n2025-01-13T00:10:00Z,1\n2025-01-13T00:10:00Z,1\n2025-01-12T00:00:00Z,1\n")
	status, stdout, stderr := call(t, "backtest", "--input", input)
	want := []string{
		`:2019: left out: value "many" is not a number`, `:2020: left out: time "soon" is neither`, ": 1 rows without a value count as missing: line 2018",
		": 1 rows earlier than the one before were put in order: line 2023", ": 2 rows at the time of another count beside it: lines ",
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if status != 0 || len(lines) != len(want) || !strings.Contains(stdout, "2019 samples") {
		t.Fatalf("status %d, %s\n%s", status, stderr, stdout)
	}
	for i, line := range lines {
		if !strings.Contains(line, "broken.csv"+want[i]) && !strings.Contains(line, want[i]) {
			t.Errorf("%q, want %q", line, want[i])
		}
	}
}

func TestBacktestMistakes(t *testing.T) {
	input := week(t)
	text := writeAs(t, "notes.txt", "dear diary\ntoday I saw\na graph\n")
	far := writeAs(t, "far.csv", "1,1\n5000000000,2\n")
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "either a file with --input or a query with --query"},
		{[]string{"--input", input, "--query", "up"}, "either a file with --input or a query with --query"},
		{[]string{"--input", "/does/not/exist.csv"}, "/does/not/exist.csv"},
		{[]string{"--input", input, "--step", "7m"}, "--step: 24h0m0s is not a multiple of the step 7m0s"},
		{[]string{"--input", input, "--step", "0"}, "--step and --lead must be above 0"},
		{[]string{"--input", input, "--lead", "-5m"}, "--lead: -5m0s is not ahead"},
		{[]string{"--input", input, "--output", input}, "--output is the file of --input, which would be lost"},
		{[]string{"--input", input, "--plot", "x.gif"}, "--plot: x.gif does not end in .svg or .png"},
		{[]string{"--input", input, "--from", "2025-01-06T00:00:00Z"}, "--from and --to are for --query"},
		{[]string{"--query", "up"}, "--prometheus-url"},
		{[]string{"--query", "up", "--prometheus-url", "http://127.0.0.1:1", "--from", "monday"}, `--from is "monday"`},
		{[]string{"--query", "up", "--prometheus-url", "http://127.0.0.1:1", "--from", "2025-01-06T00:00:00Z", "--to", "2025-01-06T00:00:00Z"}, "not before --to"},
		{[]string{"--input", far}, "too many steps"},
	} {
		status, stdout, stderr := call(t, append([]string{"backtest"}, c.args...)...)
		if status != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.says) {
			t.Errorf("backtest %v: status %d, %q, want %q", c.args, status, stderr, c.says)
		}
	}
	status, _, stderr := call(t, "backtest", "--input", text)
	if lines := strings.Split(strings.TrimSpace(stderr), "\n"); status != 2 || !strings.Contains(lines[len(lines)-1], "no row has a time and a value") || !strings.Contains(lines[0], "notes.txt:1: left out: there is no comma") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if status, _, stderr := call(t, "backtest", "--input", input, "--output", "/does/not/exist/out.csv"); status != 1 || !strings.Contains(stderr, "cannot write the rows") {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// A load that never changes has no ramps, and their scores are unknown, not 0.
func TestBacktestWithoutRamps(t *testing.T) {
	var text strings.Builder
	for i := range 4 * 288 {
		fmt.Fprintf(&text, "%d,7\n", monday.Unix()+int64(i)*300)
	}
	input := writeAs(t, "flat.csv", text.String())
	if status, stdout, _ := call(t, "backtest", "--input", input); status != 0 || strings.Contains(stdout, "ramps") || !strings.Contains(stdout, "what X_forecast told") {
		t.Errorf("status %d: %s", status, stdout)
	}
	status, stdout, stderr := call(t, "backtest", "--input", input, "--json")
	var got struct {
		Ramps []struct {
			Steps             int
			MeanAbsoluteError *float64
		}
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 {
		t.Fatalf("status %d, %v: %s", status, err, stderr)
	}
	for _, r := range got.Ramps {
		if r.Steps != 0 || r.MeanAbsoluteError != nil {
			t.Errorf("%+v", r)
		}
	}
}

// A Prometheus is asked in parts that it does not refuse, and the answer is walked like a file of the same samples.
func TestBacktestOfAQuery(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		at := func(name string) int64 {
			v, err := strconv.ParseFloat(r.FormValue(name), 64)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return int64(v)
		}
		start, end, step := at("start"), at("end"), at("step")
		if n := (end-start)/step + 1; n > 11000 || r.URL.Path != "/api/v1/query_range" {
			t.Errorf("%s of %d points", r.URL.Path, n)
		}
		var series []string
		names := []string{"a"}
		if r.FormValue("query") == "two" {
			names = []string{"a", "b"}
		}
		if r.FormValue("query") == "none" {
			names = nil
		}
		for _, name := range names {
			var values []string
			for s := start; s <= end; s += step {
				values = append(values, fmt.Sprintf(`[%d,"%v"]`, s, daily(time.Unix(s, 0))))
			}
			series = append(series, fmt.Sprintf(`{"metric":{"name":%q},"values":[%s]}`, name, strings.Join(values, ",")))
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[`+strings.Join(series, ",")+`]}}`)
	}))
	defer server.Close()
	between := []string{"--prometheus-url", server.URL, "--from", "2025-01-06T00:02:00Z", "--to", "2025-01-16T00:04:00Z"}
	output := filepath.Join(t.TempDir(), "out.csv")
	status, stdout, stderr := call(t, append([]string{"backtest", "--query", "load", "--output", output}, between...)...)
	// Ten days by the minute, but for the part of a step at both ends: 14,395 points in two parts.
	if status != 0 || asked != 2 || !strings.Contains(stdout, "load: 14395 samples, 2879 steps of 5m from 2025-01-06T00:05:00Z to 2025-01-16T00:00:00Z") {
		t.Errorf("status %d, asked %d times: %s%s", status, asked, stdout, stderr)
	}
	for query, says := range map[string]string{"two": `several series, such as {name="a"} and {name="b"}`, "none": "it has no value"} {
		if status, _, stderr := call(t, append([]string{"backtest", "--query", query}, between...)...); status != 2 || !strings.Contains(stderr, says) {
			t.Errorf("status %d: %s", status, stderr)
		}
	}
	server.Close()
	if status, _, stderr := call(t, append([]string{"backtest", "--query", "load"}, between...)...); status != 1 || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// An event that the calendar expects multiplies the forecast of its time, by local time, and of no other.
func TestBacktestByTimezoneAndCalendar(t *testing.T) {
	input, dir := week(t), t.TempDir()
	sale := writeAs(t, "sale.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20250112T110000\nDTEND:20250112T130000\nX-FORESAIL-UPLIFT:3\nEND:VEVENT\nEND:VCALENDAR\n")
	walked := func(args ...string) (rows map[string][]string, stdout string) {
		t.Helper()
		output := filepath.Join(dir, "out.csv")
		status, stdout, stderr := call(t, append([]string{"backtest", "--input", input, "--output", output}, args...)...)
		if status != 0 {
			t.Fatalf("%v: status %d: %s", args, status, stderr)
		}
		text, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		all, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows = map[string][]string{}
		for _, row := range all[1:] {
			rows[row[0]] = row
		}
		return rows, stdout
	}
	plain, _ := walked()
	rows, stdout := walked("--timezone", "Europe/Berlin", "--calendar", sale, "--calendar", "2025-01-08")
	if !strings.Contains(stdout, "hour (Europe/Berlin)") || !strings.Contains(stdout, "by the local times of Europe/Berlin") {
		t.Errorf("the zone is not said:\n%s", stdout)
	}
	median := func(rows map[string][]string, issued string) float64 {
		v, err := strconv.ParseFloat(rows[issued][4], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for issued, want := range map[string]float64{
		"2025-01-12T09:25:00Z": 1, // Of the step that ends at 9:55, 10:55 in Berlin; the sale is from 10:00 to 12:00 UTC.
		"2025-01-12T09:35:00Z": 3,
		"2025-01-12T09:55:00Z": 3,
	} {
		if got := median(rows, issued) / median(plain, issued); math.Abs(got-want) > .1*want {
			t.Errorf("%s: %v times what is forecast without a calendar, want %v", issued, got, want)
		}
	}
	for want, args := range map[string][]string{
		`--timezone: "Mars/Olympus" is not a time zone`:               {"--timezone", "Mars/Olympus"},
		"--calendar is neither a day such as 2026-12-25 nor a file: ": {"--calendar", filepath.Join(dir, "none.ics")},
		"--calendar: cannot use " + input + ": line 1: ":              {"--calendar", input},
	} {
		if status, _, stderr := call(t, append([]string{"backtest", "--input", input}, args...)...); status != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%v: status %d: %s", args, status, stderr)
		}
	}
}
