package backtest

import (
	"bufio"
	"io"
	"math"
	"strconv"
	"time"
)

// header names the columns of WriteCSV.
const header = "issued_at,target_at,actual,p10,p50,p90,window_max,window_p90,served,state\n"

// WriteCSV writes the rows as CSV: RFC 3339 times in UTC, numbers in full precision, and nothing where a value is not known.
func WriteCSV(w io.Writer, rows []Row) error {
	out := bufio.NewWriter(w)
	_, _ = out.WriteString(header) // Errors stay until Flush.
	var line []byte
	for i := range rows {
		r := &rows[i]
		line = r.Issued.UTC().AppendFormat(line[:0], time.RFC3339)
		line = append(line, ',')
		line = r.Target.UTC().AppendFormat(line, time.RFC3339)
		for _, v := range [...]float64{r.Actual, r.P10, r.P50, r.P90, r.WindowMax, r.WindowP90, r.Served} {
			line = append(line, ',')
			if !math.IsNaN(v) {
				line = strconv.AppendFloat(line, v, 'g', -1, 64)
			}
		}
		line = append(append(append(line, ','), r.State.Reason...), '\n')
		_, _ = out.Write(line)
	}
	return out.Flush()
}
