package server

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"muster/datagram"
	"muster/engine"
	"muster/protocol"
)

// udpLoop is one socket of the datagram front and what belongs to it: one
// datagram is one record, under a ticket that was had over TCP. Unlike a
// connection a datagram costs nothing to make up, so what is not understood, or
// does not open, is met with silence, and no answer is longer than its request.
//
// One goroutine reads what has come, has it decided, and sends the answers: so
// many datagrams cost one wake-up, which on one CPU is the larger part of the
// price. Reading while a batch is decided was no faster (docs/PERFORMANCE.md).
type udpLoop struct {
	server *Server
	socket *datagram.Socket

	answered chan struct{}
	unsent   atomic.Int32 // batches that are decided and whose answers have not left: 0 or 1
	quit     chan struct{}
	done     sync.WaitGroup

	// Of its goroutine alone, but for the batch while the decider has it.
	batch    *batch
	sessions sessionCache
	backoff  backoff
	sources  limiter // of tickets that are not in the cache
	now      []byte  // answers that wait for nothing
	out      []byte
	replies  []datagram.Packet
	unread   []datagram.Packet // and not yet in a batch: the socket's memory
	nonces   protocol.Nonces
}

// datagramRecord is a record of consecutive decisions and where its answer goes.
type datagramRecord struct {
	peer    datagram.Peer
	session *protocol.Session
	n       int // decisions
	bytes   int // of the request, less what was answered at once: the answer is no longer
}

// UDPStats are counters of the datagram front; any goroutine may read them.
type UDPStats struct {
	Received  atomic.Uint64 // datagrams
	Sent      atomic.Uint64
	Malformed atomic.Uint64 // no record, or messages that can't be read
	Strangers atomic.Uint64 // under a ticket that this server did not make, or that expired
	Unsealed  atomic.Uint64 // that do not open under their ticket
	Limited   atomic.Uint64 // dropped: not seen before, and their source brings too many of those
	TooLarge  atomic.Uint64 // answers that were longer than their request
}

func newUDPLoop(s *Server, socket *datagram.Socket) *udpLoop {
	l := &udpLoop{
		server: s, socket: socket, answered: make(chan struct{}, 1), quit: make(chan struct{}),
		replies: make([]datagram.Packet, 0, datagram.Max),
		out:     make([]byte, 0, datagram.Max*protocol.MaxDatagram),
	}
	n := share(udpBatch, s.config.UDPLoops)
	l.batch = newBatch(l, &l.backoff, n)
	l.batch.datagrams = touched[datagramRecord](n)
	l.sources.init(60*newTicketsRate, newTicketsBurst)
	return l
}

// run serves the socket until it is closed.
func (l *udpLoop) run() {
	b := l.batch
	for {
		if err := l.fill(); err != nil {
			l.server.udpEnded(err)
			return
		}
		if len(b.decisions) == 0 {
			continue
		}
		l.backoff.serve(l.server.uptime.Load(), len(b.decisions))
		l.server.decider.batches <- b // has room for a batch of every loop
		select {
		case <-l.answered:
			l.reply()
			b.reset()
			l.unsent.Add(-1)
		case <-l.quit:
			return
		}
	}
}

// fill waits until something has come and takes it, until there is no more or the
// batch is large.
func (l *udpLoop) fill() (err error) {
	read, last := l.socket.Read, false
	if len(l.unread) > 0 {
		read = l.socket.ReadNow
	}
	for n := 0; n < udpBatch && len(l.batch.decisions) < udpBatch; {
		if len(l.unread) == 0 {
			if last {
				break
			}
			if l.unread, err = read(); err != nil {
				return err
			}
			read, last = l.socket.ReadNow, len(l.unread) < datagram.Max
		}
		some := l.unread[:min(len(l.unread), datagram.Max)]
		l.take(some)
		l.unread = l.unread[len(some):]
		n += len(some)
	}
	return nil
}

// take puts datagrams into the batch being filled.
func (l *udpLoop) take(packets []datagram.Packet) {
	l.server.UDP.Received.Add(uint64(len(packets)))
	l.nonces.Freshen(l.server.seconds.Load())
	for i := range packets {
		l.record(&packets[i])
	}
	l.flush()
}

// record opens one datagram. A panic costs the datagram only.
func (l *udpLoop) record(p *datagram.Packet) {
	s, b := l.server, l.batch
	start := b.end()
	defer func() {
		if r := recover(); r != nil {
			b.cut(start)
			s.Stats.Panics.Add(1)
			s.tellPanic("a datagram caused a panic; it is dropped", r)
		}
	}()
	kind, size, err := protocol.Header(p.Data)
	if err != nil || kind != protocol.TypeRequest || size != len(p.Data) || size > protocol.MaxDatagram {
		s.UDP.Malformed.Add(1)
		return
	}
	session := l.session(p)
	if session == nil {
		return
	}
	opened, err := session.OpenRequest(b.plain, p.Data)
	if err != nil {
		s.UDP.Unsealed.Add(1)
		return
	}
	l.sessions.add(session)
	b.plain = opened
	taken, now, err := s.gather(b, start, &session.Ticket, p.Peer.Addr().Addr(), protocol.MaxMessages, l.now[:0])
	l.now = now
	if err != nil {
		s.UDP.Malformed.Add(1)
		b.cut(start)
		return
	}
	room := size
	if len(now) > 0 && len(now)+protocol.TagBytes <= room {
		at := len(l.out)
		l.out = session.FinishReply(append(l.out, now...), at, l.nonces.Next())
		room -= len(l.out) - at
		l.post(at, p.Peer)
	}
	if taken > 0 {
		b.datagrams = append(b.datagrams, datagramRecord{peer: p.Peer, session: session, n: taken, bytes: room})
	}
}

// session finds the keys of a datagram's ticket: kept ones, or derived ones if
// the server made the ticket and its source does not bring too many of them.
func (l *udpLoop) session(p *datagram.Packet) *protocol.Session {
	s, now := l.server, l.server.seconds.Load()
	ticket := protocol.RequestTicket(p.Data)
	if kept := l.sessions.find(ticket); kept != nil && s.tickets.live(now, ticket) {
		return kept
	}
	if !l.sources.allow(p.Peer.Addr().Addr(), s.uptime.Load()) {
		s.UDP.Limited.Add(1)
		return nil
	}
	keys, ok := s.tickets.open(now, ticket)
	if !ok {
		s.UDP.Strangers.Add(1)
		return nil
	}
	return protocol.NewServerSession(*ticket, keys)
}

// answer is called by the decider when the batch is decided and durable.
func (l *udpLoop) answer(*batch) {
	l.unsent.Add(1)
	l.answered <- struct{}{} // has room: there is one batch
}

// reply sends the answers of the batch, a datagram for each of its records.
func (l *udpLoop) reply() {
	first := 0
	for i := range l.batch.datagrams {
		d := &l.batch.datagrams[i]
		l.seal(l.batch.decisions[first:][:d.n], d)
		first += d.n
	}
	l.flush()
}

// seal makes the datagram that answers one record.
func (l *udpLoop) seal(decisions []engine.Decision, d *datagramRecord) {
	start := len(l.out)
	l.out = protocol.BeginReply(l.out)
	empty := len(l.out)
	for i := range decisions {
		a := decisions[i].Answer()
		l.out = l.within(l.out, &a, start+d.bytes-protocol.TagBytes)
	}
	if len(l.out) == empty {
		l.out = l.out[:start]
		return
	}
	l.out = d.session.FinishReply(l.out, start, l.nonces.Next())
	l.post(start, d.peer)
}

// post has the datagram at out[start:] sent with the next others.
func (l *udpLoop) post(start int, to datagram.Peer) {
	l.replies = append(l.replies, datagram.Packet{Data: l.out[start:len(l.out):len(l.out)], Peer: to})
	if len(l.replies) == datagram.Max {
		l.flush()
	}
}

// flush sends what was posted. out has room for as many as post gathers, so the
// datagrams stay where they are until then.
func (l *udpLoop) flush() {
	if len(l.replies) > 0 {
		l.server.UDP.Sent.Add(uint64(len(l.replies)))
		_ = l.socket.Write(l.replies) // an error: the socket is closed
	}
	l.replies, l.out = l.replies[:0], l.out[:0]
}

// within appends an answer if it ends before end. A longer one goes without what
// the device can do without, or says that it has to be had over TCP; or it is
// left out, and the device asks again.
func (l *udpLoop) within(out []byte, a *protocol.Answer, end int) []byte {
	before := len(out)
	if out = protocol.AppendAnswer(out, a); len(out) <= end {
		return out
	}
	l.server.UDP.TooLarge.Add(1)
	shorter := protocol.Answer{Kind: protocol.KindTooLarge, ID: a.ID}
	if a.Kind == protocol.KindRefused {
		shorter = *a
		shorter.ItemName = nil
	}
	if out = protocol.AppendAnswer(out[:before], &shorter); len(out) <= end {
		return out
	}
	return out[:before]
}

// openUDP opens the datagram sockets beside the TCP port.
func (s *Server) openUDP() error {
	for range s.config.UDPLoops {
		options := datagram.OwnThread | datagram.Runs
		if s.config.UDPLoops > 1 {
			options |= datagram.Shared
		}
		socket, err := datagram.Listen(s.addr.String(), options)
		if err != nil {
			s.forgetUDP()
			return err
		}
		s.udp = append(s.udp, newUDPLoop(s, socket))
	}
	return nil
}

// runUDP serves the sockets.
func (s *Server) runUDP() {
	for _, l := range s.udp {
		l.done.Go(l.run)
	}
}

// forgetUDP closes the sockets of a port that could not be opened.
func (s *Server) forgetUDP() {
	for _, l := range s.udp {
		_ = l.socket.Close()
	}
	s.udp = nil
}

// udpEnded notes why a socket can't be read any more.
func (s *Server) udpEnded(err error) {
	if s.stopping.Load() {
		return
	}
	select {
	case s.ended <- fmt.Errorf("datagrams: %w", err):
	default:
	}
}

func (s *Server) closeUDP() {
	if s.stopping.Swap(true) {
		return
	}
	for _, l := range s.udp {
		close(l.quit)
		_ = l.socket.Close()
		l.done.Wait()
	}
}

// flushUDP waits until every loop has sent the answers it was given.
func (s *Server) flushUDP(ctx context.Context) {
	for _, l := range s.udp {
		for l.unsent.Load() > 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
}
