//go:build !linux

package plane

import "syscall"

// childAttr puts a child into its own process group. Only Linux can also tie its life to the launcher's.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
