package client

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"muster/license"
)

// RenewAt says when to check in again, by the clock of [Client.Now]: a moment in
// the second half of the grant, another one on every device, so that a fleet does
// not come all at once [GRANT-1]. It stays the same until the next grant, over
// runs of the application too. It is the zero time, so at once, when there is no
// grant, or when a report was told that the operator freed the seat [DEV-4].
func (c *Client) RenewAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.renewAt
}

// renewal draws the moment between half of the grant and its end, less the time
// of an exchange, but no more than a quarter: a strict grant lasts minutes only.
// The draw is a hash of the signed grant, which no two devices have in common
// and which is kept with the grant.
func renewal(g *license.Grant, signed []byte, exchange time.Duration) time.Time {
	issued, end := time.Unix(g.Issued, 0), time.Unix(g.ActiveUntil, 0)
	life := end.Sub(issued)
	room := life/2 - min(exchange, life/4)
	if room <= 0 {
		return end
	}
	sum := sha256.Sum256(signed)
	draw := binary.BigEndian.Uint64(sum[:]) % uint64(room)
	return issued.Add(life/2 + time.Duration(draw))
}

// restoreGrant takes up the grant of a former run, which must still verify.
func (c *Client) restoreGrant() error {
	g, err := c.verify(c.state.Proof, c.state.Grant)
	if err != nil {
		return err
	}
	c.grant, c.renewAt = g, renewal(g, c.state.Grant, c.options.Timeout)
	return nil
}

// restoreClock lets the wall clock count until the server tells the time again.
// One that was set back does not make a grant last longer: time goes on from
// what was known last, the grant's issue or what the server said after it.
func (c *Client) restoreClock() {
	known := c.state.Clock
	if c.grant != nil {
		known = max(known, uint64(c.grant.Issued)*1000)
	}
	c.heard.Store(known)
	if uint64(max(0, c.Now().UnixMilli())) < known {
		c.syncClock(known)
	}
}
