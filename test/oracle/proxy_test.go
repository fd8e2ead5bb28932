package oracle

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// tenant is a header that every request must have: both adapters are told to send it.
const tenant = "X-Scope-OrgID"

// proxy stands between one adapter and the backend and notes what is asked and answered.
type proxy struct {
	*httptest.Server
	backend string

	mu      sync.Mutex
	queries []asked
	// refused are the series selectors that the backend did not take.
	refused map[string]bool
}

// asked is one instant query and its answer.
type asked struct {
	query   string
	status  int
	samples []sample
}

// sample is one sample of an answer; a scalar has no labels.
type sample struct {
	labels map[string]string
	value  float64
}

func newProxy(backend string) *proxy {
	p := &proxy{backend: backend, refused: map[string]bool{}}
	p.Server = httptest.NewServer(p)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.Header.Get(tenant) == "" {
		http.Error(w, "no "+tenant, http.StatusUnauthorized)
		return
	}
	status, body, err := ask(p.backend+r.URL.Path, r.Form.Encode())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	p.note(r, status, body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func ask(url, form string) (status int, body []byte, err error) {
	response, err := http.Post(url, "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func (p *proxy) note(r *http.Request, status int, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/api/v1/query":
		p.queries = append(p.queries, asked{query: r.Form.Get("query"), status: status, samples: samplesOf(body)})
	case "/api/v1/series":
		if status != http.StatusOK {
			p.refused[strings.Join(r.Form["match[]"], " ")] = true
		}
	}
}

// take returns the queries since the last take.
func (p *proxy) take() []asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.queries
	p.queries = nil
	return taken
}

func (p *proxy) refusals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.refused)
}

// samplesOf returns the samples of an answer to an instant query; none of one that is an error or a matrix.
func samplesOf(body []byte) []sample {
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil
	}
	var samples []sample
	switch answer.Data.ResultType {
	case "vector":
		var vector []struct {
			Metric map[string]string
			Value  [2]any
		}
		if json.Unmarshal(answer.Data.Result, &vector) != nil {
			return nil
		}
		for _, v := range vector {
			samples = append(samples, sample{v.Metric, numberOf(v.Value[1])})
		}
	case "scalar":
		var scalar [2]any
		if json.Unmarshal(answer.Data.Result, &scalar) == nil {
			samples = append(samples, sample{nil, numberOf(scalar[1])})
		}
	}
	return samples
}

func numberOf(text any) float64 {
	value, _ := strconv.ParseFloat(fmt.Sprint(text), 64)
	return value
}

// queriesOf returns the text of the queries, sorted: some are asked side by side.
func queriesOf(all []asked) []string {
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = a.query
	}
	slices.Sort(texts)
	return texts
}
