package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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
	now := time.Now()
	store, err := open(ctx, *file, *dir, now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	server := &http.Server{Handler: pinned(store.Handler(), now), ReadHeaderTimeout: 10 * time.Second}
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

func open(ctx context.Context, file, dir string, now time.Time) (*backend.Store, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the series: %w", err)
	}
	defer func() { _ = f.Close() }()
	runs, err := readSeries(f, now)
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

// pinned evaluates every instant query at one time and tells that it was at the time that was asked for: two adapters that
// ask one after the other get the same values.
func pinned(next http.Handler, at time.Time) http.Handler {
	at = at.Truncate(time.Second)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/query" {
			next.ServeHTTP(w, r)
			return
		}
		if err := r.ParseForm(); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		asked := float64(time.Now().UnixMilli()) / 1000
		if seconds, err := strconv.ParseFloat(r.Form.Get("time"), 64); err == nil {
			asked = seconds
		} else if parsed, err := time.Parse(time.RFC3339Nano, r.Form.Get("time")); err == nil {
			asked = float64(parsed.UnixMilli()) / 1000
		}
		r.Form.Set("time", strconv.FormatInt(at.Unix(), 10))
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, httptest.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.Path+"?"+r.Form.Encode(), http.NoBody))
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(bytes.ReplaceAll(answer.Body.Bytes(), fmt.Appendf(nil, "[%d,", at.Unix()), fmt.Appendf(nil, "[%.3f,", asked)))
	})
}
