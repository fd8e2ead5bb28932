// Package address tells what an address is.
package address

import (
	"net"
	"strconv"
)

// Valid tells whether s is host:port, with a host and a port of 1 to 65535.
func Valid(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}
