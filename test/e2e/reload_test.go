package e2e

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// reloadConfig has the external rule last, so that more can follow it.
const reloadConfig = `
web: {listen: "127.0.0.1:%d"}
backends:
  - {name: usage, prometheus: {url: %q, timeout: 5s}}
  - {name: main, prometheus: {url: %q, timeout: 5s}}
externalRules:
- seriesQuery: reload_depth{namespace!=""}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
  backend: main
  interval: 1s
`

// configBreaks breaks the config of a Foresail while an HPA lives by it, in each way that a file can be broken, and
// repairs it.
func configBreaks(t *testing.T, p *plane, source *source, foresail *serving, page, config string) {
	const ns = "reload"
	depth := source.gauge("reload_depth", 600, "namespace", ns)
	source.gauge("reload_width", 500, "namespace", ns)
	p.mustKubectl(t, "", "create", "namespace", ns)
	p.mustKubectl(t, deployment("web", 2)+eager("web", 2, 12, external("reload_depth", "100")), "-n", ns, "apply", "-f", "-")
	p.sized(t, ns, "web", 6)

	const successful, at = "foresail_config_last_reload_successful", "foresail_config_last_reload_success_timestamp_seconds"
	says := func(want float64) {
		t.Helper()
		eventually(t, time.Minute, fmt.Sprintf("%s is %v", successful, want), func(context.Context) error {
			if got := exposed(t, page, successful); got != want {
				return fmt.Errorf("it is %v", got)
			}
			return nil
		})
	}
	says(1)
	taken := exposed(t, page, at)
	size := int32(6)
	for _, how := range []struct{ name, config string }{
		{"not YAML", config + "\n}{"},
		{"a key that does not exist", config + "\nreplicas: 3\n"},
		{"a template that does not end", strings.Replace(config, "sum(<<.Series>>{<<.LabelMatchers>>})", "sum(<<.Series", 1)},
		{"a backend that does not exist", strings.Replace(config, "backend: main", "backend: mine", 1)},
		{"nothing", ""},
	} {
		unmoved := p.unmoved(t, ns, "web")
		write(t, foresail.file, how.config)
		says(0)
		unmoved(0)
		// It is not only that the last value stays: what the HPA reads is fresh.
		size = 9 - size
		depth.set(float64(size) * 100)
		p.sized(t, ns, "web", size)
		if now := exposed(t, page, at); now != taken {
			t.Errorf("%s: the config in use is said to be of %v, want %v", how.name, now, taken)
		}
		write(t, foresail.file, config)
		says(1)
		if now := exposed(t, page, at); now <= taken {
			t.Errorf("%s, repaired: the config in use is said to be of %v, want later than %v", how.name, now, taken)
		}
		taken = exposed(t, page, at)
	}

	// A file that is right has its new rule served, and the old one goes on.
	unmoved := p.unmoved(t, ns, "web")
	rule := config[strings.Index(config, "- seriesQuery: reload_depth"):strings.Index(config, "interval: 1s\n")] + "interval: 1s\n"
	write(t, foresail.file, strings.Replace(config, rule, rule+strings.Replace(rule, "reload_depth", "reload_width", 1), 1))
	eventually(t, time.Minute, "serving the new metric", func(ctx context.Context) error {
		got, err := externalValue(ctx, p, ns, "reload_width")
		if err == nil && got != 500_000 {
			err = fmt.Errorf("it is %dm", got)
		}
		return err
	})
	unmoved(0)
	p.sized(t, ns, "web", size)
}

// write replaces a file whole, as kubelet does with a ConfigMap's.
func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// exposed sums the series of a page whose lines begin like that and hold all the texts.
func exposed(t *testing.T, page, begins string, texts ...string) float64 {
	t.Helper()
	total := 0.
	lines := bufio.NewScanner(strings.NewReader(get(t, page)))
lines:
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, begins) {
			continue
		}
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("cannot read %q: %v", line, err)
		}
		total += value
	}
	return total
}
