package forecast

import (
	"testing"
	"time"
)

func TestConfigNamesEveryProblem(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		fields []string
	}{
		{name: "defaults"},
		{name: "one short season", config: Config{Step: 2 * time.Second, Lead: 20 * time.Second, Seasons: []time.Duration{2 * time.Minute}}},
		{name: "step", config: Config{Step: time.Millisecond}, fields: []string{"step"}},
		{name: "negative lead", config: Config{Lead: -1}, fields: []string{"lead"}},
		{name: "long lead", config: Config{Step: time.Minute, Lead: 121 * time.Minute}, fields: []string{"lead"}},
		{name: "season off the grid", config: Config{Seasons: []time.Duration{24*time.Hour + time.Minute}}, fields: []string{"seasons[0]"}},
		{name: "season too long", config: Config{Step: time.Second}, fields: []string{"lead", "seasons[0]", "seasons[1]"}},
		{name: "not nested", config: Config{Seasons: []time.Duration{24 * time.Hour, 36 * time.Hour}}, fields: []string{"seasons[1]"}},
		{name: "too many", config: Config{Seasons: []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour}}, fields: []string{"seasons"}},
		{name: "zero season", config: Config{Seasons: []time.Duration{0, time.Hour}}, fields: []string{"seasons[0]", "seasons[1]"}},
	} {
		c.config.Default()
		var fields []string
		c.config.Validate(func(field, problem string) {
			if problem == "" {
				t.Errorf("%s: %s has no problem", c.name, field)
			}
			fields = append(fields, field)
		})
		if len(fields) != len(c.fields) {
			t.Errorf("%s: %v, want %v", c.name, fields, c.fields)
			continue
		}
		for i := range fields {
			if fields[i] != c.fields[i] {
				t.Errorf("%s: %v, want %v", c.name, fields, c.fields)
			}
		}
		if _, err := New(c.config); (err != nil) != (len(c.fields) > 0) {
			t.Errorf("%s: New says %v", c.name, err)
		}
	}
}
