package server

import (
	"log/slog"
	"sync"
	"time"
)

// ClockJumpMax is by how much the wall clock may leave the time since boot before
// it is not followed any more.
const ClockJumpMax = time.Hour

// Clock is the time that everything is decided by. It follows the machine's wall
// clock while that goes with the time since boot, which nobody sets. When the wall
// clock jumps by more than [ClockJumpMax], either way, the time goes on without
// it until it comes back or the operator accepts it. Any goroutine may use it.
type Clock struct {
	wall func() int64         // unix nanoseconds
	boot func() time.Duration // since the machine started
	log  *slog.Logger

	mu     sync.Mutex
	time   int64         // unix nanoseconds, when the wall clock was last followed
	since  time.Duration // the time since boot then
	offset time.Duration // by which the wall clock is ahead while it is not followed, else 0
}

// NewClock makes a clock that begins with what the wall clock says.
func NewClock(wall func() int64, boot func() time.Duration, log *slog.Logger) *Clock {
	return &Clock{wall: wall, boot: boot, log: log, time: wall(), since: boot()}
}

// Now is the time in unix nanoseconds.
func (c *Clock) Now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read()
}

// read follows the wall clock, or notes that it can't be.
func (c *Clock) read() int64 {
	wall, boot := c.wall(), c.boot()
	expected := c.time + int64(boot-c.since)
	offset := time.Duration(wall - expected)
	if offset.Abs() > ClockJumpMax {
		if c.offset == 0 {
			c.log.Error("the wall clock jumped and is not followed: set it right, or, if it is right now, run \"muster clock accept\"", "wall", time.Unix(0, wall).UTC(), "used", time.Unix(0, expected).UTC())
		}
		c.offset = offset
		return expected
	}
	c.follow(wall, boot)
	return wall
}

func (c *Clock) follow(wall int64, boot time.Duration) {
	if c.offset != 0 {
		c.log.Info("the wall clock is followed again", "wall", time.Unix(0, wall).UTC())
	}
	c.time, c.since, c.offset = wall, boot, 0
}

// Offset is by how much the wall clock is ahead of the time, 0 while it is
// followed.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read()
	return c.offset
}

// Start says what time was decided by last, in an earlier process: if the wall
// clock is further back than [ClockJumpMax], the time goes on from there.
func (c *Clock) Start(last int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last-c.read() > int64(ClockJumpMax) {
		c.time, c.since = last, c.boot()
		c.read()
	}
}

// Accept follows the wall clock from now on, whatever it says, and returns that.
func (c *Clock) Accept() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.wall()
	c.follow(wall, c.boot())
	return wall
}
