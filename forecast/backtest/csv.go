package backtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// Input is what a file of samples holds.
type Input struct {
	// Samples are the usable rows in the order of time, those of the same time in the order of the file.
	Samples []series.Sample
	// Broken are the rows that cannot be understood. They are left out: nothing of them is guessed.
	Broken Lines
	// Blank are the rows whose value is empty or NaN: they say that nothing is known of that time.
	Blank Lines
	// Unordered are the rows that are earlier than the usable one before, and Repeated those of the same time as another. Both count: a
	// grid value is the mean of its samples, in whatever order they come.
	Unordered, Repeated Lines

	lines []int // Of the samples.
}

// Lines are the numbers of lines of a file, the first of which is 1, of one kind.
type Lines struct {
	// Count is how many there are.
	Count int
	// First holds the first few of them, and Why, where there is anything to say, what is wrong with each.
	First []int
	Why   []string
}

const (
	maxNamed = 20      // Lines of one kind that are named.
	maxLine  = 4 << 10 // Bytes; no time and number need as many.
)

func (l *Lines) add(line int, why string) {
	l.Count++
	if len(l.First) == maxNamed {
		return
	}
	l.First = append(l.First, line)
	if why != "" {
		l.Why = append(l.Why, why)
	}
}

// ErrNoSamples is the error of a file without a usable row.
var ErrNoSamples = errors.New("no row has a time and a value")

// ReadCSV reads rows of "timestamp,value": RFC 3339 with a T or a space, or seconds since the Unix epoch; and a finite number. A first
// line that does not begin with a time is a header. Fields may be quoted, lines may end in CRLF, and a byte order mark is skipped, as are
// empty lines. The errors are those of r, and ErrNoSamples, which comes with what is broken.
func ReadCSV(r io.Reader) (*Input, error) {
	in := &Input{}
	lines := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		line, tooLong, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("cannot read line %d: %w", number, err)
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		switch {
		case tooLong:
			in.Broken.add(number, fmt.Sprintf("longer than %d bytes", maxLine))
		case len(bytes.TrimSpace(line)) > 0:
			in.take(number, string(line))
		}
		if err != nil {
			break
		}
	}
	if len(in.Samples) == 0 {
		return in, ErrNoSamples
	}
	in.sort()
	return in, nil
}

// readLine returns the next line without its end; of one that is too long only that it is. The error may come with a line.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	line, err = r.ReadSlice('\n')
	for errors.Is(err, bufio.ErrBufferFull) {
		tooLong = true
		_, err = r.ReadSlice('\n')
	}
	return line, tooLong, err
}

// take adds one row.
func (in *Input) take(number int, line string) {
	stamp, text, why := fields(line)
	if why != "" {
		in.Broken.add(number, why)
		return
	}
	at, why := parseTime(stamp)
	if why != "" {
		header := number == 1 && !strings.ContainsAny(stamp[:min(len(stamp), 1)], "0123456789+-.")
		if !header {
			in.Broken.add(number, why)
		}
		return
	}
	if text == "" || strings.EqualFold(text, "nan") {
		in.Blank.add(number, "")
		return
	}
	v, err := decimal(text)
	switch {
	case math.Abs(v) > largest: // Out of range is infinite.
		in.Broken.add(number, fmt.Sprintf("value %s is too large to be a load", clip(text)))
		return
	case err != nil:
		in.Broken.add(number, fmt.Sprintf("value %s is not a number", clip(text)))
		return
	}
	if n := len(in.Samples); n > 0 && at.Before(in.Samples[n-1].Time) {
		in.Unordered.add(number, "")
	}
	in.Samples = append(in.Samples, series.Sample{Time: at, Value: v})
	in.lines = append(in.lines, number)
}

// sort puts the samples in order and finds those of the same time.
func (in *Input) sort() {
	if in.Unordered.Count > 0 {
		sort.Stable(byTime{in})
	}
	for i := 1; i < len(in.Samples); i++ {
		if in.Samples[i].Time.Equal(in.Samples[i-1].Time) {
			in.Repeated.add(in.lines[i], "")
		}
	}
}

// byTime sorts samples and their lines.
type byTime struct{ *Input }

func (b byTime) Len() int           { return len(b.Samples) }
func (b byTime) Less(i, j int) bool { return b.Samples[i].Time.Before(b.Samples[j].Time) }
func (b byTime) Swap(i, j int) {
	b.Samples[i], b.Samples[j] = b.Samples[j], b.Samples[i]
	b.lines[i], b.lines[j] = b.lines[j], b.lines[i]
}

// largest is the magnitude beyond which the forecaster takes a value for missing.
const largest = 1e70

// fields splits a row in two and unquotes them.
func fields(line string) (stamp, value, why string) {
	stamp, value, ok := strings.Cut(line, ",")
	if !ok {
		return "", "", "there is no comma: a row is timestamp,value"
	}
	if strings.Contains(value, ",") {
		return "", "", "there are more than two fields: a row is timestamp,value"
	}
	for _, field := range []*string{&stamp, &value} {
		*field = strings.TrimSpace(*field)
		if n := len(*field); n >= 2 && (*field)[0] == '"' && (*field)[n-1] == '"' {
			*field = strings.TrimSpace((*field)[1 : n-1])
		}
	}
	return stamp, value, ""
}

// decimal is strconv.ParseFloat without what only programmers write: 0x1p4 and 1_000.
func decimal(s string) (float64, error) {
	if strings.ContainsAny(s, "_xX") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// The years in which a time can be: the grid counts nanoseconds since 1970.
const (
	firstYear = 1970
	lastYear  = 2200
)

// parseTime returns the time, or what is wrong with it.
func parseTime(s string) (at time.Time, why string) {
	text := s
	if len(text) > len(time.DateOnly) && text[len(time.DateOnly)] == ' ' {
		text = text[:len(time.DateOnly)] + "T" + text[len(time.DateOnly)+1:]
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		if _, local := time.Parse("2006-01-02T15:04:05", text); local == nil {
			return at, fmt.Sprintf("time %s has no time zone: write it as %sZ if it is UTC", clip(s), text)
		}
		seconds, err := decimal(s)
		if err != nil || math.IsNaN(seconds) || math.IsInf(seconds, 0) {
			return at, fmt.Sprintf("time %s is neither RFC 3339, as in 2006-01-02T15:04:05Z, nor seconds since 1970", clip(s))
		}
		if !(math.Abs(seconds) < 1e10) {
			return at, fmt.Sprintf("time %s is not in the years %d to %d: are these milliseconds? Write seconds", clip(s), firstYear, lastYear)
		}
		whole := math.Floor(seconds)
		at = time.Unix(int64(whole), int64(math.Round((seconds-whole)*1e6))*int64(time.Microsecond))
	}
	if at = at.UTC(); at.Year() < firstYear || at.Year() > lastYear {
		return at, fmt.Sprintf("time %s is not in the years %d to %d", clip(s), firstYear, lastYear)
	}
	return at, ""
}

// clip quotes what a row holds, shortened.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
