package forecast

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/slots"
)

// Config says what one series is modelled on and how far ahead it is forecast.
type Config struct {
	// Step is the distance of the regular grid that samples are averaged on; at least 1s. Default 5m.
	Step time.Duration `yaml:"step"`
	// Lead is how far ahead to forecast, rounded up to whole steps; at most 120 of them. Default 30m.
	Lead time.Duration `yaml:"lead"`
	// Seasons are the periods after which the load repeats, one to three of them, rising, each a multiple of the one
	// before and of Step. Default 24h and 168h.
	Seasons []time.Duration `yaml:"seasons"`
	// Analogs has the nearest past moments forecast too: for some 4 us more an update and 4 kB more a series.
	Analogs bool `yaml:"analogs"`
	// Zone holds the rules of the clocks by which the load repeats. Default UTC.
	Zone *time.Location `yaml:"-"`
	// Events are the times that are not like others.
	Events []slots.Event `yaml:"-"`
}

// Same tells whether what was learnt with the config is good for another one. Events may differ, see Forecaster.Adopt; in UTC there must be
// some in both or in none, as models differ by that.
func (c *Config) Same(o *Config) bool {
	zone := func(z *time.Location) string { return cmp.Or(z, time.UTC).String() }
	return c.Step == o.Step && c.Lead == o.Lead && c.Analogs == o.Analogs && slices.Equal(c.Seasons, o.Seasons) && zone(c.Zone) == zone(o.Zone) &&
		c.zoned() == o.zoned()
}

// zoned tells whether there is a clock.
func (c *Config) zoned() bool { return c.Zone != nil && c.Zone != time.UTC || len(c.Events) > 0 }

const (
	maxLeadSteps   = 120
	maxSeasonSteps = 20160 // Two weeks by the minute.
	minSeasonSteps = 4
	maxSeasons     = 3
)

// Default fills in what is not set.
func (c *Config) Default() {
	if c.Step == 0 {
		c.Step = 5 * time.Minute
	}
	if c.Lead == 0 {
		c.Lead = 30 * time.Minute
	}
	if len(c.Seasons) == 0 {
		c.Seasons = []time.Duration{24 * time.Hour, 168 * time.Hour}
	}
}

// Validate reports every field that is out of bounds and what to do about it.
func (c *Config) Validate(report func(field, problem string)) {
	if c.Step < time.Second {
		report("step", fmt.Sprintf("%v is too short: use 1s or more", c.Step))
		return
	}
	switch {
	case c.Lead <= 0:
		report("lead", fmt.Sprintf("%v is not ahead: use a positive duration such as 30m", c.Lead))
	case c.LeadSteps() > maxLeadSteps:
		report("lead", fmt.Sprintf("%v is more than %d steps of %v: use a longer step or a shorter lead", c.Lead, maxLeadSteps, c.Step))
	}
	if n := len(c.Seasons); n == 0 || n > maxSeasons {
		report("seasons", fmt.Sprintf("%d seasons: name one to %d", n, maxSeasons))
	}
	for i, season := range c.Seasons {
		field := fmt.Sprintf("seasons[%d]", i)
		switch {
		case season%c.Step != 0:
			report(field, fmt.Sprintf("%v is not a multiple of the step %v", season, c.Step))
		case season/c.Step < minSeasonSteps || season/c.Step > maxSeasonSteps:
			report(field, fmt.Sprintf("%v is not between %d and %d steps of %v: use another step", season, minSeasonSteps, maxSeasonSteps, c.Step))
		case i > 0 && (c.Seasons[i-1] <= 0 || season <= c.Seasons[i-1] || season%c.Seasons[i-1] != 0):
			report(field, fmt.Sprintf("%v is not a multiple of the season before it, %v: list seasons from short to long", season, c.Seasons[i-1]))
		}
	}
}

// LeadSteps returns the lead in whole steps, rounded up.
func (c *Config) LeadSteps() int { return int((c.Lead + c.Step - 1) / c.Step) }

// Longest returns the longest season.
func (c *Config) Longest() time.Duration { return c.Seasons[len(c.Seasons)-1] }

func (c *Config) check() error {
	var problems []string
	c.Validate(func(field, problem string) { problems = append(problems, field+": "+problem) })
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(problems, "; "))
}

// shape is a Config in steps, with the memories that follow from it. Two seasons of a day and a week give the
// values named.
type shape struct {
	lead    int
	seasons []int
	recall  int // Grid values remembered: 28 days.
	memory  int // Memory of weights and gate: 7 days.
}

func (c *Config) shape() shape {
	s := shape{lead: c.LeadSteps()}
	for _, season := range c.Seasons {
		s.seasons = append(s.seasons, int(season/c.Step))
	}
	short, long := s.seasons[0], s.seasons[len(s.seasons)-1]
	s.recall = max(4*long, 28*short) + s.lead
	s.memory = max(long, 7*short)
	return s
}

// solving is the number of steps from one solution of a regression to the next: a sixth of a season, and at least six.
func (s shape) solving() int { return max(s.seasons[0]/6, 6) }
