package client

import "golang.org/x/sys/unix"

// bootClock is the device's clock since it started, sleep included, in
// milliseconds: nobody sets it, so with the server's time it dates slots [SLOT-1].
func bootClock() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return uint64(t.Nano() / 1e6)
}
