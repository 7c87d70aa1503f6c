package machine

import (
	"time"

	"golang.org/x/sys/unix"
)

// BootClock is the time since the machine started, sleep included: nobody sets it.
func BootClock() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
