package server

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"muster/datagram"
	"muster/protocol"
)

// udpLoop is one socket of the datagram front and what belongs to it: one
// datagram is one record, under a ticket that was had over TCP. Unlike a
// connection a datagram costs nothing to make up, so what is not understood, or
// does not open, is met with silence, and no answer is longer than its request.
//
// Two goroutines serve it. The reader opens and decodes datagrams into the batch
// being filled, and hands it to the decider when that has none of this loop. The
// writer gets batches back, hands the next one over, and sends the answers.
type udpLoop struct {
	server *Server
	socket *datagram.Socket

	mu       sync.Mutex
	filling  *batch
	spare    []*batch // two more: one may be with the decider while another is sent
	inFlight bool

	answered chan *batch
	flush    chan chan struct{}
	ended    chan struct{} // the reader has ended
	done     sync.WaitGroup

	sending sync.Mutex // reader and writer share the socket's outgoing side

	// Of the reader alone.
	sessions sessionCache
	sources  limiter // of tickets that are not in the cache
	now      []byte  // answers that wait for nothing
	packet   [1]datagram.Packet
	nonces   protocol.Nonces
}

// datagramRecord is a record of consecutive decisions and where its answer goes.
type datagramRecord struct {
	peer    datagram.Peer
	session *protocol.Session
	n       int // decisions
	bytes   int // of the request: the answer is no longer
}

// UDPStats are counters of the datagram front; any goroutine may read them.
type UDPStats struct {
	Received  atomic.Uint64 // datagrams
	Sent      atomic.Uint64
	Malformed atomic.Uint64 // no record, or messages that can't be read
	Strangers atomic.Uint64 // under a ticket that this server did not make, or that expired
	Unsealed  atomic.Uint64 // that do not open under their ticket
	Limited   atomic.Uint64 // dropped: not seen before, and their source or the server is too busy
	TooLarge  atomic.Uint64 // answers that were longer than their request
}

func newUDPLoop(s *Server, socket *datagram.Socket) *udpLoop {
	l := &udpLoop{server: s, socket: socket, answered: make(chan *batch, 1), flush: make(chan chan struct{}), ended: make(chan struct{})}
	l.filling = &batch{from: l}
	l.spare = []*batch{{from: l}, {from: l}}
	l.sources.init(60*newTicketsRate, newTicketsBurst)
	return l
}

func (l *udpLoop) run() {
	l.done.Go(l.read)
	l.done.Go(l.write)
}

// read serves the socket until it is closed.
func (l *udpLoop) read() {
	defer close(l.ended)
	packets := make([]datagram.Packet, datagram.Max)
	for {
		for i := range packets {
			if packets[i].Data == nil {
				packets[i].Data = make([]byte, datagram.Size)
			}
			packets[i].Data = packets[i].Data[:datagram.Size]
		}
		n, err := l.socket.Read(packets)
		if err != nil {
			l.server.udpEnded(err)
			return
		}
		l.take(packets[:n])
	}
}

// take puts datagrams into the batch being filled and hands it over if it can.
func (l *udpLoop) take(packets []datagram.Packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server.UDP.Received.Add(uint64(len(packets)))
	l.nonces.Freshen(l.server.seconds.Load())
	for i := range packets {
		l.record(&packets[i])
	}
	l.handOver()
}

// handOver gives the filled batch to the decider, if there is one, the decider
// has none of this loop, and there is another to fill.
func (l *udpLoop) handOver() {
	if l.inFlight || len(l.filling.decisions) == 0 || len(l.spare) == 0 {
		return
	}
	b := l.filling
	l.filling, l.spare = l.spare[len(l.spare)-1], l.spare[:len(l.spare)-1]
	l.inFlight = true
	l.server.decider.batches <- b // has room for a batch of every loop
}

// record opens one datagram. A panic costs the datagram only.
func (l *udpLoop) record(p *datagram.Packet) {
	s := l.server
	defer func() {
		if r := recover(); r != nil {
			s.Stats.Panics.Add(1)
			s.log.Error("a datagram caused a panic; it is dropped", "panic", r)
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
	taken, now, err := s.gather(b, &session.Ticket, p.Peer.Addr().Addr(), opened[plain:], batchRequests, l.now[:0])
	l.now = now
	if err != nil {
		s.UDP.Malformed.Add(1)
		b.decisions = b.decisions[:decisions]
		return
	}
	if taken > 0 {
		b.datagrams = append(b.datagrams, datagramRecord{peer: p.Peer, session: session, n: taken, bytes: size})
	}
	if len(now) > 0 && len(now)+protocol.TagBytes <= size {
		reply := session.FinishReply(now, 0, l.nonces.Next())
		l.packet[0] = datagram.Packet{Data: reply, Peer: p.Peer}
		l.send(l.packet[:])
	}
}

// session finds the keys of a datagram's ticket: kept ones, or derived ones if
// the server made the ticket and its source does not bring too many of them.
// When much is waiting, devices that were here just now go first.
func (l *udpLoop) session(p *datagram.Packet) *protocol.Session {
	s, now := l.server, l.server.seconds.Load()
	ticket := protocol.RequestTicket(p.Data)
	if kept := l.sessions.find(ticket); kept != nil && int64(ticket.Expires()) > now {
		return kept
	}
	if len(l.filling.decisions) > batchRequests/2 || !l.sources.allow(p.Peer.Addr().Addr(), s.uptime.Load()) {
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
	select {
	case l.answered <- b:
	case <-l.ended:
	}
}

// write sends what was answered until the reader ends.
func (l *udpLoop) write() {
	w := &udpWriter{loop: l, packets: make([]datagram.Packet, 0, datagram.Max)}
	for {
		select {
		case b := <-l.answered:
			l.landed()
			w.batch(b)
			l.recycle(b)
		case passed := <-l.flush:
			close(passed)
		case <-l.ended:
			return
		}
	}
}

// landed hands the next batch over before the answers of this one are written.
func (l *udpLoop) landed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight = false
	l.handOver()
}

func (l *udpLoop) recycle(b *batch) {
	b.reset()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = append(l.spare, b)
	l.handOver()
}

func (l *udpLoop) send(packets []datagram.Packet) {
	l.sending.Lock()
	defer l.sending.Unlock()
	l.server.UDP.Sent.Add(uint64(len(packets)))
	_ = l.socket.Write(packets) // an error: the socket is closed
}

// udpWriter seals the answers of batches.
type udpWriter struct {
	loop    *udpLoop
	packets []datagram.Packet
	out     []byte
	nonces  protocol.Nonces
}

// batch sends the answers of a batch, a datagram for each of its records.
func (w *udpWriter) batch(b *batch) {
	w.nonces.Freshen(w.loop.server.seconds.Load())
	i := 0
	for _, d := range b.datagrams {
		w.reply(b, i, d)
		i += d.n
		if len(w.packets) == datagram.Max {
			w.flush()
		}
	}
	w.flush()
}

func (w *udpWriter) flush() {
	if len(w.packets) > 0 {
		w.loop.send(w.packets)
	}
	w.packets, w.out = w.packets[:0], w.out[:0]
}

// reply seals the answers to one datagram, those from decision first on.
func (w *udpWriter) reply(b *batch, first int, d datagramRecord) {
	const reserve = datagram.Max * protocol.MaxDatagram // so that packets keep pointing into out
	if cap(w.out) < reserve {
		w.out = make([]byte, 0, reserve)
	}
	start := len(w.out)
	w.out = protocol.BeginReply(w.out)
	empty := len(w.out)
	for i := first; i < first+d.n; i++ {
		a := b.decisions[i].Answer()
		w.out = w.within(w.out, &a, start+d.bytes-protocol.TagBytes)
	}
	if len(w.out) == empty {
		w.out = w.out[:start]
		return
	}
	w.out = d.session.FinishReply(w.out, start, w.nonces.Next())
	w.packets = append(w.packets, datagram.Packet{Data: w.out[start:len(w.out):len(w.out)], Peer: d.peer})
}

// within appends an answer if it ends before end. A longer one goes without what
// the device can do without, or says that it has to be had over TCP; or it is
// left out, and the device asks again.
func (w *udpWriter) within(out []byte, a *protocol.Answer, end int) []byte {
	before := len(out)
	if out = protocol.AppendAnswer(out, a); len(out) <= end {
		return out
	}
	w.loop.server.UDP.TooLarge.Add(1)
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
		socket, err := datagram.Listen(s.addr.String(), s.config.UDPLoops > 1)
		if err != nil {
			s.closeUDP()
			return fmt.Errorf("listen on %s (UDP): %w; choose another --listen address, or stop what uses it", s.addr, err)
		}
		l := newUDPLoop(s, socket)
		s.udp = append(s.udp, l)
		l.run()
	}
	return nil
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
	s.stopping.Store(true)
	for _, l := range s.udp {
		_ = l.socket.Close()
		l.done.Wait()
	}
}

// flushUDP waits until every loop has sent the answers it was given.
func (s *Server) flushUDP(ctx context.Context) {
	for _, l := range s.udp {
		passed := make(chan struct{})
		select {
		case l.flush <- passed:
			<-passed
		case <-ctx.Done():
			return
		}
	}
}
