package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"muster/protocol"
)

// Change is something the device asks for that has a place in its stream. It
// keeps its number and tag from the first time it was sent until the server has
// answered, so that it counts once [CLI-3].
type Change struct {
	Kind  uint8           `json:"kind"`
	Item  uint32          `json:"item,omitempty"`
	Lines []protocol.Line `json:"lines,omitempty"`
	Use   *Use            `json:"use,omitempty"` // check-in
	Tag   uint32          `json:"tag"`
	Seq   uint32          `json:"seq"`
	Sent  bool            `json:"sent"` // Seq is final
	// Fresh says that an answer has shown that another change has its number: the
	// device was restored from a backup, and gave the number after that [CLI-5].
	Fresh bool   `json:"fresh,omitempty"`
	mine  bool   // was numbered by this process, not by one before it
	word  uint64 // the challenge that it was answered with
}

// errLostPlace means that the server does not know the stream and that there
// was no check-in yet to ask for a new one with.
var errLostPlace = errors.New("the server does not know this device's stream: check in")

// do queues a change and sends the queue. After an error that is no refusal the
// change stays queued, and the next call sends it first.
func (c *Client) do(ctx context.Context, ch Change) error {
	c.enqueue(ch)
	return c.flush(ctx)
}

func (c *Client) enqueue(ch Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unkept = true
	if ch.Kind == protocol.KindCheckIn {
		c.state.Use = ch.Use
	}
	if n := len(c.state.Queue); ch.Kind == protocol.KindCheckIn && n > 0 && c.state.Queue[n-1].Kind == protocol.KindCheckIn {
		c.state.Queue[n-1].Use = ch.Use // the one in doubt is asked again, with its number
		return
	}
	ch.Tag = random32()
	c.state.Queue = append(c.state.Queue, ch)
}

// flush sends the queue in order until it is empty or an error stops it, and has
// the state kept before anything rests on it and at the end.
func (c *Client) flush(ctx context.Context) error {
	err := c.drain(ctx)
	if errors.Is(err, ErrNotKept) {
		return err
	}
	if unkept := c.store(); unkept != nil {
		return errors.Join(err, unkept)
	}
	return err
}

func (c *Client) drain(ctx context.Context) error {
	const tooMany = 8 // answers in a row that move the place instead of the queue
	anew := false     // asked again after a new handshake
	for lost := 0; len(c.state.Queue) > 0; {
		before := len(c.state.Queue)
		ch := &c.state.Queue[0]
		use := ch.Use
		c.number(ch)
		if err := c.store(); err != nil {
			return err
		}
		a, err := c.exchange(ctx, c.request(ch))
		if err != nil {
			return err
		}
		err = c.settle(ch, a)
		if CodeOf(err) == protocol.WrongPassword && !anew {
			anew, err = true, c.askAnew(ctx, use)
		}
		if err != nil {
			return err
		}
		if lost++; len(c.state.Queue) < before {
			lost = 0
		}
		if lost > tooMany {
			return errors.New("license server: no agreement on this device's place in its stream; check in later")
		}
	}
	return nil
}

// askAnew follows a check-in that was refused because the password has changed
// since its ticket was given: the license key may hold the present one. Only what
// a new handshake says is final. If it fails, the old ticket stays: it still
// serves for reports.
func (c *Client) askAnew(ctx context.Context, use *Use) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	conn, err := Dial(ctx, c.key, protocol.UUID(c.state.UUID), Ticket{})
	switch {
	case final(err):
		return err
	case err != nil:
		return fmt.Errorf("license server: %w", err)
	}
	c.greet(conn)
	c.keep(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unkept = true
	c.askLast(use)
	return nil
}

// askLast asks with a new check-in at the end of the queue, where it takes no
// number that a change before it was given.
func (c *Client) askLast(use *Use) {
	c.state.Queue = append(c.state.Queue, Change{Kind: protocol.KindCheckIn, Use: use, Tag: random32()})
}

func (c *Client) number(ch *Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch.Sent {
		return
	}
	ch.Sent, ch.mine, ch.Fresh, ch.Seq = true, true, false, 0
	c.unkept = true
	if c.state.Stream != 0 {
		ch.Seq = c.state.Seq + 1
	}
}

func (c *Client) request(ch *Change) *protocol.Request {
	r := &protocol.Request{
		Kind: ch.Kind, UUID: protocol.UUID(c.state.UUID), Stream: c.state.Stream, Token: c.state.Token,
		Seq: ch.Seq, Tag: ch.Tag, Item: ch.Item, Lines: ch.Lines,
	}
	if ch.Use != nil {
		r.CheckIn = c.checkIn(ch.Use)
		r.CheckIn.Challenge = ch.word
	}
	return r
}

// settle draws the consequence of the answer to the first change of the queue.
func (c *Client) settle(ch *Change, a *protocol.Answer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unkept = true
	switch a.Kind {
	case protocol.KindGranted:
		c.pop()
		c.takeStream(a)
		return c.takeGrant(a)
	case protocol.KindRefused:
		c.pop()
		c.takeStream(a)
		if a.Code == protocol.SeatFreed {
			c.renewAt = time.Time{}
		}
		return &Error{Code: a.Code, Item: string(a.ItemName)}
	case protocol.KindAccepted:
		return c.accepted(ch, a)
	case protocol.KindOutOfStep: // the server's stream is shorter: it was restored
		c.state.Seq, ch.Seq = a.Seq-1, a.Seq
		return nil
	case protocol.KindNoStream:
		if a.Challenge != 0 && a.Challenge != ch.word { // the same again, with the word
			ch.word = a.Challenge
			return nil
		}
		return c.losePlace(ch)
	}
	return fmt.Errorf("license server: unexpected answer of type %d", a.Kind)
}

func (c *Client) pop() { c.state.Queue = c.state.Queue[1:] }

func (c *Client) accepted(ch *Change, a *protocol.Answer) error {
	switch {
	case ch.Kind == protocol.KindCheckIn: // decided before, its time has passed: ask anew
		use := ch.Use
		c.state.Seq = max(c.state.Seq, a.Seq)
		c.pop()
		c.askLast(use)
		return nil
	case a.Seq > ch.Seq && a.Seq > c.state.Seq && (ch.mine || ch.Fresh): // another copy of this device is ahead
		return c.losePlace(ch)
	}
	c.state.Seq = max(c.state.Seq, a.Seq)
	c.pop()
	return nil
}

// losePlace turns a lost place into the next question: a sequenced check-in asks
// for the place with number 0; if that is refused too, for a new stream. Before
// another change, a check-in has to ask.
func (c *Client) losePlace(ch *Change) error {
	ch.Fresh = ch.Fresh || ch.mine // what this process knows, the next one has to know
	switch {
	case ch.Kind != protocol.KindCheckIn && c.state.Use == nil:
		return errLostPlace
	case ch.Kind != protocol.KindCheckIn:
		ask := Change{Kind: protocol.KindCheckIn, Use: c.state.Use, Tag: random32(), Sent: true}
		c.state.Queue = append([]Change{ask}, c.state.Queue...)
	case ch.Seq != 0:
		ch.Seq = 0
	default:
		c.state.Stream, c.state.Token, c.state.Seq = 0, 0, 0
	}
	return nil
}

// takeStream takes over the place that the server names. Queued changes that
// went out under the same stream up to it were counted, by this device before
// its state was restored; those that this process numbered were not: they met
// numbers that another copy had used.
func (c *Client) takeStream(a *protocol.Answer) {
	if a.Stream == 0 {
		return
	}
	same := a.Stream == c.state.Stream
	moved := a.Token != c.state.Token || a.Code == protocol.Clone // copies share the token, and their numbers collide
	c.state.Stream, c.state.Token, c.state.Seq = a.Stream, a.Token, a.Seq
	kept := c.state.Queue[:0]
	for _, ch := range c.state.Queue {
		counted := same && ch.Sent && !ch.mine && !ch.Fresh && ch.Seq <= a.Seq
		if !same || moved && (a.Code != protocol.Clone || ch.mine || ch.Fresh) {
			ch.Sent = false
		}
		if !counted {
			kept = append(kept, ch)
		}
	}
	c.state.Queue = kept
}
