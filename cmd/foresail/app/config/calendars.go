package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/forecast"
	"github.com/foresail/foresail/forecast/slots"
)

// readCalendars reads the files that the calendars of forecasts and schedules name, relative to dir.
func (f *File) readCalendars(dir string, report func(field, problem string)) {
	readAll := func(at string, calendar []rules.CalendarEntry) {
		for i := range calendar {
			entry := &calendar[i]
			if entry.File == "" {
				continue
			}
			var err error
			if entry.Text, err = readCalendar(besides(dir, entry.File)); err != nil {
				report(fmt.Sprintf("%s.calendar[%d].file", at, i), fmt.Sprintf("cannot read the calendar: %v", err))
			}
		}
	}
	read := func(at string, f *rules.Forecast) {
		if f != nil {
			readAll(at+".forecast", f.Calendar)
		}
	}
	for i := range f.Schedules {
		readAll(fmt.Sprintf("schedules[%d]", i), f.Schedules[i].Calendar)
	}
	for i := range f.Metrics {
		read(fmt.Sprintf("metrics[%d]", i), f.Metrics[i].Forecast)
	}
	for i := range f.Custom {
		read(fmt.Sprintf("rules[%d]", i), f.Custom[i].Forecast)
	}
	for i := range f.External {
		read(fmt.Sprintf("externalRules[%d]", i), f.External[i].Forecast)
	}
}

// besides is the path of a file in the config's own directory, where a ConfigMap puts both, unless it is absolute.
func besides(dir, file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// CalendarFiles returns the paths of the calendars that a config file names, as far as it can be read, whether it is right or not: who
// watches the file watches them too.
func CalendarFiles(name string, data []byte) []string {
	root, _, err := read(data, nil)
	if err != nil {
		return nil // Loading it says so.
	}
	var paths []string
	add := func(calendar *yaml.Node) {
		for _, entry := range items(calendar) {
			if file := child(entry, "file"); file != nil && file.Kind == yaml.ScalarNode && file.Value != "" {
				paths = append(paths, besides(filepath.Dir(name), file.Value))
			}
		}
	}
	for _, s := range items(child(root, "schedules")) {
		add(child(s, "calendar"))
	}
	for _, list := range []string{"metrics", "rules", "externalRules"} {
		for _, rule := range items(child(root, list)) {
			add(child(child(rule, "forecast"), "calendar"))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// child returns the value of a key; nil where there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return plain(n.Content[i+1])
		}
	}
	return nil
}

// items returns the elements of a list.
func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	all := make([]*yaml.Node, len(n.Content))
	for i, element := range n.Content {
		all[i] = plain(element)
	}
	return all
}

// plain returns what an alias stands for.
func plain(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// Clock fills in the time zone and the events of a forecast whose step is above 0, from what the flags --timezone and --calendar say: the
// latter are iCalendar files, or days that are forecast like Sundays. Errors name the flag.
func Clock(f *forecast.Config, timezone string, calendar []string) error {
	r := rules.Forecast{Config: *f, Timezone: timezone}
	for _, name := range calendar {
		entry := rules.CalendarEntry{Day: name}
		if _, err := time.Parse(time.DateOnly, name); err != nil {
			text, err := readCalendar(name)
			if err != nil {
				return fmt.Errorf("--calendar is neither a day such as 2026-12-25 nor a file: %w", err)
			}
			entry = rules.CalendarEntry{File: name, Text: text}
		}
		r.Calendar = append(r.Calendar, entry)
	}
	var problems []error
	r.Clock(func(field, problem string) {
		flag, _, _ := strings.Cut(field, "[")
		problems = append(problems, fmt.Errorf("--%s: %s", flag, problem))
	})
	f.Zone, f.Events = r.Zone, r.Events
	return errors.Join(problems...)
}

// readCalendar reads no more than what is found to be more than a calendar may have, whatever the path leads to.
func readCalendar(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, slots.MaxCalendar+1))
}
