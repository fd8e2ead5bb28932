// Package ask sends requests to what benches measure.
package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Get returns what an address answers.
func Get(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	return Do(client, r)
}

// Do returns the answer to a request. One whose status is not 2xx is an error, which quotes it.
func Do(client *http.Client, r *http.Request) ([]byte, error) {
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s is answered with %s: %.500s", r.URL, response.Status, body)
	}
	return body, nil
}

// Paced reads n times, rate times a second, or until ctx is done, and returns when all reads have. They are due at times that are
// fixed beforehand, so that a slow answer delays no later read and hides nothing.
func Paced(ctx context.Context, n, rate int, read func(i int, due time.Time)) {
	var reads sync.WaitGroup
	defer reads.Wait()
	began, gap := time.Now(), time.Second/time.Duration(rate)
	for i := range n {
		due := began.Add(time.Duration(i) * gap)
		time.Sleep(time.Until(due))
		if ctx.Err() != nil {
			return
		}
		reads.Go(func() { read(i, due) })
	}
}
