package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/foresail/foresail/forecast/series"
)

// Answer is what an instant query is answered with.
type Answer struct {
	// Status is success or error, and "" in what is not an answer; then ErrorType and Error say why.
	Status           string
	ErrorType, Error string
	Warnings, Infos  []string
	IsPartial        bool
	// Type is that of the result. Only the points of a vector are read, and that of a scalar, which has no labels.
	Type   string
	Points []series.Point
	// Histogram is the key of a series whose value is a native histogram, of which there is no point.
	Histogram *series.Key
}

// ReadAnswer reads the answer to an instant query. It is written by hand because a cluster's vectors are read every few
// seconds: a decoder that makes maps of labels takes ten times as long. Values may be NaN or infinite.
func ReadAnswer(body []byte, keys *series.Keys) (Answer, error) {
	d := decoder{scanner: scanner{in: body}, keys: keys}
	var a Answer
	err := d.object(func(name []byte) error {
		switch string(name) {
		case "status":
			return d.decode(&a.Status)
		case "errorType":
			return d.decode(&a.ErrorType)
		case "error":
			return d.decode(&a.Error)
		case "warnings":
			return d.decode(&a.Warnings)
		case "infos":
			return d.decode(&a.Infos)
		case "isPartial":
			return d.decode(&a.IsPartial)
		case "data":
			return d.data(&a)
		default:
			return d.skip()
		}
	})
	if err == nil && d.peek() != 0 {
		err = d.unexpected("the end")
	}
	return a, err
}

// decoder reads answers.
type decoder struct {
	scanner
	keys   *series.Keys
	labels []series.RawLabel
	// stamp is the text of the time at, which is the same for all series of most vectors.
	stamp []byte
	at    time.Time
}

func (d *decoder) data(a *Answer) error {
	if d.null() {
		return nil
	}
	later := -1 // where a result is that came before its type
	err := d.object(func(name []byte) error {
		switch string(name) {
		case "resultType":
			return d.decode(&a.Type)
		case "result":
			if a.Type == "" {
				d.peek()
				later = d.pos
				return d.skip()
			}
			return d.result(a)
		default:
			return d.skip()
		}
	})
	if err != nil || later < 0 {
		return err
	}
	end := d.pos
	d.pos = later
	err = d.result(a)
	d.pos = end
	return err
}

func (d *decoder) result(a *Answer) error {
	switch a.Type {
	case "scalar":
		sample, err := d.sample()
		a.Points = []series.Point{{Sample: sample}}
		return err
	case "vector":
		if d.null() {
			return nil
		}
		from := d.pos
		return d.array(func() error {
			if len(a.Points) == 1 { // the others are about as long
				a.Points = slices.Grow(a.Points, (len(d.in)-d.pos)/(d.pos-from)+1)
			}
			return d.series(a)
		})
	default:
		return d.skip()
	}
}

// series reads one series of a vector.
func (d *decoder) series(a *Answer) error {
	var p series.Point
	valued, histogram := false, false
	err := d.object(func(name []byte) (err error) {
		switch string(name) {
		case "metric":
			p.Key, err = d.metric()
		case "value":
			valued = true
			p.Sample, err = d.sample()
		case "histogram":
			histogram = true
			err = d.skip()
		default:
			err = d.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case histogram:
		key := p.Key // p itself stays off the heap
		a.Histogram = &key
	case !valued:
		return errors.New("a series has no value")
	default:
		a.Points = append(a.Points, p)
	}
	return nil
}

func (d *decoder) metric() (series.Key, error) {
	var metric []byte
	d.labels = d.labels[:0]
	err := d.object(func(name []byte) error {
		value, err := d.text()
		if string(name) == "__name__" {
			metric = value
		} else {
			d.labels = append(d.labels, series.RawLabel{Name: name, Value: value})
		}
		return err
	})
	if err != nil {
		return series.Key{}, err
	}
	return d.keys.Key(metric, d.labels), nil
}

// sample reads [time, "value"].
func (d *decoder) sample() (s series.Sample, err error) {
	if err := d.take('['); err != nil {
		return s, err
	}
	stamp, err := d.number()
	if err != nil {
		return s, err
	}
	if !bytes.Equal(stamp, d.stamp) {
		seconds, err := strconv.ParseFloat(string(stamp), 64)
		if err != nil || math.Abs(seconds) > math.MaxInt64/1000 {
			return s, fmt.Errorf("%q is no time", stamp)
		}
		d.stamp, d.at = stamp, time.UnixMilli(int64(math.Round(seconds*1000)))
	}
	if err := d.take(','); err != nil {
		return s, err
	}
	value, err := d.text()
	if err != nil {
		return s, err
	}
	s.Time = d.at
	if s.Value, err = strconv.ParseFloat(string(value), 64); err != nil {
		return s, fmt.Errorf("%q is no value: %w", value, err)
	}
	return s, d.take(']')
}

// decode reads a value of any kind.
func (d *decoder) decode(into any) error {
	d.peek()
	from := d.pos
	if err := d.skip(); err != nil {
		return err
	}
	return json.Unmarshal(d.in[from:d.pos], into)
}

// scanner walks through JSON. It takes what is not quite JSON where that does no harm.
type scanner struct {
	in  []byte
	pos int
}

// peek returns the next byte that is not white space; 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.in) {
		switch c := s.in[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) take(c byte) error {
	if s.peek() != c {
		return s.unexpected(string(c))
	}
	s.pos++
	return nil
}

func (s *scanner) unexpected(want string) error {
	if s.pos >= len(s.in) {
		return fmt.Errorf("%s was expected, not the end", want)
	}
	return fmt.Errorf("%s was expected at byte %d, not %q", want, s.pos, s.in[s.pos:min(s.pos+10, len(s.in))])
}

// null takes a null and tells whether there was one.
func (s *scanner) null() bool {
	if s.peek() == 'n' && bytes.HasPrefix(s.in[s.pos:], []byte("null")) {
		s.pos += len("null")
		return true
	}
	return false
}

// object calls field at each value with its name.
func (s *scanner) object(field func(name []byte) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	return s.members('}', func() error {
		name, err := s.text()
		if err != nil {
			return err
		}
		if err := s.take(':'); err != nil {
			return err
		}
		return field(name)
	})
}

// array calls element at each element.
func (s *scanner) array(element func() error) error {
	if err := s.take('['); err != nil {
		return err
	}
	return s.members(']', element)
}

func (s *scanner) members(end byte, member func() error) error {
	if s.peek() == end {
		s.pos++
		return nil
	}
	for {
		if err := member(); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case end:
			s.pos++
			return nil
		default:
			return s.unexpected(string(end))
		}
	}
}

// text reads a string, which is part of the input where nothing in it is written otherwise than it is.
func (s *scanner) text() ([]byte, error) {
	if err := s.take('"'); err != nil {
		return nil, err
	}
	from, plain := s.pos, true
	for ; s.pos < len(s.in); s.pos++ {
		switch c := s.in[s.pos]; {
		case c == '"':
			text := s.in[from:s.pos]
			s.pos++
			if plain {
				return text, nil
			}
			return unquoted(s.in[from-1 : s.pos])
		case c == '\\':
			s.pos++
			plain = false
		case c < ' ' || c >= utf8.RuneSelf:
			plain = false
		}
	}
	return nil, s.unexpected(`"`)
}

func unquoted(quoted []byte) ([]byte, error) {
	var text string
	err := json.Unmarshal(quoted, &text)
	return []byte(text), err
}

// number reads what stands where a number should.
func (s *scanner) number() ([]byte, error) {
	s.peek()
	from := s.pos
	for s.pos < len(s.in) {
		switch c := s.in[s.pos]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			s.pos++
			continue
		}
		break
	}
	if s.pos == from {
		return nil, s.unexpected("a number")
	}
	return s.in[from:s.pos], nil
}

// maxDepth bounds how deep values may be that are not read.
const maxDepth = 100

func (s *scanner) skip() error { return s.skipAt(0) }

func (s *scanner) skipAt(depth int) error {
	if depth > maxDepth {
		return errors.New("it is nested too deep")
	}
	switch s.peek() {
	case '{':
		return s.object(func([]byte) error { return s.skipAt(depth + 1) })
	case '[':
		return s.array(func() error { return s.skipAt(depth + 1) })
	case '"':
		_, err := s.text()
		return err
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.in[s.pos:], []byte(word)) {
			s.pos += len(word)
			return nil
		}
	}
	_, err := s.number()
	return err
}
