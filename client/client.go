package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"muster/license"
	"muster/protocol"
)

// Options are what a client is made with.
type Options struct {
	// LicenseKey is the string the operator gave [PRJ-3].
	LicenseKey string
	// Vendor are the vendor's public keys, embedded in the application: grants
	// are verified against nothing else [CLI-2].
	Vendor *license.KeyRing
	// State is where a former client of this device left off; the zero value is
	// a new device.
	State State
	// Timeout bounds one exchange with the server, default 10 s.
	Timeout time.Duration
}

// State is what a device must keep between runs: losing it makes it a second
// stream of the same client UUID, using it twice at once is what clone
// detection finds [CLI-5].
type State struct {
	UUID   license.UUID `json:"uuid"`
	Stream uint32       `json:"stream"`
	Token  uint64       `json:"token"`
	Seq    uint32       `json:"seq"` // last one the server has taken
	Use    *Use         `json:"use,omitempty"`
	Proof  []byte       `json:"proof,omitempty"`
	Grant  []byte       `json:"grant,omitempty"` // signed; see Client.Grant
	Queue  []Change     `json:"queue,omitempty"` // not answered yet
}

// Client is one application on one device. Its methods may be called from any
// goroutine; they take turns.
type Client struct {
	mu      sync.Mutex
	options Options
	key     license.LicenseKey
	state   State
	grant   *license.Grant
	renewAt time.Time
	conn    *Conn
	ticket  Ticket
	nextID  uint32
	// serverClock − bootClock, milliseconds, from the last contact
	clockOffset int64
}

// New makes a client. It does not connect yet. A State without UUID gets a
// random one [CLI-4]; read it back with State and keep it.
func New(o Options) (*Client, error) {
	key, err := license.ParseLicenseKey(o.LicenseKey)
	if err != nil {
		return nil, err
	}
	if o.Vendor == nil || len(o.Vendor.List()) == 0 {
		return nil, errors.New("client: no vendor key: embed the vendor's public key in the application")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	c := &Client{options: o, key: key, state: o.State, nextID: random32()}
	if c.state.UUID == (license.UUID{}) {
		rand.Read(c.state.UUID[:])
	}
	if len(c.state.Grant) > 0 {
		if err := c.restoreGrant(); err != nil {
			return nil, fmt.Errorf("client: the grant in the kept state: %w", err)
		}
	}
	return c, nil
}

func random32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

// State is what to keep until the next run.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	s.Queue = slices.Clone(s.Queue)
	return s
}

// Grant is the last verified grant, nil before the first. It is of use until
// its ActiveUntil, connected or not.
func (c *Client) Grant() *license.Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grant
}

// Now is the server's clock as far as the device can tell: the server's time at
// the last contact, carried on by the device's boot clock.
func (c *Client) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Client) now() time.Time {
	if c.clockOffset == 0 {
		return time.Now()
	}
	return time.UnixMilli(int64(bootClock()) + c.clockOffset)
}

// Close closes the connection. The grant stays of use.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drop()
}

func (c *Client) drop() error {
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// attempts bounds how often one request is sent: over new connections, with
// the same sequence number, so that it counts once.
const attempts = 4

// exchange sends one request and returns its answer, across reconnects, expired
// tickets and a busy server.
func (c *Client) exchange(ctx context.Context, r *protocol.Request) (*protocol.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	c.nextID++
	r.ID = c.nextID
	var last error
	for try := range attempts {
		if try > 0 {
			if err := pause(ctx, time.Duration(try*try)*50*time.Millisecond); err != nil {
				break
			}
		}
		a, err := c.tryOnce(ctx, r)
		switch refusal := (*Error)(nil); {
		case err == nil && a.Kind == protocol.KindBusy:
			last = ErrServerBusy
			_ = pause(ctx, time.Duration(a.RetryAfter)*time.Millisecond)
			continue
		case err == nil:
			return a, nil
		case errors.As(err, &refusal):
			return nil, err
		}
		if errors.Is(err, ErrTicket) {
			c.ticket = Ticket{}
		}
		_ = c.drop()
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("license server: %w", last)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tryOnce sends the request on the open connection, or a new one, and waits for
// its answer.
func (c *Client) tryOnce(ctx context.Context, r *protocol.Request) (*protocol.Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.conn == nil {
		conn, err := Dial(ctx, c.key, protocol.UUID(c.state.UUID), c.ticket)
		if err != nil {
			return nil, err
		}
		c.conn, c.ticket = conn, conn.Ticket()
		c.syncClock(conn.ServerTime)
	}
	deadline, _ := ctx.Deadline()
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	conn := c.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := c.conn.Write(r); err != nil {
		return nil, err
	}
	var answer *protocol.Answer
	for answer == nil {
		err := c.conn.Read(func(a *protocol.Answer) {
			if a.ID == r.ID {
				kept := *a
				kept.Grant, kept.Certificate = append([]byte(nil), a.Grant...), append([]byte(nil), a.Certificate...)
				kept.ItemName = append([]byte(nil), a.ItemName...)
				answer = &kept
			}
		})
		if err != nil {
			return nil, err
		}
	}
	c.syncClock(answer.Time)
	return answer, nil
}

func (c *Client) syncClock(serverMilliseconds uint64) {
	if serverMilliseconds != 0 {
		c.clockOffset = int64(serverMilliseconds) - int64(bootClock())
	}
}

// Ping asks the server for its time and sets the client's clock by it.
func (c *Client) Ping(ctx context.Context) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, err := c.exchange(ctx, &protocol.Request{Kind: protocol.KindPing})
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(int64(a.Time)), nil
}
