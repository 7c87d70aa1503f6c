package bench

import (
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"muster/client"
	"muster/datagram"
	"muster/protocol"
)

// link is what a gateway sends records over.
type link interface {
	Append(requests ...*protocol.Request) error
	Flush() error
	Write(requests ...*protocol.Request) error
	Read(visit func(*protocol.Answer)) error
	SetDeadline(t time.Time) error
	Ticket() client.Ticket
	Close() error
}

// datagrams is a link by UDP: every record is a datagram, and those of one Flush
// leave with one system call.
type datagrams struct {
	socket  *datagram.Socket
	server  datagram.Peer
	ticket  client.Ticket
	nonces  protocol.Nonces
	out     []datagram.Packet
	plain   []byte
	answer  protocol.Answer // the one that Read visits
	overdue atomic.Int64    // unix nanoseconds, of SetDeadline; 0: none
}

// errLost says that nothing came for a while: what is outstanding has to be sent again.
var errLost = errors.New("no answer by datagram")

// lossTime is how long a gateway waits before it takes datagrams for lost.
const lossTime = time.Second

// socketOptions are those of each of so many sockets. Where they are many, a
// datagram seldom follows another of its socket, and runs need room.
func socketOptions(sockets int) datagram.Options {
	if sockets > 64 {
		return 0
	}
	return datagram.Runs
}

// overUDP opens a socket for datagrams under the ticket of a TCP connection, and
// closes that.
func overUDP(tcp link, options datagram.Options) (link, error) {
	conn, ok := tcp.(*client.Conn)
	if !ok {
		return tcp, nil // it is done
	}
	to, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return nil, err
	}
	d := &datagrams{server: datagram.PeerOf(to), ticket: conn.Ticket()}
	local := ":0"
	if to.Addr().IsLoopback() {
		local = netip.AddrPortFrom(to.Addr(), 0).String()
	}
	if d.socket, err = datagram.Listen(local, options); err != nil {
		return nil, err
	}
	return d, conn.Close()
}

// Append implements link.
func (d *datagrams) Append(requests ...*protocol.Request) error {
	if len(d.out) == datagram.Max {
		if err := d.Flush(); err != nil {
			return err
		}
	}
	n := len(d.out)
	if n == cap(d.out) {
		d.out = append(d.out, datagram.Packet{Data: make([]byte, 0, protocol.MaxDatagram)})
	}
	d.out = d.out[:n+1]
	rec := protocol.BeginRequest(d.out[n].Data[:0])
	for _, r := range requests {
		rec = protocol.AppendRequest(rec, r)
	}
	d.nonces.Freshen(time.Now().Unix())
	d.out[n].Data = d.ticket.Session().FinishRequest(rec, 0, d.nonces.Next())
	d.out[n].Peer = d.server
	return nil
}

// Flush implements link.
func (d *datagrams) Flush() error {
	err := d.socket.Write(d.out)
	d.out = d.out[:0]
	return err
}

// Write implements link.
func (d *datagrams) Write(requests ...*protocol.Request) error {
	if err := d.Append(requests...); err != nil {
		return err
	}
	return d.Flush()
}

// Read implements link: of what has come, all. What does not open is passed over.
func (d *datagrams) Read(visit func(*protocol.Answer)) error {
	end, overdue := time.Now().Add(lossTime), d.overdue.Load()
	if overdue != 0 {
		end = time.Unix(0, min(end.UnixNano(), overdue))
	}
	if err := d.socket.SetReadDeadline(end); err != nil {
		return err
	}
	in, err := d.socket.Read()
	if errors.Is(err, os.ErrDeadlineExceeded) && (overdue == 0 || time.Now().UnixNano() < overdue) {
		return errLost
	}
	if err != nil {
		return err
	}
	for i := range in {
		if d.plain, err = d.ticket.Session().OpenReply(d.plain[:0], in[i].Data); err == nil {
			err = protocol.VisitAnswers(d.plain, &d.answer, visit)
		}
	}
	return err
}

// SetDeadline implements link.
func (d *datagrams) SetDeadline(t time.Time) error {
	overdue := int64(0)
	if !t.IsZero() {
		overdue = t.UnixNano()
	}
	d.overdue.Store(overdue)
	return d.socket.SetReadDeadline(t)
}

// Ticket implements link.
func (d *datagrams) Ticket() client.Ticket { return d.ticket }

// Close implements link.
func (d *datagrams) Close() error { return d.socket.Close() }
