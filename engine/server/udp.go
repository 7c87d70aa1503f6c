package server

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"muster/datagram"
	"muster/protocol"
)

// udpLoop is one socket of the datagram front and what belongs to it: one
// datagram is one record, under a ticket that was had over TCP. Unlike a
// connection a datagram costs nothing to make up, so what is not understood, or
// does not open, is met with silence, and no answer is longer than its request.
//
// One goroutine reads, hands over and answers in turn. It waits for datagrams
// only when the decider has nothing of it; else it reads what has come, waits for
// its batch, and hands the next one over before it sends the answers. So many
// datagrams cost one wake-up, which on one CPU is the larger part of the price.
type udpLoop struct {
	server *Server
	socket *datagram.Socket

	answered chan *batch
	unsent   atomic.Int32 // batches that are decided and whose answers have not left
	quit     chan struct{}
	done     sync.WaitGroup

	// Of its goroutine alone, but for a batch while the decider has it.
	filling, spare *batch
	inFlight       bool
	sessions       sessionCache
	backoff        backoff
	sources        limiter // of tickets that are not in the cache
	now            []byte  // answers that wait for nothing
	out            []byte
	replies        []datagram.Packet
	nonces         protocol.Nonces
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
		server: s, socket: socket, answered: make(chan *batch, 1), quit: make(chan struct{}),
		replies: make([]datagram.Packet, 0, datagram.Max),
		out:     make([]byte, 0, datagram.Max*protocol.MaxDatagram),
	}
	l.filling, l.spare = l.newBatch(), l.newBatch()
	l.sources.init(60*newTicketsRate, newTicketsBurst)
	return l
}

func (l *udpLoop) newBatch() *batch {
	n := share(udpBatch, l.server.config.UDPLoops)
	b := newBatch(l, &l.backoff, n)
	b.datagrams = touched[datagramRecord](n)
	return b
}

// run serves the socket until it is closed.
func (l *udpLoop) run() {
	for {
		if err := l.fill(); err != nil {
			l.server.udpEnded(err)
			return
		}
		l.handOver()
		if !l.inFlight {
			continue
		}
		select {
		case b := <-l.answered:
			l.inFlight = false
			l.spare = b // it can't be filled before it is sent: a batch is in flight then
			l.handOver()
			l.reply(b)
			b.reset()
			l.unsent.Add(-1)
		case <-l.quit:
			return
		}
	}
}

// fill reads what has come, until there is no more or the batch is large; it
// waits when nothing else is to be done.
func (l *udpLoop) fill() error {
	read := l.socket.Read
	if l.inFlight {
		read = l.socket.ReadNow
	}
	for len(l.filling.decisions) < udpBatch {
		packets, err := read()
		if err != nil {
			return err
		}
		l.take(packets)
		if len(packets) < datagram.Max {
			return nil
		}
		read = l.socket.ReadNow
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

// handOver gives the filled batch to the decider, if there is one and the
// decider has none of this loop.
func (l *udpLoop) handOver() {
	if l.inFlight || len(l.filling.decisions) == 0 {
		return
	}
	b := l.filling
	l.backoff.serve(l.server.uptime.Load(), len(b.decisions))
	l.filling = l.spare
	l.inFlight = true
	l.server.decider.batches <- b // has room for a batch of every loop
}

// record opens one datagram. A panic costs the datagram only.
func (l *udpLoop) record(p *datagram.Packet) {
	s := l.server
	defer func() {
		if r := recover(); r != nil {
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
	b := l.filling
	decisions, plain := len(b.decisions), len(b.plain)
	opened, err := session.OpenRequest(b.plain, p.Data)
	if err != nil {
		s.UDP.Unsealed.Add(1)
		return
	}
	l.sessions.add(session)
	b.plain = opened
	taken, now, err := s.gather(b, &session.Ticket, p.Peer.Addr().Addr(), opened[plain:], protocol.MaxMessages, l.now[:0])
	l.now = now
	if err != nil {
		s.UDP.Malformed.Add(1)
		b.decisions = b.decisions[:decisions]
		return
	}
	room := size
	if len(now) > 0 && len(now)+protocol.TagBytes <= room {
		start := len(l.out)
		l.out = session.FinishReply(append(l.out, now...), start, l.nonces.Next())
		room -= len(l.out) - start
		l.post(start, p.Peer)
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

// answer is called by the decider when a batch is decided and durable.
func (l *udpLoop) answer(b *batch) {
	l.unsent.Add(1)
	l.answered <- b // has room: one batch is in flight
}

// reply sends the answers of a batch, a datagram for each of its records.
func (l *udpLoop) reply(b *batch) {
	first := 0
	for i := range b.datagrams {
		l.seal(b, first, &b.datagrams[i])
		first += b.datagrams[i].n
	}
	l.flush()
}

// seal makes the datagram that answers one record, whose first decision is given.
func (l *udpLoop) seal(b *batch, first int, d *datagramRecord) {
	start := len(l.out)
	l.out = protocol.BeginReply(l.out)
	empty := len(l.out)
	for i := first; i < first+d.n; i++ {
		a := b.decisions[i].Answer()
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
