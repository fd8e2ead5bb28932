//go:build !unix

package cpu

import "time"

// Time returns the time of day, where the system does not tell what this process had of it: differences tell what has passed.
func Time() time.Duration { return time.Duration(time.Now().UnixNano()) }
