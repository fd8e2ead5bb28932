package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// jumps writes two weeks of a load that jumps from 100 to 400 at eight every morning and falls at six: reactive scaling is short while
// the pods start, and a forecast of the same time yesterday is not.
func jumps(t *testing.T) string {
	t.Helper()
	return jumpsFrom(t, monday)
}

// jumpsFrom are those by the clocks of the time that they begin at.
func jumpsFrom(t *testing.T, begin time.Time) string {
	t.Helper()
	var text strings.Builder
	for i := range 14 * 288 {
		at, v := begin.Add(time.Duration(i)*5*time.Minute), 100+float64(i*7919%7)
		if at.Hour() >= 8 && at.Hour() < 18 {
			v += 300
		}
		fmt.Fprintf(&text, "%s,%v\n", at.Format(time.RFC3339), v)
	}
	return writeAs(t, "jumps.csv", text.String())
}

func TestReplayOfAFile(t *testing.T) {
	dir := t.TempDir()
	page, picture := filepath.Join(dir, "out.html"), filepath.Join(dir, "out.svg")
	args := []string{"replay", "--input", jumps(t), "--capacity", "10", "--start-delay", "10m", "--slo", "short<=5m/day", "--report", page, "--plot", picture}
	status, stdout, stderr := call(t, args...)
	if status != 0 || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{"judged on 2025-01-16 12:00 to 2025-01-20 00:00", "Recommended: foresail, P", "fewer pods", "kept on the part held back", "perfect foresight", "fixed, 41 pods", "reactive, target 70.0 %"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("not said: %q in\n%s", want, stdout)
		}
	}
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), "<svg") || strings.Contains(string(html), "http://") && strings.Contains(string(html), "src=") {
		t.Errorf("the page: %v", err)
	}
	svg, err := os.ReadFile(picture)
	if err := xml.Unmarshal(svg, new(struct{})); err != nil {
		t.Errorf("the picture: %v", err)
	}
	if err != nil {
		t.Error(err)
	}
	status, stdout, _ = call(t, append(args, "--json")...)
	var got struct {
		Runs []struct {
			Name             string  `json:"name"`
			Target, Quantile float64 //nolint:tagliatelle // As they are.
			Lead             string
			Short            float64 `json:"short_minutes_per_day"`
			Unmet            float64 `json:"unmet_percent"`
			Pods             float64 `json:"mean_pods"`
			Events           int
		} `json:"runs"`
		Recommended map[string]any `json:"recommended"`
		Held        map[string]any `json:"held_back"`
		Saving      float64        `json:"saving_percent_at_equal_protection"`
	}
	decoder := json.NewDecoder(strings.NewReader(stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	// Without a forecast 41 pods have to stand all day. By night 11 and by day 41, for 10 of 24 hours, are 23.5: 43 % fewer.
	if len(got.Runs) < 100 || got.Recommended["quantile"] == nil || got.Held["slo_kept"] != true || got.Saving < 25 || got.Saving > 43 {
		t.Errorf("%d runs, recommended %v, held back %v, saving %v", len(got.Runs), got.Recommended, got.Held, got.Saving)
	}
	for _, r := range got.Runs {
		if r.Name == "fixed, 41 pods" && (r.Pods != 41 || r.Short != 0) {
			t.Errorf("%+v", r)
		}
		if strings.HasPrefix(r.Name, "perfect") && r.Target < .9 && r.Short > 0 {
			t.Errorf("perfect foresight is short: %+v", r)
		}
	}
}

// A load that is as good as flat is left to the live metric.
func TestReplaySaysWhenReactiveIsAsGood(t *testing.T) {
	var text strings.Builder
	for i := range 7 * 288 {
		fmt.Fprintf(&text, "%s,%v\n", monday.Add(time.Duration(i)*5*time.Minute).Format(time.RFC3339), 300+math.Sin(float64(i)/50))
	}
	status, stdout, _ := call(t, "replay", "--input", writeAs(t, "flat.csv", text.String()), "--capacity", "10")
	if status != 0 || !strings.Contains(stdout, "Reactive scaling is as good") {
		t.Errorf("status %d:\n%s", status, stdout)
	}
}

// Policies stand beside the reactive HPA, each with its own lead and behavior.
func TestReplayOfPolicies(t *testing.T) {
	args := []string{"replay", "--input", jumps(t), "--capacity", "10", "--start-delay", "10m", "--slo", "short<=20m/day", "--policy", "all"}
	status, stdout, stderr := call(t, append(args, "--json")...)
	type row struct {
		Name, Policy, Lead string
		Target, Quantile   float64
		Short              float64 `json:"short_minutes_per_day"`
		Pods               float64 `json:"mean_pods"`
	}
	var got struct{ Runs []row }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 {
		t.Fatalf("status %d, %v, %s", status, err, stderr)
	}
	rows := map[string]row{}
	for _, r := range got.Runs {
		if r.Policy != "" {
			rows[r.Policy] = r
		}
	}
	today := got.Runs[0]
	careful, cheap := rows["high-performance"], rows["cost-optimized"]
	if len(rows) != 4 || careful.Lead != "16m" || careful.Quantile != .95 || careful.Target != .7 || careful.Name != "policy high-performance, P95 within 16m, target 70.0 %" {
		t.Errorf("%+v", rows)
	}
	// The jump is the same every day, so that whoever foresees it is short for less time than the HPA of today.
	if !(careful.Short < today.Short) || !(cheap.Pods < careful.Pods) || !(cheap.Pods < today.Pods) {
		t.Errorf("today %+v, careful %+v, cheap %+v", today, careful, cheap)
	}
}

const replayed = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 3
  maxReplicas: 60
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
  - {type: External, external: {metric: {name: rps}, target: {type: AverageValue, averageValue: "6500m"}}}
  - {type: External, external: {metric: {name: rps_forecast}, target: {type: AverageValue, averageValue: "8"}}}
  behavior: {scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Percent, value: 50, periodSeconds: 60}]}}
`

// The HPA's own target of 6.5 of 10 is the first that is tried.
func TestReplayOfAnHPA(t *testing.T) {
	hpa := writeAs(t, "hpa.yaml", replayed)
	status, stdout, stderr := call(t, "replay", "--input", jumps(t), "--capacity", "10", "--slo", "short<=20m/day", "--hpa", hpa)
	if status != 0 || !strings.Contains(stdout, "reactive, target 65.0 %") {
		t.Errorf("status %d, %s\n%s", status, stderr, stdout)
	}
}

func TestReplayRefuses(t *testing.T) {
	load, hpa := jumps(t), writeAs(t, "hpa.yaml", replayed)
	short := writeAs(t, "short.csv", "2025-01-06T00:00:00Z,1\n2025-01-06T12:00:00Z,2\n")
	report := filepath.Join(t.TempDir(), "out.html")
	for _, c := range []struct{ args, want string }{
		{"--capacity 0", "--capacity is 0: say how much load one pod carries"},
		{"", "--capacity is 0"},
		{"--capacity 10 --slo often", `--slo: "often" is no objective: write it as short<=1m/day`},
		{"--capacity 10 --slo short<=0s/day --start-delay 1h --max 5", "no setting keeps short<=0m/day on"},
		{"--capacity 10 --target NaN", "--target is NaN"},
		{"--capacity 10 --start-delay -1s", "cannot be negative"},
		{"--capacity 10 --absent never", `--absent is "never"`},
		{"--capacity 10 --hpa " + hpa + " --metric queue", "it has no metric queue, only rps"},
		{"--capacity 10 --hpa " + load, "cannot replay the HPA in"},
		{"--capacity 10 --hpa nowhere.yaml", "cannot read the HPA"},
		{"--capacity 10 --metric rps", "--metric is for --hpa and --config"},
		{"--capacity 10 --input " + short, "it is 12h5m0s long, and settings are chosen on one part and judged on another: two days at least"},
		{"--capacity 10 --policy conservative,reckless", `--policy: there is no policy "reckless": they are high-performance, conservative, aggressive, cost-optimized, or all`},
		{"--capacity 10 --min 0", "--min is 0"},
		{"--capacity 10 --step 0", "--step must be above 0"},
		{"--capacity 10 --step 1s", "--step: 30m0s is more than 120 steps of 1s"},
	} {
		args := append([]string{"replay", "--input", load, "--report", report}, strings.Fields(c.args)...)
		status, stdout, stderr := call(t, args...)
		if status != 2 || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, %q, not %q", c.args, status, stderr, c.want)
		}
		if _, err := os.Stat(report); err == nil {
			t.Errorf("%s: a report was written", c.args)
		}
	}
}

// The load jumps to 400 at eight, when reactive pods stand for 100: a schedule of 400 that begins 15 minutes before buys all of the short
// minutes: 57 pods in place of 15 for a quarter of an hour a day are .44 on its mean.
func TestReplayAsConfigured(t *testing.T) {
	file := writeAs(t, "foresail.yaml", `
backends: [{name: main, prometheus: {url: "http://localhost:9090"}}]
metrics:
  - {name: rps, query: sum(rps), external: {}, limit: {amount: 500}}
  - {name: queue, query: sum(queue), external: {}}
schedules:
  - {name: opening, metrics: [rps], namespaces: [shop], cron: 45 7 * * *, duration: 10h, floor: 400}
boost:
  - {name: push, metrics: [rps], query: sum(push) > 5, factor: 2, duration: 15m}
`)
	args := []string{"replay", "--input", jumps(t), "--capacity", "10", "--start-delay", "10m", "--slo", "short<=5m/day", "--config", file, "--metric"}
	status, stdout, stderr := call(t, append(args, "rps")...)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{
		"As configured (schedule opening, the limit of 500), today's HPA is short for 0.0 minutes a day with", "Not replayed, as only a backend tells it: boost push.",
		"reactive, target 70.0 %, as configured",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("not said: %q in\n%s", want, stdout)
		}
	}
	type row struct {
		Name       string
		Configured bool    `json:"as_configured"`
		Short      float64 `json:"short_minutes_per_day"`
		Pods       float64 `json:"mean_pods"`
	}
	var got struct{ Runs []row }
	status, stdout, _ = call(t, append(args, "rps", "--json")...)
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 {
		t.Fatalf("status %d, %v", status, err)
	}
	today := got.Runs[0]
	at := slices.IndexFunc(got.Runs, func(r row) bool { return r.Name == today.Name+", as configured" })
	if at < 0 {
		t.Fatal("today's HPA as configured was not tried")
	}
	if r := got.Runs[at]; !(r.Configured && r.Short == 0 && today.Short > 10 && r.Pods < today.Pods+.75) {
		t.Errorf("today %+v, as configured %+v", today, r)
	}
	for metric, want := range map[string]string{"queue": "queue has no schedule there, nor a limit that is a number", "cpu": "it serves no metric cpu"} {
		if status, _, stderr := call(t, append(args, metric)...); status != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %q", metric, status, stderr)
		}
	}
	if status, _, stderr := call(t, append(args[:len(args)-1], "--json")...); status != 2 || !strings.Contains(stderr, "--config needs --metric") {
		t.Errorf("without a metric: status %d, %q", status, stderr)
	}
}

// In Berlin the clocks go forward on 30 March 2025, the day that the replay begins with: what jumps at eight by them jumped at 07:00 UTC until then, and
// jumps at 06:00 UTC from then on. Who knows the zone foresees it; who does not is short for the ten minutes at least that pods take to start, in 3.5 days.
func TestReplayByLocalClocks(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	file := writeAs(t, "foresail.yaml", `
backends: [{name: main, prometheus: {url: "http://localhost:9090"}}]
metrics:
  - {name: rps, query: sum(rps), external: {}, forecast: {timezone: Europe/Berlin, lead: 25m, quantile: .85}}
`)
	load := jumpsFrom(t, time.Date(2025, 3, 23, 0, 0, 0, 0, berlin))
	const name = "foresail, P%s within %s, target 70.0 %%"
	for _, c := range []struct {
		args, name string
		known      bool
	}{
		{"", fmt.Sprintf(name, "90", "15m"), false},
		{"--timezone Europe/Berlin", fmt.Sprintf(name, "90", "15m"), true},
		{"--config " + file + " --metric rps", fmt.Sprintf(name, "90", "15m"), true},
		{"--config " + file + " --metric rps", fmt.Sprintf(name, "85", "25m"), true},
		{"--config " + file + " --metric rps --timezone UTC", fmt.Sprintf(name, "85", "25m"), false},
	} {
		args := append([]string{"replay", "--input", load, "--capacity", "10", "--start-delay", "10m", "--slo", "short<=20m/day", "--json"}, strings.Fields(c.args)...)
		status, stdout, stderr := call(t, args...)
		var got struct {
			Runs []struct {
				Name  string
				Short float64 `json:"short_minutes_per_day"`
			}
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 {
			t.Fatalf("%s: status %d, %v, %s", c.args, status, err, stderr)
		}
		short := map[string]float64{}
		for _, r := range got.Runs {
			short[r.Name] = r.Short
		}
		v, tried := short[c.name]
		if !tried || c.known != (v < 10/3.5) {
			t.Errorf("%q: %s was tried: %v, and is short for %v minutes a day", c.args, c.name, tried, v)
		}
	}
	status, stdout, stderr := call(t, "replay", "--input", load, "--capacity", "10", "--slo", "short<=20m/day", "--config", file, "--metric", "rps")
	for _, want := range []string{"With rps_forecast beside rps (foresail, P85 within 25m, target 70.0 %), today's HPA is short for", "\nforesail, P85 within 25m, target 70.0 %  "} {
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("status %d, not said: %q in\n%s%s", status, want, stdout, stderr)
		}
	}
	if strings.Contains(stdout, "s configured") {
		t.Errorf("there is no schedule:\n%s", stdout)
	}
}
