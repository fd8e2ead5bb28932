package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/foresail/foresail/forecast/series"
)

// maxSeries bounds the answer that names series. It is never held, so the bound is on the time that it takes.
const maxSeries = 1 << 30

// Series hands the series that the selector matches and that have samples since then to each, one by one and in any
// order. Where it returns an error, which is an *Error, those were not all. It takes as long as ctx allows.
func (c *Client) Series(ctx context.Context, selector string, since time.Time, each func(series.Key)) error {
	start := time.Now()
	form := url.Values{"match[]": {selector}, "start": {strconv.FormatFloat(float64(since.UnixMilli())/1000, 'f', -1, 64)}}
	resp, err := c.open(ctx, c.URL("/api/v1/series", nil), form)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body := &io.LimitedReader{R: resp.Body, N: maxSeries}
	said, err := readSeries(body, each)
	switch {
	case err != nil && ctx.Err() != nil:
		return ContextError(c.Backend, ctx.Err(), time.Since(start))
	case body.N <= 0:
		return c.tooLarge(maxSeries)
	case err != nil:
		return FormatError(c.Backend, err)
	case said.Status != "success":
		return FormatError(c.Backend, fmt.Errorf("its status is %q: %s", said.Status, said.Error))
	case said.IsPartial:
		return PartialError(c.Backend, "isPartial is true")
	}
	if missing := MissingData(said.Warnings); missing != "" {
		return PartialError(c.Backend, missing)
	}
	return nil
}

// open asks by POST, and by GET where that is refused, and returns an answer with status 2xx.
func (c *Client) open(ctx context.Context, to *url.URL, form url.Values) (*http.Response, error) {
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		var body io.Reader = strings.NewReader(form.Encode())
		address := *to
		if method == http.MethodGet {
			body, address.RawQuery = nil, strings.Trim(to.RawQuery+"&"+form.Encode(), "&")
		}
		req, err := http.NewRequestWithContext(ctx, method, address.String(), body)
		if err != nil {
			return nil, &Error{Backend: c.Backend, Kind: Rejected, Message: OneLine(err.Error()), Err: err}
		}
		if method == http.MethodPost {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			// Not sent: it tells the transport that the request may be repeated where the server has closed the connection.
			req.Header["Idempotency-Key"] = nil
		}
		start := time.Now()
		resp, err := c.HTTP.Do(req)
		switch {
		case err != nil:
			return nil, c.transportError(ctx, err, to, time.Since(start))
		case resp.StatusCode/100 == 2:
			return resp, nil
		}
		_, _, err = c.refused(req, resp)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, &Error{Backend: c.Backend, Kind: Rejected, Message: "neither POST nor GET is allowed"} // GET has its own error
}

// envelope is what an answer says beside its data.
type envelope struct {
	// Status is success or error, and "" in what is not an answer.
	Status           string
	ErrorType, Error string
	Warnings         []string
	// IsPartial is added by VictoriaMetrics' cluster where a part of the data is missing.
	IsPartial bool
}

// readSeries reads the answer of /api/v1/series and hands on its series as they come. It needs memory for one of them.
// Which of its fields come first is up to the server, so series may have been handed on before the envelope turns out
// to say that they are not all, or before an error.
func readSeries(r io.Reader, each func(series.Key)) (envelope, error) {
	var e envelope
	d := json.NewDecoder(r)
	if err := expect(d, json.Delim('{')); err != nil {
		return e, err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return e, err
		}
		switch name {
		case "status":
			err = d.Decode(&e.Status)
		case "errorType":
			err = d.Decode(&e.ErrorType)
		case "error":
			err = d.Decode(&e.Error)
		case "warnings":
			err = d.Decode(&e.Warnings)
		case "isPartial":
			err = d.Decode(&e.IsPartial)
		case "data":
			err = list(d, each)
		default:
			err = d.Decode(new(json.RawMessage))
		}
		if err != nil {
			return e, fmt.Errorf("cannot read %v: %w", name, err)
		}
	}
	return e, expect(d, json.Delim('}'))
}

// list reads the series; null is a list without any.
func list(d *json.Decoder, each func(series.Key)) error {
	start, err := d.Token()
	switch {
	case err != nil:
		return err
	case start == nil:
		return nil
	case start != json.Delim('['):
		return fmt.Errorf("a list of series was expected, not %v", start)
	}
	set := make(map[string]string)
	for d.More() {
		clear(set)
		if err := d.Decode(&set); err != nil {
			return err
		}
		if len(set) == 0 {
			return errors.New("there is an empty series")
		}
		each(keyOf(set))
	}
	return expect(d, json.Delim(']'))
}

func keyOf(set map[string]string) series.Key {
	labels := make([]series.Label, 0, len(set))
	for name, value := range set {
		if name != "__name__" {
			labels = append(labels, series.Label{Name: name, Value: value})
		}
	}
	return series.NewKey(set["__name__"], labels...)
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err == nil && got != want {
		err = fmt.Errorf("%v was expected, not %v", want, got)
	}
	return err
}
