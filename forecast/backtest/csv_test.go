package backtest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadCSV(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		values map[string]float64 // By time of day.
		broken string             // line: what is wrong
		blank  []int
		moved  []int
		twice  []int
	}{
		"header":     {text: "timestamp,value\n2025-01-06T00:00:00Z,1\n", values: map[string]float64{"00:00:00": 1}},
		"no header":  {text: "2025-01-06T00:00:00Z,1", values: map[string]float64{"00:00:00": 1}},
		"zone":       {text: "2025-01-06T02:00:00+02:00,1", values: map[string]float64{"00:00:00": 1}},
		"space":      {text: "2025-01-06 00:00:00+00:00,1", values: map[string]float64{"00:00:00": 1}},
		"unix":       {text: "1736121600,1\n1736121601.5,2", values: map[string]float64{"00:00:00": 1, "00:00:01.5": 2}},
		"windows":    {text: "\ufefftimestamp,value\r\n2025-01-06T00:00:00Z,1\r\n\r\n", values: map[string]float64{"00:00:00": 1}},
		"quoted":     {text: "\"timestamp\",\"value\"\n\"2025-01-06T00:00:00Z\", \"-1.5e3\" \n", values: map[string]float64{"00:00:00": -1500}},
		"blank":      {text: "2025-01-06T00:00:00Z,1\n2025-01-06T00:01:00Z,\n2025-01-06T00:02:00Z,NaN\n", values: map[string]float64{"00:00:00": 1}, blank: []int{2, 3}},
		"infinite":   {text: "2025-01-06T00:00:00Z,1\n2025-01-06T00:01:00Z,+Inf\n2025-01-06T00:02:00Z,1e99\n2025-01-06T00:02:00Z,1e999", values: map[string]float64{"00:00:00": 1}, broken: `2: value "+Inf" is too large to be a load; 3: value "1e99" is too large to be a load; 4: value "1e999" is too large to be a load`},
		"words":      {text: "2025-01-06T00:00:00Z,1\nyesterday,2\n2025-01-06T00:01:00Z,many", values: map[string]float64{"00:00:00": 1}, broken: `2: time "yesterday" is neither RFC 3339, as in 2006-01-02T15:04:05Z, nor seconds since 1970; 3: value "many" is not a number`},
		"programs":   {text: "1736121600,1\n1736121660,1_000\n1736121720,0x1p4\n0x1p30,1\nnan,2\ninf,2", values: map[string]float64{"00:00:00": 1}, broken: `2: value "1_000" is not a number; 3: value "0x1p4" is not a number; 4: time "0x1p30" is neither RFC 3339, as in 2006-01-02T15:04:05Z, nor seconds since 1970; 5: time "nan" is neither RFC 3339, as in 2006-01-02T15:04:05Z, nor seconds since 1970; 6: time "inf" is neither RFC 3339, as in 2006-01-02T15:04:05Z, nor seconds since 1970`},
		"no zone":    {text: "2025-01-06T00:00:00Z,1\n2025-01-06 00:01:00,2", values: map[string]float64{"00:00:00": 1}, broken: `2: time "2025-01-06 00:01:00" has no time zone: write it as 2025-01-06T00:01:00Z if it is UTC`},
		"millis":     {text: "1736121600,1\n1736121600000,2", values: map[string]float64{"00:00:00": 1}, broken: `2: time "1736121600000" is not in the years 1970 to 2200: are these milliseconds? Write seconds`},
		"old":        {text: "1736121600,1\n1066-10-14T09:00:00Z,2", values: map[string]float64{"00:00:00": 1}, broken: `2: time "1066-10-14T09:00:00Z" is not in the years 1970 to 2200`},
		"fields":     {text: "1736121600,1\n1736121600\n1,2,3", values: map[string]float64{"00:00:00": 1}, broken: `2: there is no comma: a row is timestamp,value; 3: there are more than two fields: a row is timestamp,value`},
		"open quote": {text: "1736121600,1\n\"1736121660,2\n1736121720,3", values: map[string]float64{"00:00:00": 1, "00:02:00": 3}, broken: `2: time "\"1736121660" is neither RFC 3339, as in 2006-01-02T15:04:05Z, nor seconds since 1970`},
		"long":       {text: "1736121600,1\n" + strings.Repeat("x", 3*maxLine) + "\n1736121660,2", values: map[string]float64{"00:00:00": 1, "00:01:00": 2}, broken: "2: longer than 4096 bytes"},
		"unordered":  {text: "1736121660,2\n1736121600,1\n1736121720,3\n", values: map[string]float64{"00:00:00": 1, "00:01:00": 2, "00:02:00": 3}, moved: []int{2}},
		"repeated":   {text: "1736121600,1\n1736121660,2\n2025-01-06T00:00:00Z,1\n", values: map[string]float64{"00:00:00": 1, "00:01:00": 2}, moved: []int{3}, twice: []int{3}},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := ReadCSV(strings.NewReader(c.text))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for i, s := range in.Samples {
				got[s.Time.Format("15:04:05.999")] = s.Value
				if i > 0 && s.Time.Before(in.Samples[i-1].Time) {
					t.Errorf("%v is not in order", in.Samples)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.values) || len(in.Samples) != len(c.values)+len(c.twice) {
				t.Errorf("samples %v, want %v", in.Samples, c.values)
			}
			var broken []string
			for i, line := range in.Broken.First {
				broken = append(broken, fmt.Sprintf("%d: %s", line, in.Broken.Why[i]))
			}
			if got := strings.Join(broken, "; "); got != c.broken {
				t.Errorf("broken: %s\nwant:   %s", got, c.broken)
			}
			for what, pair := range map[string][2][]int{"blank": {in.Blank.First, c.blank}, "unordered": {in.Unordered.First, c.moved}, "repeated": {in.Repeated.First, c.twice}} {
				if !slices.Equal(pair[0], pair[1]) {
					t.Errorf("%s lines %v, want %v", what, pair[0], pair[1])
				}
			}
		})
	}
}

// Of many broken rows the first twenty are named and all are counted.
func TestReadCSVBoundsWhatItNames(t *testing.T) {
	in, err := ReadCSV(strings.NewReader("1736121600,1\n" + strings.Repeat("x\n", 1000)))
	if err != nil || in.Broken.Count != 1000 || len(in.Broken.First) != 20 || len(in.Broken.Why) != 20 || in.Broken.First[19] != 21 {
		t.Errorf("%+v, %v", in, err)
	}
}

func TestReadCSVWithoutSamples(t *testing.T) {
	for _, text := range []string{"", "timestamp,value\n", "a\nb\n", "1736121600,\n"} {
		if _, err := ReadCSV(strings.NewReader(text)); !errors.Is(err, ErrNoSamples) {
			t.Errorf("%q: error %v", text, err)
		}
	}
	if _, err := ReadCSV(io.MultiReader(strings.NewReader("1736121600,1\n"), iotest.ErrReader(io.ErrUnexpectedEOF))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
}

// FuzzReadCSV holds that every line is accounted for, that samples are finite and in order, and that the library's decoder reads the same
// fields from the lines that count.
func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{"timestamp,value\n1736121600,1\n", "\ufeff\"2025-01-06T00:00:00Z\",\"2\"\r\n,\n", "1,2,3\n\"", "1e9,0x1p4\n2,1_0\n", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := ReadCSV(strings.NewReader(text))
		if err != nil && !errors.Is(err, ErrNoSamples) {
			t.Fatal(err)
		}
		lines := 0
		for i, line := range strings.Split(text, "\n") {
			if i == 0 {
				line = strings.TrimPrefix(line, "\ufeff")
			}
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
		if counted := len(in.Samples) + in.Broken.Count + in.Blank.Count; counted != lines && counted != lines-1 { // A header.
			t.Errorf("%d of %d lines accounted for", counted, lines)
		}
		for i, s := range in.Samples {
			if math.IsNaN(s.Value) || math.Abs(s.Value) > largest || i > 0 && s.Time.Before(in.Samples[i-1].Time) || s.Time.Year() < firstYear {
				t.Errorf("sample %d is %v", i, s)
			}
		}
		if len(in.Samples) == 1 && lines == 1 && !strings.ContainsAny(strings.ReplaceAll(text, "\r\n", "\n"), " \r\t\v\f\u0085\u00a0\u2000\u3000") {
			row, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).Read()
			if err == nil && len(row) != 2 {
				t.Errorf("taken for a row: %q", row)
			}
		}
	})
}
