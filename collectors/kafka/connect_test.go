package kafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/foresail/foresail/collectors/collectortest"
	"github.com/foresail/foresail/collectors/kafka/connect"
)

// TestAuthenticated: the mechanisms that the fake knows. A password that was wrong is read anew. The other mechanisms and
// TLS meet a real broker in make test-kafka.
func TestAuthenticated(t *testing.T) {
	for _, mechanism := range []string{connect.Plain, connect.Scram256, connect.Scram512} {
		t.Run(mechanism, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				dir := t.TempDir()
				write := func(text string) string { return collectortest.WriteFile(t, dir, "password", []byte(text+"\n")) }
				auth := &connect.SASL{Mechanism: mechanism, Username: "lab", PasswordFile: write("right")}
				c := newClusterAs(t, 1, auth, kfake.EnableSASL(), kfake.Superuser(mechanism, "lab", "right"))
				c.createTopic("orders", 1)
				c.produce("orders", 100, 0)
				c.commit("g", "orders", 0, 40)
				write("wrong")
				config := Config{Name: "orders", Brokers: c.ListenAddrs(), Groups: []Group{{Group: "g"}}, SASL: auth}
				config.Default()
				s, err := New(Options{Config: config, Dial: c.network.DialContext})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { noError(t, s.Close()) }()
				got, err := collect(t, s)
				wantNoLag(t, got, err, "g", "orders")
				write("right")
				time.Sleep(interval)
				_, _ = collect(t, s) // the client may need one attempt to notice
				time.Sleep(interval)
				got, err = collect(t, s)
				noError(t, err)
				wantLag(t, got, "g", "orders", 60)
			})
		})
	}
}
