package client

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster/license"
	"muster/machine"
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
	// Keep, if set, stores the state durably, so that a process which is killed at
	// any moment goes on from what was kept last. It is called before a change goes
	// out with a number that was not kept yet, and when an answer has changed the
	// state. After an error of Keep nothing goes out. It may read the client, but
	// not call what talks to the server. Package client/spool does all that.
	Keep func(State) error
	// Timeout bounds one exchange, default 10 s: a change and its answer, over all
	// addresses of the license key and the waits between them.
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
	// Clock is the server's clock when it was heard last, unix milliseconds: the
	// device's clock does not go back behind it.
	Clock uint64 `json:"clock,omitempty"`
}

// Client is one application on one device. Its methods may be called from any
// goroutine. Those that talk to the server take turns; Valid, Grant, Now, RenewAt
// and State never wait for the network.
type Client struct {
	options Options
	key     license.LicenseKey
	// addresses of the key, in the order in which they are tried
	addresses []license.Address
	// clockOffset is serverClock − bootClock in milliseconds, from the last
	// contact; 0 before the first.
	clockOffset atomic.Int64
	heard       atomic.Uint64 // State.Clock

	// mu guards what State, Grant and RenewAt read. It is written by who has the
	// turn and holds mu too, so who has the turn reads it without mu.
	mu      sync.Mutex
	state   State
	grant   *license.Grant
	renewAt time.Time

	// turn is held while a call talks to the server. It guards all that follows.
	turn      sync.Mutex
	unkept    bool // the state has changed since Options.Keep had it
	conn      *Conn
	packets   *packets
	at        license.Address // who answered last
	mainTried time.Time       // for the last time
	udpFailed time.Time       // datagrams were not answered
	ticket    Ticket
	// ticketRenewal is when to replace the ticket, by clock.
	ticketRenewal time.Time
	nextID        uint32

	// Tests put their own in their place.
	clock func() time.Time
	sleep func(context.Context, time.Duration) error
}

// New makes a client. It does not connect yet. A State without UUID gets a
// random one [CLI-4]; read it back with State and keep it.
func New(o Options) (*Client, error) {
	key, err := license.ParseLicenseKey(o.LicenseKey)
	if err != nil {
		return nil, err
	}
	addresses, err := addressesOf(key)
	if err != nil {
		return nil, err
	}
	if o.Vendor == nil || len(o.Vendor.List()) == 0 {
		return nil, errors.New("client: no vendor key: embed the vendor's public key in the application")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	c := &Client{
		options: o, key: key, addresses: addresses, state: o.State, nextID: random32(),
		clock: time.Now, sleep: sleep,
	}
	if c.state.UUID == (license.UUID{}) {
		rand.Read(c.state.UUID[:])
	}
	if len(c.state.Grant) > 0 {
		if err := c.restoreGrant(); err != nil {
			return nil, fmt.Errorf("client: the grant in the kept state: %w", err)
		}
	}
	c.restoreClock()
	return c, nil
}

func random32() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

// State is what to keep until the next run. While a call is under way it is as
// good to go on from: a change that may have been sent has its number in it.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	s.Queue, s.Clock = slices.Clone(s.Queue), c.heard.Load()
	return s
}

// ErrNotKept means that Options.Keep failed: nothing went out that was not kept.
var ErrNotKept = errors.New("client: the state was not kept")

// store has the state kept, if it has changed. The caller has the turn.
func (c *Client) store() error {
	if c.options.Keep == nil || !c.unkept {
		return nil
	}
	if err := c.options.Keep(c.State()); err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	c.unkept = false
	return nil
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
	offset := c.clockOffset.Load()
	if offset == 0 {
		return time.Now()
	}
	return time.UnixMilli(machine.BootClock().Milliseconds() + offset)
}

// Close closes the connection. The grant stays of use.
func (c *Client) Close() error {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.closePackets()
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

func (c *Client) syncClock(serverMilliseconds uint64) {
	if serverMilliseconds != 0 {
		c.heard.Store(serverMilliseconds)
		c.clockOffset.Store(int64(serverMilliseconds) - machine.BootClock().Milliseconds())
	}
}

// Ping asks the server for its time and sets the client's clock by it.
func (c *Client) Ping(ctx context.Context) (time.Time, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	a, err := c.exchange(ctx, &protocol.Request{Kind: protocol.KindPing})
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(int64(a.Time)), nil
}
