package ask

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Four reads a second begin a quarter of a second apart, though each takes a second.
func TestSlowAnswersDelayNoRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var reads atomic.Int64
		Paced(t.Context(), 4, 4, func(i int, due time.Time) {
			if late, want := time.Since(began), time.Duration(i)*time.Second/4; late != want || due.Sub(began) != want {
				t.Errorf("read %d began after %v and was due after %v, want %v", i, late, due.Sub(began), want)
			}
			time.Sleep(time.Second)
			reads.Add(1)
		})
		if took := time.Since(began); reads.Load() != 4 || took != 1750*time.Millisecond {
			t.Errorf("%d reads in %v", reads.Load(), took)
		}
	})
}

// At 0, 250 and 500 ms, and then no more.
func TestPacedEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
		defer cancel()
		var reads atomic.Int64
		Paced(ctx, 100, 4, func(int, time.Time) { reads.Add(1) })
		if reads.Load() != 3 {
			t.Errorf("%d reads", reads.Load())
		}
	})
}

func TestWhatIsRefusedIsAnErrorThatQuotesIt(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/full" {
			w.WriteHeader(http.StatusInsufficientStorage)
		}
		fmt.Fprint(w, "so it is")
	}))
	defer server.Close()
	if body, err := Get(t.Context(), server.Client(), server.URL); err != nil || string(body) != "so it is" {
		t.Errorf("%q, %v", body, err)
	}
	if _, err := Get(t.Context(), server.Client(), server.URL+"/full"); err == nil || !strings.Contains(err.Error(), "/full is answered with 507 Insufficient Storage: so it is") {
		t.Errorf("%v", err)
	}
}
