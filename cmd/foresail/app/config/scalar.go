package config

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// scalarTags are the types that YAML itself gives to a scalar; !!binary and a program's own mean something else than
// the text that stands there.
var scalarTags = []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge"}

// scalar returns the text of a node, as it stands in the file.
func (d *decoder) scalar(n *yaml.Node, field, want string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fail(n, field, "must be %s, not %s", want, kind(n))
		return "", false
	case n.Style&yaml.TaggedStyle != 0 && !slices.Contains(scalarTags, n.Tag):
		d.fail(n, field, "the tag %s is not known here: remove it", n.Tag)
		return "", false
	}
	return n.Value, true
}

var durationType = reflect.TypeFor[time.Duration]()

const quotes = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

// unquoted returns the text of a node that must not be quoted, as numbers and truth values must not.
func (d *decoder) unquoted(n *yaml.Node, field, want string) (string, bool) {
	text, ok := d.scalar(n, field, want)
	if ok && n.Style&quotes != 0 {
		d.fail(n, field, "must be %s: remove the quotes", want)
		return "", false
	}
	return text, ok
}

// basic decodes text, numbers, truth values and durations.
func (d *decoder) basic(n *yaml.Node, field string, out reflect.Value) {
	switch {
	case out.Type() == durationType:
		if text, ok := d.scalar(n, field, "a duration, as in 30s"); ok {
			v, problem := parseDuration(text)
			if problem != "" {
				d.fail(n, field, "%s", problem)
			}
			out.SetInt(int64(v))
		}
	case out.Kind() == reflect.String:
		if text, ok := d.scalar(n, field, "text"); ok {
			out.SetString(text)
		}
	case out.Kind() == reflect.Bool:
		d.boolean(n, field, out)
	case out.CanInt() || out.CanUint():
		d.integer(n, field, out)
	case out.CanFloat():
		if text, ok := d.unquoted(n, field, "a number"); ok {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsInf(v, 0) || math.IsNaN(v) || out.OverflowFloat(v) {
				d.fail(n, field, "must be a number, not %s", kind(n))
				return
			}
			out.SetFloat(v)
		}
	default:
		d.fail(n, field, "cannot be set from a file: it is a %s", out.Type())
	}
}

// boolean accepts what YAML 1.1 and 1.2 call true and false, in any case.
func (d *decoder) boolean(n *yaml.Node, field string, out reflect.Value) {
	text, ok := d.unquoted(n, field, "true or false")
	if !ok {
		return
	}
	switch strings.ToLower(text) {
	case "true", "yes", "on", "y":
		out.SetBool(true)
	case "false", "no", "off", "n":
		out.SetBool(false)
	default:
		d.fail(n, field, "must be true or false, not %s", kind(n))
	}
}

func (d *decoder) integer(n *yaml.Node, field string, out reflect.Value) {
	text, ok := d.unquoted(n, field, "a whole number")
	if !ok {
		return
	}
	var err error
	if out.CanInt() {
		var v int64
		if v, err = strconv.ParseInt(text, 0, out.Type().Bits()); err == nil {
			out.SetInt(v)
		}
	} else {
		var v uint64
		if v, err = strconv.ParseUint(text, 0, out.Type().Bits()); err == nil {
			out.SetUint(v)
		}
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		d.fail(n, field, "%s is too large", text)
	case err != nil && out.CanUint():
		d.fail(n, field, "must be a whole number that is not negative, not %s", kind(n))
	case err != nil:
		d.fail(n, field, "must be a whole number, not %s", kind(n))
	}
}

// parseDuration reads Prometheus' durations and Go's, and says what is wrong with anything else.
func parseDuration(text string) (time.Duration, string) {
	if v, err := model.ParseDuration(text); err == nil {
		return time.Duration(v), ""
	}
	v, err := time.ParseDuration(text)
	switch {
	case err == nil && v < 0:
		return 0, "must not be negative"
	case err == nil:
		return v, ""
	case text == "":
		return 0, "is empty: write a duration, as in 30s, or remove the key"
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, strconv.Quote(text) + " has no unit: add one, as in 30s"
	}
	return 0, strconv.Quote(text) + " is not a duration: write one as in 30s, 1h30m or 35d"
}
