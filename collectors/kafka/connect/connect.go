// Package connect says how to authenticate to a Kafka cluster, with files that may be replaced at any time.
package connect

import "github.com/foresail/foresail/collectors/internal/secure"

// TLS is how connections to brokers are encrypted.
type TLS = secure.TLS
