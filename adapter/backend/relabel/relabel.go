// Package relabel has Prometheus' relabelling as a config file of Foresail writes it.
package relabel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/relabel"
)

// Rule is one step of relabelling, with Prometheus' fields, defaults and meaning.
type Rule struct {
	// SourceLabels are the labels whose values are joined, with Separator (default ;) in between.
	SourceLabels []string `yaml:"sourceLabels"`
	Separator    *string  `yaml:"separator"`
	// Regex is what the whole of that must match. Default (.*).
	Regex *string `yaml:"regex"`
	// Modulus is that of the action hashmod.
	Modulus uint64 `yaml:"modulus"`
	// TargetLabel is the label that is written, and Replacement its value. Default $1.
	TargetLabel string  `yaml:"targetLabel"`
	Replacement *string `yaml:"replacement"`
	// Action is replace (the default), keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase or
	// uppercase.
	Action string `yaml:"action"`
}

var actions = []relabel.Action{
	relabel.Replace, relabel.Keep, relabel.Drop, relabel.KeepEqual, relabel.DropEqual, relabel.HashMod, relabel.LabelMap, relabel.LabelDrop,
	relabel.LabelKeep, relabel.Lowercase, relabel.Uppercase,
}

// Validate reports every field that cannot work.
func (r *Rule) Validate(report func(field, problem string)) {
	c, err := r.Config()
	switch {
	case err != nil:
		report("regex", fmt.Sprintf("not a regular expression: %v", err))
	case !slices.Contains(actions, c.Action):
		report("action", fmt.Sprintf("%q is none of %v", r.Action, actions))
	default:
		if err := c.Validate(c.NameValidationScheme); err != nil {
			report("action", err.Error())
		}
	}
}

// Config is the rule as Prometheus has it. The error is that of the regular expression.
func (r *Rule) Config() (*relabel.Config, error) {
	c := relabel.DefaultRelabelConfig
	c.NameValidationScheme = model.UTF8Validation
	for _, l := range r.SourceLabels {
		c.SourceLabels = append(c.SourceLabels, model.LabelName(l))
	}
	c.Modulus, c.TargetLabel = r.Modulus, r.TargetLabel
	if r.Separator != nil {
		c.Separator = *r.Separator
	}
	if r.Replacement != nil {
		c.Replacement = *r.Replacement
	}
	if r.Action != "" {
		c.Action = relabel.Action(strings.ToLower(r.Action))
	}
	if r.Regex != nil {
		var err error
		if c.Regex, err = relabel.NewRegexp(*r.Regex); err != nil {
			return nil, err
		}
	}
	return &c, nil
}
