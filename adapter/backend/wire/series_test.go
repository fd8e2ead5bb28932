package wire

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/foresail/foresail/forecast/series"
)

func read(text string) ([]string, envelope, error) {
	var keys []string
	// One byte at a time: what is read must not depend on how it arrives.
	e, err := readSeries(iotest.OneByteReader(strings.NewReader(text)), func(k series.Key) { keys = append(keys, k.String()) })
	return keys, e, err
}

func TestSeries(t *testing.T) {
	f := func(text string, keys []string, want envelope) {
		t.Helper()
		got, e, err := read(text)
		if err != nil || !reflect.DeepEqual(got, keys) || !reflect.DeepEqual(e, want) {
			t.Errorf("%s:\n got %v, %+v, %v\nwant %v, %+v", text, got, e, err, keys, want)
		}
	}
	f(`{"status":"success","data":[{"__name__":"up","job":"a"},{"job":"b","empty":""}]}`,
		[]string{`up{job="a"}`, `{job="b"}`}, envelope{Status: "success"})
	f(`{"status":"success","data":[]}`, nil, envelope{Status: "success"})
	f(`{"status":"success","data":null}`, nil, envelope{Status: "success"})
	f(`{"status":"success"}`, nil, envelope{Status: "success"})
	f(`{"status":"error","errorType":"bad_data","error":"no"}`, nil, envelope{Status: "error", ErrorType: "bad_data", Error: "no"})
	f(`{"isPartial":true,"new":{"a":[1,{}]},"data":[{"__name__":"up"}],"warnings":["w"],"status":"success"}`,
		[]string{"up"}, envelope{Status: "success", Warnings: []string{"w"}, IsPartial: true})

	fails := func(text string, keys ...string) {
		t.Helper()
		if got, _, err := read(text); err == nil || !reflect.DeepEqual(got, keys) {
			t.Errorf("%s: got %v, %v, want an error after %v", text, got, err, keys)
		}
	}
	fails("")
	fails("<html>")
	fails("[]")
	fails(`{"status":"success","data":{}}`)
	fails(`{"status":"success","data":[1]}`)
	fails(`{"status":"success","data":[{}]}`)
	fails(`{"status":"success","data":[null]}`)
	fails(`{"status":7}`)
	// Cut off: a half of the series is not all of them.
	fails(`{"status":"success","data":[{"__name__":"up"}`, "up")
	fails(`{"status":"success","data":[{"__name__":"up"}]`, "up")
	fails(`{"status":"success","data":[{"__name__":"up"},{"a":1}]}`, "up")
}

// lines is an endless answer, cut off after so many series.
func lines(n int) io.Reader {
	head, body, tail := `{"status":"success","data":[`, `{"__name__":"http_requests_total","pod":"checkout-%d","namespace":"shop","path":"/a/b/c"}`, `]}`
	next := 0
	var rest string
	return readerFunc(func(p []byte) (int, error) {
		if rest == "" {
			switch {
			case next == 0:
				rest = head
			case next <= n:
				rest = fmt.Sprintf(body, next)
				if next < n {
					rest += ","
				}
			case next == n+1:
				rest = tail
			default:
				return 0, io.EOF
			}
			next++
		}
		k := copy(p, rest)
		rest = rest[k:]
		return k, nil
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// 300,000 series are 27 MB of text. They must pass through without being held.
func TestSeriesAreNotHeld(t *testing.T) {
	const n = 300_000
	var most uint64
	seen := 0
	e, err := readSeries(lines(n), func(series.Key) {
		if seen++; seen%50_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	})
	if err != nil || e.Status != "success" || seen != n {
		t.Fatalf("%d series, %+v, %v", seen, e, err)
	}
	if most > 8<<20 {
		t.Errorf("%d MiB were in use while %d series were read", most>>20, n)
	}
}

func FuzzSeries(f *testing.F) {
	f.Add(`{"status":"success","data":[{"__name__":"up","job":"a"}],"warnings":["w"],"isPartial":false}`)
	f.Add(`{"data":null}`)
	f.Add(`{"data":[{"a":1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		keys, e, err := read(text)
		var again []string
		d, failed := readSeries(strings.NewReader(text), func(k series.Key) { again = append(again, k.String()) })
		if !reflect.DeepEqual(keys, again) || !reflect.DeepEqual(e, d) || (err == nil) != (failed == nil) {
			t.Errorf("%q: byte by byte %v, %+v, %v; at once %v, %+v, %v", text, keys, e, err, again, d, failed)
		}
		// What was read without an error is JSON, up to what follows it.
		if err == nil && json.NewDecoder(strings.NewReader(text)).Decode(new(json.RawMessage)) != nil {
			t.Errorf("%q is not JSON and was read as %v", text, keys)
		}
	})
}
