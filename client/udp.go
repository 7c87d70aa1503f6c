package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"muster/license"
	"muster/protocol"
)

const (
	// udpFirst is how long a datagram's answer is awaited before it is sent again;
	// then twice as long each time, up to udpLongest.
	udpFirst   = 400 * time.Millisecond
	udpLongest = 2 * time.Second
	// udpRest is how long datagrams are left alone after they were not answered:
	// as a rule something on the way does not let them through.
	udpRest = 5 * time.Minute
)

// errByTCP sends a request on to a TCP address: there is no ticket yet, or what
// is asked does not fit a datagram.
var errByTCP = errors.New("has to be asked over TCP")

// packets exchanges records as datagrams with one address, under a ticket that
// was had over TCP.
type packets struct {
	net     net.Conn
	address license.Address
	ticket  Ticket
	nonces  protocol.Nonces
	out     []byte
	in      [protocol.MaxDatagram + 1]byte
	plain   []byte
}

// askByUDP asks at a datagram address. The TCP connection is not needed then.
func (c *Client) askByUDP(ctx context.Context, a license.Address, r *protocol.Request) (*protocol.Answer, error) {
	if !c.ticket.Valid(c.clock()) || r.Kind == protocol.KindCheckIn && len(c.state.Proof) == 0 {
		return nil, errByTCP
	}
	if p := c.packets; p == nil || p.address != a || p.ticket != c.ticket {
		if err := c.openPackets(ctx, a); err != nil {
			return nil, err
		}
	}
	answer, err := c.packets.ask(ctx, r)
	switch {
	case err == nil:
		_ = c.drop()
		c.at = a
		c.syncClock(answer.Time)
	case !errors.Is(err, errByTCP) && !notServing(err):
		c.udpFailed = c.clock()
	}
	return answer, err
}

func (c *Client) openPackets(ctx context.Context, a license.Address) error {
	c.closePackets()
	conn, err := new(net.Dialer).DialContext(ctx, "udp", a.HostPort)
	if err != nil {
		return err
	}
	c.packets = &packets{net: conn, address: a, ticket: c.ticket}
	return nil
}

func (c *Client) closePackets() {
	if c.packets != nil {
		_ = c.packets.net.Close()
		c.packets = nil
	}
}

// ask sends a request until it is answered: the same number and tag each time,
// under a new nonce, so a server that has it already answers it again.
func (p *packets) ask(ctx context.Context, r *protocol.Request) (*protocol.Answer, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for wait := udpFirst; ; wait = min(2*wait, udpLongest) {
		if err := p.send(r); err != nil {
			return nil, err
		}
		answer, err := p.await(ctx, r.ID, time.Now().Add(wait+rand.N(wait/4)))
		var late net.Error
		switch {
		case err == nil && answer.Kind == protocol.KindTooLarge:
			return nil, errByTCP
		case err == nil && answer.Kind == protocol.KindRefused && answer.Code == protocol.NotServing:
			return nil, &Error{Code: protocol.NotServing}
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.As(err, &late) || !late.Timeout():
			return nil, err
		}
	}
}

// send seals the request as one datagram. A check-in is made as long as one may
// be, because its answer may not be longer.
func (p *packets) send(r *protocol.Request) error {
	sent := *r
	if r.Kind == protocol.KindCheckIn {
		const header = 3 // of the padding
		sent.Padding = max(0, protocol.MaxDatagram-protocol.RequestOverhead-len(protocol.AppendRequest(p.plain[:0], r))-header)
	}
	p.out = protocol.AppendRequest(protocol.BeginRequest(p.out[:0]), &sent)
	if len(p.out)+protocol.TagBytes > protocol.MaxDatagram {
		return errByTCP
	}
	if p.ticket.spend() != nil { // a new handshake is made over TCP
		return errByTCP
	}
	p.nonces.Freshen(time.Now().Unix())
	p.out = p.ticket.session.FinishRequest(p.out, 0, p.nonces.Next())
	_, err := p.net.Write(p.out)
	return err
}

// await reads datagrams until one answers the request. What does not open is
// somebody else's, and what answers another request is late.
func (p *packets) await(ctx context.Context, id uint32, until time.Time) (answer *protocol.Answer, err error) {
	if err := p.net.SetReadDeadline(until); err != nil {
		return nil, err
	}
	for ctx.Err() == nil {
		n, err := p.net.Read(p.in[:])
		if err != nil {
			return nil, err
		}
		if kind, size, err := protocol.Header(p.in[:n]); err != nil || kind != protocol.TypeReply || size != n {
			continue
		}
		if p.plain, err = p.ticket.session.OpenReply(p.plain[:0], p.in[:n]); err != nil {
			continue
		}
		if err := protocol.VisitAnswers(p.plain, new(protocol.Answer), func(a *protocol.Answer) {
			if a.ID == id {
				answer = keptAnswer(a)
			}
		}); err != nil {
			return nil, err
		}
		if answer != nil {
			return answer, nil
		}
	}
	return nil, ctx.Err()
}

// udpOut says that datagrams are not tried now.
func (c *Client) udpOut() bool {
	return !c.ticket.Valid(c.clock()) || !c.udpFailed.IsZero() && c.clock().Sub(c.udpFailed) < udpRest
}

func notServing(err error) bool {
	refusal := (*Error)(nil)
	return errors.As(err, &refusal) && refusal.Code == protocol.NotServing
}

// hostOf names an address in errors.
func hostOf(a license.Address) string {
	if a.Transport == "udp" {
		return fmt.Sprintf("%s (UDP)", a.HostPort)
	}
	return a.HostPort
}
