package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"muster/license"
	"muster/protocol"
)

// Conn is one TCP connection under a ticket: requests go out as sealed records,
// answers come back in order. It knows records, not streams: [Client] does the
// rest. One goroutine may write while another reads.
type Conn struct {
	net     net.Conn
	address license.Address
	in      *bufio.Reader
	ticket  Ticket
	out     []byte
	record  []byte
	plain   []byte
	answer  protocol.Answer // the one that Read visits
	nonces  protocol.Nonces
	// ServerTime is the server's clock at the handshake, unix milliseconds; 0 on
	// a resumed ticket.
	ServerTime uint64
}

// ErrServerBusy means that the server has no room for another connection now.
var ErrServerBusy = errors.New("the server is busy; try again later")

// errUnreadable is a Reject 2.
var errUnreadable = errors.New("the server could not read what was sent; is it older than this client, or its license key?")

// Dial connects to the first of the license key's TCP addresses that answers,
// main before standbys [CLI-7], and makes a handshake, or resumes a valid ticket.
// The time until ctx ends is shared out among the addresses.
func Dial(ctx context.Context, key license.LicenseKey, uuid protocol.UUID, resume Ticket) (conn *Conn, err error) {
	addresses, err := addressesOf(key)
	if err != nil {
		return nil, err
	}
	err = walk(ctx, byTCP(addresses), func(ctx context.Context, a license.Address) (err error) {
		conn, err = dialOne(ctx, a, key, uuid, resume)
		return err
	})
	return conn, err
}

func dialOne(ctx context.Context, a license.Address, key license.LicenseKey, uuid protocol.UUID, resume Ticket) (*Conn, error) {
	var d net.Dialer
	n, err := d.DialContext(ctx, "tcp", a.HostPort)
	if err != nil {
		return nil, err
	}
	c := &Conn{net: n, address: a, in: bufio.NewReaderSize(n, 64<<10), ticket: resume}
	if resume.Valid(time.Now()) {
		return c, nil
	}
	defer c.bound(ctx)()
	if err := c.handshake(a.HandshakeKey, &protocol.Hello{Project: key.ProjectID, Organization: key.OrganizationID, Password: key.Password, UUID: uuid[:]}); err != nil {
		n.Close()
		return nil, err
	}
	return c, nil
}

// bound makes reads and writes fail when ctx ends, until release is called.
func (c *Conn) bound(ctx context.Context) (release func() bool) {
	_ = c.net.SetDeadline(time.Time{}) // the one that an ended ctx left; an error: closed, as the next write says
	return context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Unix(1, 0)) })
}

func (c *Conn) handshake(server [32]byte, hello *protocol.Hello) error {
	record, pending, err := protocol.AppendHello(nil, server, hello)
	if err != nil {
		return err
	}
	if _, err := c.net.Write(record); err != nil {
		return err
	}
	rec, err := c.read(protocol.TypeHelloReply)
	if err != nil {
		return err
	}
	reply, err := pending.OpenReply(rec)
	if err != nil {
		return err
	}
	if reply.Code != protocol.OK {
		return &Error{Code: reply.Code}
	}
	c.ticket, c.ServerTime = newTicket(reply.Session()), reply.Time
	return nil
}

// RemoteAddr is the server's end of the connection.
func (c *Conn) RemoteAddr() net.Addr { return c.net.RemoteAddr() }

// Ticket is what resumes this session.
func (c *Conn) Ticket() Ticket { return c.ticket }

// Close closes the connection.
func (c *Conn) Close() error { return c.net.Close() }

// SetDeadline bounds reads and writes; the zero time lifts the bound.
func (c *Conn) SetDeadline(t time.Time) error { return c.net.SetDeadline(t) }

// Write sends requests as one sealed record.
func (c *Conn) Write(requests ...*protocol.Request) error {
	if err := c.Append(requests...); err != nil {
		return err
	}
	return c.Flush()
}

// Append seals requests as one record into the write buffer; Flush sends it. An
// error that is [ErrTicket]: no more records may be sealed under this ticket.
func (c *Conn) Append(requests ...*protocol.Request) error {
	start := len(c.out)
	rec := protocol.BeginRequest(c.out)
	for _, r := range requests {
		rec = protocol.AppendRequest(rec, r)
	}
	if size := len(rec) - start + protocol.TagBytes; size > protocol.MaxRecord {
		return fmt.Errorf("%d requests make a record of %d bytes, at most %d are allowed", len(requests), size, protocol.MaxRecord)
	}
	if err := c.ticket.spend(); err != nil {
		return err
	}
	c.nonces.Freshen(time.Now().Unix())
	c.out = c.ticket.session.FinishRequest(rec, start, c.nonces.Next())
	return nil
}

// Flush writes what Append gathered, with one write.
func (c *Conn) Flush() error {
	_, err := c.net.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Read reads one record and calls visit for every answer in it. What visit gets
// is borrowed until it returns.
func (c *Conn) Read(visit func(*protocol.Answer)) error {
	rec, err := c.read(protocol.TypeReply)
	if err != nil {
		return err
	}
	if c.plain, err = c.ticket.session.OpenReply(c.plain[:0], rec); err != nil {
		return err
	}
	return protocol.VisitAnswers(c.plain, &c.answer, visit)
}

// keptAnswer is an answer that outlives the buffer it was read from.
func keptAnswer(a *protocol.Answer) *protocol.Answer {
	kept := *a
	kept.Grant, kept.Certificate = slices.Clone(a.Grant), slices.Clone(a.Certificate)
	kept.ItemName = slices.Clone(a.ItemName)
	return &kept
}

// read returns the next record, which must be of a type.
func (c *Conn) read(want byte) ([]byte, error) {
	head, err := c.in.Peek(protocol.HeaderBytes)
	if err == io.EOF {
		return nil, fmt.Errorf("the connection was closed: %w", err)
	}
	if err != nil {
		return nil, err
	}
	kind, size, err := protocol.Header(head)
	if err != nil {
		return nil, err
	}
	c.record = append(c.record[:0], make([]byte, size)...)
	if _, err := io.ReadFull(c.in, c.record); err != nil {
		return nil, err
	}
	switch {
	case kind == want:
		return c.record, nil
	case kind == protocol.TypeReject && c.record[protocol.HeaderBytes] == protocol.RejectTicket:
		return nil, ErrTicket
	case kind == protocol.TypeReject && c.record[protocol.HeaderBytes] == protocol.RejectBusy:
		return nil, ErrServerBusy
	case kind == protocol.TypeReject:
		return nil, errUnreadable
	}
	return nil, protocol.ErrType
}
