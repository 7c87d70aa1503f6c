//go:build unix

package bench

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a Ctrl-C in the terminal from ending the child before its load
// has: the parent ends it when it is done.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
