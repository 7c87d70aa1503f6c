package server

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// yieldToOthers gives the calling goroutine a thread of its own that the kernel
// runs after others: handshakes may take what event loops and decider leave, and
// no more. Nothing breaks where that is not allowed.
func yieldToOthers() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10)
}
