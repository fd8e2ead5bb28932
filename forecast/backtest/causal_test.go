package backtest

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// Without the later samples the file has the same bytes, up to the rows whose outcome was not known yet; of these it has the same bytes but
// for the outcome.
func TestFilesAreCausal(t *testing.T) {
	const step, lead = 15 * time.Minute, 30 * time.Minute
	samples := load(rand.New(rand.NewPCG(21, 22)), 5)
	file := func(days int) [][]byte {
		end := monday.AddDate(0, 0, days)
		n := 0
		for n < len(samples) && samples[n].Time.Before(end) {
			n++
		}
		_, rows := walkAll(t, samples[:n], step, lead)
		var out bytes.Buffer
		if err := WriteCSV(&out, rows); err != nil {
			t.Fatal(err)
		}
		return bytes.SplitAfter(out.Bytes(), []byte("\n"))
	}
	whole := file(5)
	for _, days := range []int{1, 3, 4} {
		part := file(days)
		part = part[:len(part)-1] // Nothing follows the last line's end.
		const open = int(lead / step)
		for i, line := range part {
			other := whole[i]
			if i >= len(part)-open { // actual and window_max are empty.
				fields, others := bytes.Split(line, []byte(",")), bytes.Split(other, []byte(","))
				if len(fields[2])+len(fields[6]) != 0 {
					t.Errorf("%d days, line %d knows its outcome: %s", days, i+1, line)
				}
				others[2], others[6] = nil, nil
				other = bytes.Join(others, []byte(","))
			}
			if !bytes.Equal(line, other) {
				t.Fatalf("%d days, line %d: %s, of the whole load %s", days, i+1, line, whole[i])
			}
		}
	}
}
