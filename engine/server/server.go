package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

	"muster/engine"
	"muster/internal/notices"
	"muster/protocol"
)

// Config is what a front is made of.
type Config struct {
	Listen         string // host:port
	Loops          int    // event loops, 0: one less than the CPUs, at least one
	UDPLoops       int    // sockets for datagrams on the same port, 0: TCP only
	ConnectionsMax int    // 0: the default
	Guards         Guards
	Key            *protocol.HandshakeKey
	Tickets        *TicketKeys
	Now            func() int64 // wall clock, unix nanoseconds
	Log            *slog.Logger
}

// Server is the TCP front.
type Server struct {
	gnet.BuiltinEventEngine
	config  Config
	core    *engine.Core // set by Serve, like decider
	decider *Decider
	key     *protocol.HandshakeKey
	tickets *TicketKeys
	now     func() int64
	log     *slog.Logger
	notices *notices.Log

	engine     gnet.Engine
	booted     chan struct{}
	ended      chan error
	mu         sync.Mutex
	loops      map[gnet.EventLoop]*loop
	handshakes chan *handshake
	guesses    guesses
	seconds    atomic.Int64 // coarse clock, unix seconds
	uptime     atomic.Int64 // coarse monotonic clock, seconds: that of the guards, nobody sets it
	started    time.Time
	ready      atomic.Bool
	addr       net.Addr
	udp        []*udpLoop
	stopping   atomic.Bool
	Stats      Stats
	UDP        UDPStats
}

// Stats are counters for metrics; any goroutine may read them.
type Stats struct {
	Connections    atomic.Int64
	Accepted       atomic.Uint64
	Inbound        atomic.Int64  // bytes of incomplete records
	Outbound       atomic.Int64  // bytes of answers that wait for their peers to read
	Refused        atomic.Uint64 // over the limit of connections or of bytes of incomplete records
	Limited        atomic.Uint64 // connections and handshakes over the limits of their source
	Overdue        atomic.Uint64 // connections closed because their time was over
	Handshakes     atomic.Uint64
	Malformed      atomic.Uint64
	Unsealed       atomic.Uint64
	UnknownTickets atomic.Uint64
	Busy           atomic.Uint64
	SlowReaders    atomic.Uint64
	Panics         atomic.Uint64
}

// LoopsDefault is the number of event loops for this machine.
func LoopsDefault() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// New makes a front; Start listens.
func New(c Config) *Server {
	if c.ConnectionsMax == 0 {
		c.ConnectionsMax = ConnectionsMax
	}
	if c.Loops == 0 {
		c.Loops = LoopsDefault()
	}
	c.Guards = c.Guards.withDefaults()
	s := &Server{
		config: c, key: c.Key, tickets: c.Tickets, now: c.Now, log: c.Log, notices: notices.New(c.Log),
		booted: make(chan struct{}), ended: make(chan error, 1),
		loops: map[gnet.EventLoop]*loop{}, handshakes: make(chan *handshake, handshakeQueue),
	}
	s.guesses.limiter.init(guessesPerMinute, guessesBurst)
	s.started = time.Now()
	s.readClocks()
	return s
}

// Start listens and serves on goroutines of its own; it returns once the port is open.
func (s *Server) Start() error {
	for range max(1, runtime.NumCPU()/2) {
		go s.worker()
	}
	_, port, _ := net.SplitHostPort(s.config.Listen)
	for tries := 1; ; tries++ {
		err := s.listen()
		if port != "0" || tries == anyPortTries || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

// anyPortTries bounds how many ports the system is asked for, when any will do:
// one that is free for TCP may be taken for UDP.
const anyPortTries = 16

// listen opens the port for TCP and for UDP.
func (s *Server) listen() error {
	addr, err := bindable(s.config.Listen)
	if err != nil {
		return s.listenError(s.config.Listen, err)
	}
	s.addr = addr
	if err := s.openUDP(); err != nil {
		return s.listenError(addr.String()+" (UDP)", err)
	}
	go func() {
		s.ended <- gnet.Run(s, "tcp://"+addr.String(),
			gnet.WithNumEventLoop(s.config.Loops), gnet.WithReuseAddr(true),
			gnet.WithTCPNoDelay(gnet.TCPNoDelay), gnet.WithTicker(true),
			gnet.WithLoadBalancing(gnet.LeastConnections),
			gnet.WithLogger(gnetLog{s.log, s.notices}), gnet.WithLogLevel(logging.WarnLevel))
	}()
	select {
	case <-s.booted:
		s.runUDP()
		return nil
	case err := <-s.ended:
		s.forgetUDP()
		return s.listenError(addr.String(), err)
	}
}

func (s *Server) listenError(addr string, err error) error {
	return fmt.Errorf("listen on %s: %w; choose another --listen address, or stop what uses it", addr, err)
}

// bindable resolves the address and, for port 0, chooses a free one: gnet does
// not tell which port it got.
func bindable(listen string) (net.Addr, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	return l.Addr(), l.Close()
}

// Addr is where the front listens.
func (s *Server) Addr() net.Addr { return s.addr }

// Serve begins to serve devices. Until then, while the state is recovered, and
// after Stop began, they are answered 100.
func (s *Server) Serve(core *engine.Core, decider *Decider) {
	s.core, s.decider = core, decider
	s.ready.Store(true)
}

// Ready says whether devices are served.
func (s *Server) Ready() bool { return s.ready.Load() }

// Quiesce ends serving: what is decided is answered, new requests get 100.
func (s *Server) Quiesce() { s.ready.Store(false) }

// Suspend ends serving for a while, until Resume: requests get 100.
func (s *Server) Suspend() { s.ready.Store(false) }

// Resume serves again after Suspend.
func (s *Server) Resume() { s.ready.Store(true) }

// Ended tells that the front stopped by itself, and why.
func (s *Server) Ended() <-chan error { return s.ended }

// Stop closes the connections and the port.
func (s *Server) Stop(ctx context.Context) error {
	s.Quiesce()
	s.closeUDP()
	return s.engine.Stop(ctx)
}

// OnBoot implements gnet.EventHandler.
func (s *Server) OnBoot(e gnet.Engine) gnet.Action {
	s.engine = e
	close(s.booted)
	return gnet.None
}

// readClocks brings the coarse clocks up to date and returns the wall clock.
func (s *Server) readClocks() (now int64) {
	now = s.now()
	s.seconds.Store(now / 1e9)
	s.uptime.Store(1 + int64(time.Since(s.started)/time.Second))
	return now
}

// OnTick implements gnet.EventHandler; it runs beside the loops.
func (s *Server) OnTick() (time.Duration, gnet.Action) {
	if err := s.tickets.RotateIfDue(time.Unix(0, s.readClocks())); err != nil {
		s.notices.Tell(slog.LevelError, "ticket keys", 1, "ticket keys could not be rotated; the old one stays in use: see that the data directory can be written", "error", err)
	}
	s.sweepAll(s.uptime.Load())
	return 500 * time.Millisecond, gnet.None
}

// OnOpen implements gnet.EventHandler.
func (s *Server) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	s.Stats.Accepted.Add(1)
	now := s.uptime.Load()
	c := &conn{gnet: g, loop: s.loopOf(g.EventLoop()), open: true, opened: now, heard: now}
	if a, ok := g.RemoteAddr().(*net.TCPAddr); ok {
		c.addr = a.AddrPort().Addr().Unmap()
	}
	c.proxied = s.config.Guards.isProxy(c.addr)
	c.loop.connections.add(c)
	g.SetContext(c)
	s.Stats.Connections.Add(1)
	if !c.admit(now) {
		return protocol.AppendReject(nil, protocol.RejectBusy), gnet.Close
	}
	return nil, gnet.None
}

func (s *Server) loopOf(l gnet.EventLoop) *loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	lp := s.loops[l]
	if lp == nil {
		lp = newLoop(s, l)
		s.loops[l] = lp
	}
	return lp
}

// OnClose implements gnet.EventHandler.
func (s *Server) OnClose(g gnet.Conn, _ error) gnet.Action {
	if c, ok := g.Context().(*conn); ok {
		c.leave()
	}
	return gnet.None
}

// OnTraffic implements gnet.EventHandler. A panic would end the process: it is
// caught, counted, and costs the connection only.
func (s *Server) OnTraffic(g gnet.Conn) (action gnet.Action) {
	c := g.Context().(*conn)
	defer func() {
		if r := recover(); r != nil {
			s.Stats.Panics.Add(1)
			s.tellPanic("a record caused a panic; its connection is closed", r)
			action = gnet.Close
			if b := c.loop.filling; b != nil { // what it left half done has no owner
				b.decisions = b.decisions[:len(b.owners)]
			}
		}
	}()
	data, err := g.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	if !c.open {
		return gnet.Close
	}
	c.loop.nonces.Freshen(s.seconds.Load())
	used, closing := c.consume(data)
	if used > 0 && c.open {
		_, _ = g.Discard(used)
	}
	if closing {
		return gnet.Close
	}
	return gnet.None
}

// tellPanic asks for a report of a fault of ours.
func (s *Server) tellPanic(what string, r any) {
	s.notices.Tell(slog.LevelError, what, 1, what+"; report this line to muster's makers", "panic", r, "stack", string(debug.Stack()))
}

// gnetLog passes gnet's messages on.
type gnetLog struct {
	log     *slog.Logger
	notices *notices.Log
}

func (l gnetLog) tell(level slog.Level, format string, a []any) {
	l.notices.Tell(level, format, 1, "gnet: "+fmt.Sprintf(format, a...))
}

func (l gnetLog) Debugf(format string, a ...any) { l.log.Debug("gnet: " + fmt.Sprintf(format, a...)) }
func (l gnetLog) Infof(format string, a ...any)  { l.log.Debug("gnet: " + fmt.Sprintf(format, a...)) }
func (l gnetLog) Warnf(format string, a ...any)  { l.tell(slog.LevelWarn, format, a) }
func (l gnetLog) Errorf(format string, a ...any) { l.tell(slog.LevelError, format, a) }
func (l gnetLog) Fatalf(format string, a ...any) { l.tell(slog.LevelError, format, a) }

// ErrNoFront is returned when gnet ended without saying why: as a rule the
// process is out of file descriptors.
var ErrNoFront = errors.New("the device port closed by itself; as a rule the limit of open files is too low (ulimit -n)")

// Flush waits until every loop has written the answers it was given.
func (s *Server) Flush(ctx context.Context) {
	s.flushUDP(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.loops {
		passed := make(chan struct{})
		barrier := gnet.RunnableFunc(func(context.Context) error { close(passed); return nil })
		if l.Execute(ctx, barrier) != nil {
			continue // shutting down
		}
		select {
		case <-passed:
		case <-ctx.Done():
			return
		}
	}
}
