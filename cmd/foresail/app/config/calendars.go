package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/foresail/foresail/adapter/rules"
	"github.com/foresail/foresail/forecast/slots"
)

// readCalendars reads the files that the forecasts' calendars name, relative to dir.
func (f *File) readCalendars(dir string, report func(field, problem string)) {
	read := func(at string, forecast *rules.Forecast) {
		if forecast == nil {
			return
		}
		for i := range forecast.Calendar {
			entry := &forecast.Calendar[i]
			if entry.File == "" {
				continue
			}
			path := entry.File // Of the config's own directory, where a ConfigMap puts both.
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			var err error
			if entry.Text, err = readCalendar(path); err != nil {
				report(fmt.Sprintf("%s.forecast.calendar[%d].file", at, i), fmt.Sprintf("cannot read the calendar: %v", err))
			}
		}
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

// readCalendar reads no more than a calendar may have, whatever the path leads to.
func readCalendar(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, slots.MaxCalendar+1))
}
