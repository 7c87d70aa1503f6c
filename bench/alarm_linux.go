package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes a goroutine when it asked for it. Go's own timers are up to a
// millisecond late in a process that has nothing else to do: its poller waits in
// whole milliseconds. The kernel's timer wakes the poller when it is time.
type alarm struct {
	fd    int
	timer *os.File
	stop  func() bool
}

// newAlarm makes one that rings at the end of ctx too.
func newAlarm(ctx context.Context) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("a timer to send on schedule by: %w", err)
	}
	timer := os.NewFile(uintptr(fd), "timer")
	stop := context.AfterFunc(ctx, func() { _ = timer.SetReadDeadline(time.Unix(1, 0)) })
	return &alarm{fd, timer, stop}, nil
}

// wait returns after d.
func (a *alarm) wait(d time.Duration) {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	if unix.TimerfdSettime(a.fd, 0, &at, nil) != nil {
		return // closed
	}
	var times [8]byte
	_, _ = a.timer.Read(times[:]) // an error: ctx has ended
}

func (a *alarm) close() {
	a.stop()
	_ = a.timer.Close()
}
