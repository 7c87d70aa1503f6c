// Package notices keeps a log readable while something goes wrong again and again:
// each cause is told at once, and then once in a while with how often it happened.
package notices

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Quiet is for how long a cause is not told again.
const Quiet = time.Hour

// causesMax bounds what is remembered: causes may hold what strangers sent. When
// there are more, the others are told as one.
const causesMax = 1000

// Log tells causes to a logger. Any goroutine may use it.
type Log struct {
	log *slog.Logger

	mu     sync.Mutex
	causes map[string]*cause
}

type cause struct {
	told  time.Time
	times uint64 // since then
}

// New makes a Log that writes to l.
func New(l *slog.Logger) *Log { return &Log{log: l, causes: map[string]*cause{}} }

// Tell says that something happened so many times more. The message says what to
// do; "times" is added, which is how often it happened since it was told last.
func (l *Log) Tell(level slog.Level, cause string, times uint64, message string, args ...any) {
	if n, due := l.count(cause, times); due {
		l.log.Log(context.Background(), level, message, append(args, "times", n)...)
	}
}

func (l *Log) count(name string, times uint64) (n uint64, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	c := l.causes[name]
	if c == nil {
		c = l.add(name, now)
	}
	c.times += times
	if !c.told.IsZero() && now.Sub(c.told) < Quiet {
		return 0, false
	}
	n, c.told, c.times = c.times, now, 0
	return n, true
}

// add makes room by forgetting what was quiet for long.
func (l *Log) add(name string, now time.Time) *cause {
	if len(l.causes) >= causesMax {
		for other, c := range l.causes {
			if now.Sub(c.told) >= Quiet {
				delete(l.causes, other)
			}
		}
	}
	if len(l.causes) >= causesMax {
		name = "" // one for all that have no room
	}
	if l.causes[name] == nil {
		l.causes[name] = &cause{}
	}
	return l.causes[name]
}
