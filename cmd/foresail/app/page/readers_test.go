package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/config"
	"github.com/foresail/foresail/cmd/foresail/app/readers"
)

// cluster is what autoscalers ask for, and why not all of it is known.
type cluster struct {
	asks map[readers.Read][]string
	err  error
}

func (c *cluster) Asks(context.Context) (map[readers.Read][]string, error) { return c.asks, c.err }

// Beside each reader are the autoscalers that ask for the same, and after them what autoscalers ask for in vain of what is served.
func TestAutoscalersAreNamed(t *testing.T) {
	var many []string
	for i := range 25 {
		many = append(many, fmt.Sprintf("w%02d", i))
	}
	c := &cluster{asks: map[readers.Read][]string{
		{Namespace: "shop", Metric: "load", Selector: "queue=a"}:               {hostile, "web"},
		{Namespace: "shop", Metric: "requests", Resource: "pods"}:              many,
		{Namespace: "shop", Metric: "load_forecast"}:                           {"late"},
		{Namespace: "bank", Metric: "found"}:                                   {"early"},
		{Namespace: "shop", Metric: "requests"}:                                {"mistaken"}, // an external metric of this name is not served
		{Namespace: "shop", Metric: "load", Resource: "pods", Selector: "q=a"}: {"mistaken"},
		{Namespace: "shop", Metric: "of_another_server", Selector: "queue=a"}:  {"foreign"},
	}}
	server, book, _ := serveAll(t, two, answers{"load": nil}, func(o *Options) { o.Autoscalers = c })
	book.Note(readers.Read{Namespace: "shop", Metric: "LOAD", Selector: "queue=a", User: "hpa"}, now, nil)
	book.Note(readers.Read{Namespace: "shop", Metric: "load", User: "hpa"}, now, nil)
	book.Note(readers.Read{Namespace: "shop", Metric: "requests", Resource: "pods", Objects: "app=web", User: "hpa"}, now, nil)
	var told readersAnswer
	_, raw, _ := get(t, server, "/api/v1alpha/page/readers", &told)
	if strings.Contains(raw, "<img") || !told.Named || told.Unnamed != "" || len(told.Readers) != 3 {
		t.Fatal(raw)
	}
	for i, want := range []string{hostile + " web and 0", " and 0", strings.Join(many[:20], " ") + " and 5"} { // by namespace and metric; LOAD is before load
		if got := fmt.Sprintf("%s and %d", strings.Join(told.Readers[i].Autoscalers, " "), told.Readers[i].More); got != want {
			t.Errorf("%+v has %s, want %s", told.Readers[i].Read, got, want)
		}
	}
	if told.UnreadMatched != 2 || told.Unread[0].Autoscalers[0] != "early" || told.Unread[1].Autoscalers[0] != "late" || told.Unread[1].Metric != "load_forecast" {
		t.Errorf("unread: %+v", told.Unread)
	}
	for query, want := range map[string]string{"w07": "1 0", "early": "0 1", "shop": "3 1", "none": "0 0"} {
		var told readersAnswer
		get(t, server, "/api/v1alpha/page/readers?q="+query, &told)
		if got := fmt.Sprint(told.Matched, told.UnreadMatched); got != want {
			t.Errorf("%s matches %s, want %s", query, got, want)
		}
	}

	// A failure is told, and the readers all the same.
	c.asks, c.err = nil, errors.New("cannot list the autoscalers: forbidden")
	told = readersAnswer{}
	get(t, server, "/api/v1alpha/page/readers", &told)
	if told.Named || told.Unnamed != c.err.Error() || told.Matched != 3 || told.Unread == nil || len(told.Unread) != 0 || told.Readers[0].Autoscalers != nil {
		t.Errorf("%+v", told)
	}
}

// hanging is a cluster that does not answer.
type hanging struct{}

func (hanging) Asks(ctx context.Context) (map[readers.Read][]string, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// As long as the cluster does not answer, as many readers as answers are worked out at once keep nobody from the other views.
func TestHangingCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler, err := New(Options{Now: time.Now, Readers: &readers.Book{}, Autoscalers: hanging{}, State: func() State { return State{Config: &config.File{}, Listed: listed{}} }})
		if err != nil {
			t.Fatal(err)
		}
		ask := func(ctx context.Context, path string) int {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1alpha/page/"+path, http.NoBody))
			return w.Code
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range atOnce {
			go ask(ctx, "readers")
		}
		synctest.Wait()
		if code := ask(t.Context(), "config"); code != http.StatusOK {
			t.Errorf("config: %d", code)
		}
	})
}
