//go:build unix

package bench

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps a Ctrl-C in the terminal from ending the child before its load
// has: the parent ends it when it is done.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends the child and what it runs: a program under another one, such as
// strace, would outlive it.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
