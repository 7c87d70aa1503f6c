package server

import (
	"math/rand/v2"
	"time"
)

// backoff says how long busy answers of a front ask devices to wait. Devices that
// come back too soon make a server that has too much to do busy with telling them
// so: the time doubles every second in which more than a quarter of the answers
// was "busy", and is halved when less than an eighth was. Only the front's
// goroutine touches it.
type backoff struct {
	wait         time.Duration
	second       int64 // of uptime, of the counts
	served, busy int
}

// busyMin and busyMax bound the wait; a random part of as much again comes on top.
const (
	busyMin = 200 * time.Millisecond
	busyMax = 25 * time.Second
)

// serve notes that so many requests were taken in a second of uptime.
func (b *backoff) serve(now int64, n int) {
	b.turn(now)
	b.served += n
}

// retryAfter notes a busy answer and says what stands in it, in milliseconds.
func (b *backoff) retryAfter(now int64) uint32 {
	b.turn(now)
	b.busy++
	b.wait = max(b.wait, busyMin)
	return uint32((b.wait + rand.N(b.wait)) / time.Millisecond)
}

// turn draws the conclusion of a second that is over.
func (b *backoff) turn(now int64) {
	if now == b.second {
		return
	}
	switch all := b.served + b.busy; {
	case 4*b.busy > all:
		b.wait = min(2*b.wait, busyMax)
	case 8*b.busy < all:
		b.wait = max(b.wait/2, busyMin)
	}
	b.second, b.served, b.busy = now, 0, 0
}
