package bench

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// brakeLook is how long a braked process runs until it is looked at again: long
// enough that stopping its threads is a small part of what it is left with.
const brakeLook = 5 * time.Millisecond

// Brake leaves a process one part of a CPU out of so many, until ctx ends: it is
// stopped when it has used its part, as a virtual machine is on a host with too
// many of them.
func Brake(ctx context.Context, pid, parts int) error {
	began := time.Now()
	before, err := cpuTime(pid)
	for err == nil && ctx.Err() == nil {
		time.Sleep(brakeLook)
		var used time.Duration
		if used, err = cpuTime(pid); err != nil {
			break
		}
		if free := time.Until(began.Add(time.Duration(parts) * (used - before))); free > 0 {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				return fmt.Errorf("stop process %d: %w", pid, err)
			}
			time.Sleep(free)
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				return fmt.Errorf("continue process %d: %w", pid, err)
			}
		} else { // what it did not use it does not get later
			began, before = time.Now(), used
		}
	}
	return err
}

// cpuTime is what a process has used of CPUs, as its CPU clock says: clock_getcpuclockid(3).
func cpuTime(pid int) (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
