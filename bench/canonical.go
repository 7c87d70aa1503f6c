package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster/client"
	"muster/datagram"
	"muster/protocol"
)

// Canonical is the workload that docs/PERFORMANCE.md reports: a durable, sealed
// server on one CPU, the load on the other, beside a bare echo of the same
// record sizes, in turn.
type Canonical struct {
	Site    Site
	Self    string // this program: it runs the echo as "SELF echo REQUEST REPLY"
	Devices int
	Rounds  int
	Time    time.Duration // of one measurement
	Profile string        // directory for the server's profiles; empty: none
	Only    string        // measure only the loads whose name has it in it
	Out     io.Writer
}

// names of the measurements.
const (
	deep16    = "report, 16 a record, 50 × depth 128"
	deep1     = "report, 1 a record, 50 × depth 128"
	shallow   = "report, 1,000 × depth 1"
	echoed    = "bare gnet echo, 1,000 × depth 1"
	byUDP     = "report by UDP, 50 sockets × 16"
	udpEcho   = "bare recvmmsg echo, 50 sockets × 16"
	renewal   = "check-in, signed, 16 a record, 50 × depth 128"
	hello     = "handshake on a new connection, 50 at once"
	connected = "bare gnet echo on a new connection, 50 at once"
	resumed   = "report under a ticket on a new connection, 50 at once"
)

// Run measures.
func (c *Canonical) Run(ctx context.Context) (*Report, error) {
	server, err := c.Site.start(ctx, c.Out, "--devices-max", fmt.Sprint(8*c.Devices*(c.Rounds+1)), "--profile", c.Profile)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	r := NewReport("canonical", map[string]any{"devices": c.Devices, "rounds": c.Rounds, "seconds": c.Time.Seconds(), "only": c.Only})
	if err := c.rounds(ctx, server, r); err != nil {
		return nil, err
	}
	c.compare(r)
	return r, server.Stop(20 * time.Second)
}

func (c *Canonical) rounds(ctx context.Context, server *Server, r *Report) error {
	use := []client.Use{benchUse}
	steps := c.steps(server, []namedLoad{
		{deep16, Load{Devices: c.Devices, Conns: 50, Depth: 128, PerRecord: 16, Uses: use, Module: benchModule}},
		{deep1, Load{Devices: c.Devices, Conns: 50, Depth: 128, PerRecord: 1, Uses: use, Module: benchModule}},
		{renewal, Load{Devices: c.Devices, Conns: 50, Depth: 128, PerRecord: 16, Mix: Mix{CheckIn: 1}, Uses: use, Module: benchModule}},
		{shallow, Load{Devices: c.Devices, Conns: 1000, Depth: 1, PerRecord: 1, Uses: use, Module: benchModule}},
		{byUDP, Load{Devices: c.Devices, Conns: 50, Depth: 16, PerRecord: 1, UDP: true, Uses: use, Module: benchModule}},
	})
	for round := range c.Rounds {
		for _, step := range steps {
			if !strings.Contains(step.name, c.Only) {
				continue
			}
			f, err := step.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", step.name, err)
			}
			r.add(step.name, f)
			fmt.Fprintf(c.Out, "round %d/%d  %-54s %9.0f/s  %7.3f µs  p50 %-9s p99 %s\n", round+1, c.Rounds, step.name,
				f.Rate(), f.PerRequest(), showMicros(f.Latency.P50), showMicros(f.Latency.P99))
		}
	}
	return nil
}

type namedLoad struct {
	name string
	load Load
}

// step is one of the measurements of a round.
type step struct {
	name    string
	measure func(context.Context) (Figures, error)
}

func (c *Canonical) steps(server *Server, loads []namedLoad) (steps []step) {
	for _, l := range loads {
		steps = append(steps, step{l.name, func(ctx context.Context) (Figures, error) { return c.measure(ctx, server, l.load) }})
	}
	return append(steps,
		step{echoed, c.measureEcho},
		step{udpEcho, c.measureUDPEcho},
		step{hello, func(ctx context.Context) (Figures, error) { return c.measureHello(ctx, server) }},
		step{resumed, func(ctx context.Context) (Figures, error) { return c.measureResumed(ctx, server) }},
		step{connected, c.measureConnect})
}

// us is a time in microseconds.
func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// measure runs one load and audits that the server counted what it acknowledged.
func (c *Canonical) measure(ctx context.Context, server *Server, load Load) (f Figures, err error) {
	before, err := counts(ctx, server)
	if err != nil {
		return f, err
	}
	fleet, err := NewFleet(ctx, server.Key, load)
	if err != nil {
		return f, err
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		return f, err
	}
	run := newCourse(fleet, server.Child, nil)
	figures, err := run.run(ctx, func(ctx context.Context) error {
		hold, cancel := context.WithTimeout(ctx, c.Time)
		defer cancel()
		return fleet.Run(hold)
	}, whole(c.Time))
	if err != nil {
		return f, err
	}
	a, err := audit(ctx, fleet, server, before)
	if err == nil && !a.Equal() {
		err = errors.New(a.String())
	}
	return figures[0], err
}

// recordSizes are what a report and its answer take on the wire alone in a record.
func recordSizes() (request, reply int) {
	line := []protocol.Line{{Slot: slotNow(time.Now()), Module: 1, Count: 1}}
	r := protocol.Request{Kind: protocol.KindReport, ID: 1, Stream: 70_000, Token: 1 << 63, Seq: 1000, Tag: 1 << 31, Item: 1, Lines: line}
	a := protocol.Answer{Kind: protocol.KindAccepted, ID: 1, Seq: 1000}
	return protocol.RequestOverhead + len(protocol.AppendRequest(nil, &r)), protocol.ReplyOverhead + len(protocol.AppendAnswer(nil, &a))
}

// measureEcho does with the bare echo what the shallow load does with the server.
func (c *Canonical) measureEcho(ctx context.Context) (Figures, error) {
	request, reply := recordSizes()
	child, addr, err := StartEcho(serverCPU, c.Self, "echo", fmt.Sprint(request), fmt.Sprint(reply))
	if err != nil {
		return Figures{}, err
	}
	defer child.Kill()
	conns := make([]net.Conn, 1000)
	for i := range conns {
		if conns[i], err = (&net.Dialer{}).DialContext(ctx, "tcp", addr); err != nil {
			return Figures{}, err
		}
		defer conns[i].Close()
	}
	return c.clock(ctx, child, len(conns), func(run context.Context, i int, h *Histogram) uint64 {
		return pingPong(run, conns[i], request, reply, h)
	})
}

// measureUDPEcho does with the bare echo what the load by UDP does with the server.
func (c *Canonical) measureUDPEcho(ctx context.Context) (Figures, error) {
	request, reply := recordSizes()
	child, addr, err := StartEcho(serverCPU, c.Self, "udp-echo", fmt.Sprint(reply))
	if err != nil {
		return Figures{}, err
	}
	defer child.Kill()
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return Figures{}, err
	}
	sockets := make([]*datagram.Socket, 50)
	for i := range sockets {
		if sockets[i], err = datagram.Listen("127.0.0.1:0", 0); err != nil {
			return Figures{}, err
		}
		defer sockets[i].Close()
	}
	return c.clock(ctx, child, len(sockets), func(run context.Context, i int, h *Histogram) uint64 {
		return volley(run, sockets[i], datagram.PeerOf(to), make([]byte, request), 16, h)
	})
}

// clock runs loads on a child beside each other for the time of one measurement.
func (c *Canonical) clock(ctx context.Context, child *Child, loads int, load func(run context.Context, i int, h *Histogram) uint64) (Figures, error) {
	run, cancel := context.WithTimeout(ctx, c.Time)
	defer cancel()
	cpu, began := child.CPU(), time.Now()
	h := NewHistogram()
	var n atomic.Uint64
	var wg sync.WaitGroup
	for i := range loads {
		wg.Go(func() { n.Add(load(run, i, h)) })
	}
	wg.Wait()
	return Figures{
		Requests: n.Load(), Seconds: time.Since(began).Seconds(),
		CPUSeconds: (child.CPU() - cpu).Seconds(), Memory: child.RSS(), Latency: h.summary(),
	}, nil
}

// volley keeps so many datagrams outstanding until ctx ends.
func volley(ctx context.Context, socket *datagram.Socket, to datagram.Peer, request []byte, outstanding int, h *Histogram) (n uint64) {
	out, in := make([]datagram.Packet, outstanding), make([]datagram.Packet, datagram.Max)
	for i := range out {
		out[i] = datagram.Packet{Data: request, Peer: to}
	}
	for i := range in {
		in[i].Data = make([]byte, datagram.Size)
	}
	for send := outstanding; ctx.Err() == nil; {
		began := time.Now()
		if socket.Write(out[:send]) != nil || socket.SetReadDeadline(began.Add(lossTime)) != nil {
			return n
		}
		got, err := socket.Read(in)
		if err != nil { // all were lost
			send = outstanding
			continue
		}
		for i := range in[:got] {
			h.Observe(time.Since(began))
			in[i].Data = in[i].Data[:datagram.Size]
		}
		n += uint64(got)
		send = got
	}
	return n
}

// pingPong sends a request and waits for its reply until ctx ends.
func pingPong(ctx context.Context, conn net.Conn, request, reply int, h *Histogram) (n uint64) {
	out, in := make([]byte, request), bufio.NewReader(conn)
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := conn.Write(out); err != nil {
			return n
		}
		if _, err := in.Discard(reply); err != nil {
			return n
		}
		h.Observe(time.Since(began))
		n++
	}
	return n
}

// compare notes how the server stands to the bare echoes.
func (c *Canonical) compare(r *Report) {
	if c.Only != "" {
		return
	}
	tcp, echo, udp, bare := r.measure(shallow), r.measure(echoed), r.measure(byUDP), r.measure(udpEcho)
	r.note("1,000 × depth 1 against the bare echo: %.2f × its CPU", Ratio(tcp, echo, (*Figures).PerRequest))
	r.note("UDP against the bare echo: %.2f × its rate, %.2f × its CPU", Ratio(udp, bare, (*Figures).Rate), Ratio(udp, bare, (*Figures).PerRequest))
}
