package main

import (
	"context"
	"crypto/sha256"
	"os"
	"time"

	"github.com/foresail/foresail/cmd/foresail/app/config"
)

// watchInterval is how often the files are looked at. They are read, not watched: a ConfigMap's change is a symbolic
// link that points elsewhere, which some file systems tell of and some do not.
const watchInterval = 5 * time.Second

// contents is a digest of the files whose change needs a reload: the config, the calendars that it names and the servers' credentials.
// Tokens and certificates are read again without one.
func (f *serveFlags) contents() [sha256.Size]byte {
	digest := sha256.New()
	add := func(path string) []byte {
		text, err := os.ReadFile(path)
		if err != nil {
			text = []byte("missing") // loading it says why
		}
		part := sha256.Sum256(text)
		_, _ = digest.Write(part[:]) // never fails
		return text
	}
	if f.prometheus.authConfig != "" {
		add(f.prometheus.authConfig)
	}
	for _, path := range config.CalendarFiles(f.path, add(f.path)) {
		add(path)
	}
	return [sha256.Size]byte(digest.Sum(nil))
}

// watch calls reload after each change of the contents from those that were read last, and on each signal, until ctx
// is done. Contents that could not be used are not tried again before they change.
func watch[T comparable](ctx context.Context, every time.Duration, read T, signals <-chan os.Signal, contents func() T, reload func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		asked := false
		select {
		case <-ctx.Done():
			return
		case <-signals:
			asked = true
		case <-ticker.C:
		}
		if now := contents(); asked || now != read {
			read = now
			reload()
		}
	}
}
