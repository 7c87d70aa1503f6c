//go:build !linux

package bench

import (
	"context"
	"time"
)

// alarm wakes a goroutine when it asked for it.
type alarm struct {
	ctx   context.Context
	timer *time.Timer
}

// newAlarm makes one that rings at the end of ctx too.
func newAlarm(ctx context.Context) (*alarm, error) { return &alarm{ctx, time.NewTimer(0)}, nil }

// wait returns after d.
func (a *alarm) wait(d time.Duration) {
	a.timer.Reset(d)
	select {
	case <-a.timer.C:
	case <-a.ctx.Done():
	}
}

func (a *alarm) close() { a.timer.Stop() }
