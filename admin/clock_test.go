package admin

import (
	"testing"
	"time"
)

// The operator sees that the clock jumped, and accepts it, forwards or backwards.
func TestClockIsAccepted(t *testing.T) {
	for _, offset := range []time.Duration{-365 * 24 * time.Hour, 48 * time.Hour} {
		b := newBed(t)
		b.imported()
		b.offset = offset
		was := b.now.Truncate(time.Second)
		var s Server
		b.call(localToken, "GET", "/api/v1/server", noBody, ok, &s)
		if s.Clock.OffsetSeconds != int64(offset/time.Second) || !s.Clock.Time.Equal(was) {
			t.Errorf("%+v, want the time %v, off by %v", s.Clock, was, offset)
		}
		var c Clock
		b.call(localToken, "POST", "/api/v1/server/clock", noBody, ok, &c)
		if c.OffsetSeconds != 0 || !c.Time.Equal(was.Add(offset)) {
			t.Errorf("accepted %+v, want %v", c, was.Add(offset))
		}
		if e := b.auditPage("?limit=1").Entries[0]; e.What != "server.clock" {
			t.Errorf("audit entry %+v", e)
		}
		b.call(localToken, "PUT", "/api/v1/server/addresses", jsonBody(`{"addresses": ["tcp://a:1"]}`), ok, nil)
		if got := b.core.Now(); got != was.Add(offset).Unix() {
			t.Errorf("decided at %d, want %d", got, was.Add(offset).Unix())
		}
	}
}
