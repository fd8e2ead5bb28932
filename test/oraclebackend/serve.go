package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/foresail/foresail/adapter/backend"
)

// serve answers Prometheus' API out of an embedded store, until the context or the input ends.
func serve(ctx context.Context, flags *flag.FlagSet, args []string, in io.Reader, out io.Writer) (err error) {
	file := flags.String("series", "", "file with one series per line")
	dir := flags.String("dir", "", "folder for the store's data, which must not be there")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp
	}
	store, err := open(ctx, *file, *dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	server := &http.Server{Handler: onGrid(store.Handler()), ReadHeaderTimeout: 10 * time.Second}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Fprintf(out, "ready url=http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve: %w", err)
	}
	return nil
}

func open(ctx context.Context, file, dir string) (*backend.Store, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the series: %w", err)
	}
	defer func() { _ = f.Close() }()
	runs, err := readSeries(f, time.Now())
	if err != nil {
		return nil, fmt.Errorf("cannot read the series in %q: %w", file, err)
	}
	config := backend.StoreConfig{Path: filepath.Join(dir, "store")}
	if err := backend.WriteHistory(ctx, config.Path, runs); err != nil {
		return nil, err
	}
	config.Default()
	return backend.OpenStore(config, backend.Options{Name: "oracle"})
}

// onGrid evaluates instant queries at the last time of the samples' grid, so that a range holds the same samples,
// counted from its end, whenever it is asked for: two adapters that ask one after the other get the same values.
func onGrid(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/query" {
			if err := r.ParseForm(); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			at := time.Now()
			if seconds, err := strconv.ParseFloat(r.Form.Get("time"), 64); err == nil {
				at = time.UnixMilli(int64(seconds * 1000))
			} else if parsed, err := time.Parse(time.RFC3339Nano, r.Form.Get("time")); err == nil {
				at = parsed
			}
			r.Form.Set("time", strconv.FormatInt(at.Truncate(step).Unix(), 10))
			u := *r.URL
			u.RawQuery = r.Form.Encode()
			r = r.Clone(r.Context())
			r.Method, r.URL, r.Body, r.ContentLength = http.MethodGet, &u, http.NoBody, 0
			r.Form, r.PostForm = nil, nil
		}
		next.ServeHTTP(w, r)
	})
}
