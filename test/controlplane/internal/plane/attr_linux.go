package plane

import "syscall"

// childAttr puts a child into its own process group, and has the kernel kill it when the launcher dies, even by SIGKILL.
// Linux ties that to the thread that started the child, not to the process; hence runtime.LockOSThread in Run.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
