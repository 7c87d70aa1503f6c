package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"muster/client"
	"muster/datagram"
	"muster/license"
	"muster/protocol"
)

// Canonical is the workload that docs/PERFORMANCE.md reports: a durable, sealed
// server on one CPU, the load on the other, beside a bare echo of the same
// record sizes, in turn.
type Canonical struct {
	Muster  string // the muster program
	Self    string // this program: it runs the echo as "SELF echo REQUEST REPLY"
	Dir     string // where the server keeps its data
	Devices int
	Rounds  int
	Time    time.Duration // of one measurement
	Profile string        // directory for the server's profiles; empty: none
	Only    string        // measure only the loads whose name has it in it
	Out     io.Writer
}

// Result is one measurement.
type Result struct {
	Name     string
	Requests uint64
	Seconds  float64
	CPU      time.Duration // the server's, over all requests
	P50, P99 time.Duration
}

// PerRequest is the server's CPU time for one request.
func (r *Result) PerRequest() time.Duration {
	return r.CPU / time.Duration(max(r.Requests, 1))
}

// Rate is requests per second.
func (r *Result) Rate() float64 { return float64(r.Requests) / r.Seconds }

const (
	serverCPU = 0
	loadCPU   = 1

	benchProduct = "Bench"
)

// names of the measurements.
const (
	deep16  = "report, 16 a record, 50 × depth 128"
	deep1   = "report, 1 a record, 50 × depth 128"
	shallow = "report, 1,000 × depth 1"
	echoed  = "bare gnet echo, 1,000 × depth 1"
	byUDP   = "report by UDP, 50 sockets × 16"
	udpEcho = "bare recvmmsg echo, 50 sockets × 16"
	renewal = "check-in, signed, 16 a record, 50 × depth 128"
	hello   = "handshake on a new connection, 50 at once"
	resumed = "report under a ticket on a new connection, 50 at once"
)

// Run measures and prints medians.
func (c *Canonical) Run(ctx context.Context) error {
	if err := PinSelf(loadCPU); err != nil {
		fmt.Fprintf(c.Out, "not pinned: %v\n", err)
	}
	now := time.Now()
	server, err := StartServer(ctx, ServerOptions{
		Binary: c.Muster, Dir: c.Dir, CPU: serverCPU, Stderr: os.Stderr,
		Args: []string{
			"--devices-max", fmt.Sprint(8 * c.Devices * (c.Rounds + 1)), "--profile", c.Profile,
			"--source-connections", "1000000", "--source-connections-burst", "1000000", // all come from one address
			"--source-handshakes", "1000000", "--source-handshakes-burst", "1000000",
		},
		Items: [][]license.Field{{
			{Name: "ItemId", Value: "seats"}, {Name: "Product", Value: benchProduct}, {Name: "Modules", Value: "QR"},
			{Name: "ChargeWay", Value: "device-daily"}, {Name: "Quota", Value: "1000000000"},
			{Name: "Start", Value: now.AddDate(0, 0, -1).Format(time.DateOnly)}, {Name: "Expiry", Value: now.AddDate(1, 0, 0).Format(time.DateOnly)},
		}},
	})
	if err != nil {
		return err
	}
	defer server.Kill()
	results, err := c.rounds(ctx, server)
	if err != nil {
		return err
	}
	c.print(results)
	return server.Stop(20 * time.Second)
}

func (c *Canonical) rounds(ctx context.Context, server *Server) (map[string][]Result, error) {
	use := client.Use{Product: benchProduct, Version: 1}
	loads := []namedLoad{
		{deep16, Load{Devices: c.Devices, Conns: 50, Depth: 128, PerRecord: 16, Uses: []client.Use{use}, Module: "QR"}},
		{deep1, Load{Devices: c.Devices, Conns: 50, Depth: 128, PerRecord: 1, Uses: []client.Use{use}, Module: "QR"}},
		{byUDP, Load{Devices: c.Devices, Conns: 50, Depth: 16, PerRecord: 1, UDP: true, Uses: []client.Use{use}, Module: "QR"}},
		{renewal, Load{Devices: c.Devices, Conns: 50, Depth: 128, PerRecord: 16, Renew: 1, Uses: []client.Use{use}, Module: "QR"}},
		{shallow, Load{Devices: c.Devices, Conns: 1000, Depth: 1, PerRecord: 1, Uses: []client.Use{use}, Module: "QR"}},
	}
	steps := c.steps(server, loads)
	results := map[string][]Result{}
	for round := range c.Rounds {
		for _, step := range steps {
			if !strings.Contains(step.name, c.Only) {
				continue
			}
			r, err := step.measure(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", step.name, err)
			}
			results[step.name] = append(results[step.name], r)
			c.progress(round, r)
		}
	}
	return results, nil
}

type namedLoad struct {
	name string
	load Load
}

// step is one of the measurements of a round.
type step struct {
	name    string
	measure func(context.Context) (Result, error)
}

func (c *Canonical) steps(server *Server, loads []namedLoad) (steps []step) {
	for _, l := range loads {
		steps = append(steps, step{l.name, func(ctx context.Context) (Result, error) { return c.measure(ctx, server, l.name, l.load) }})
	}
	return append(steps,
		step{echoed, c.measureEcho},
		step{udpEcho, c.measureUDPEcho},
		step{hello, func(ctx context.Context) (Result, error) { return c.measureHello(ctx, server) }},
		step{resumed, func(ctx context.Context) (Result, error) { return c.measureResumed(ctx, server) }})
}

func (c *Canonical) progress(round int, r Result) {
	fmt.Fprintf(c.Out, "round %d/%d  %-38s %9.0f/s  %7.3f µs  p50 %-9v p99 %v\n", round+1, c.Rounds, r.Name, r.Rate(), us(r.PerRequest()), r.P50, r.P99)
}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// measure runs one load and audits that the server counted what it acknowledged.
func (c *Canonical) measure(ctx context.Context, server *Server, name string, load Load) (Result, error) {
	before, err := server.Counts(ctx)
	if err != nil {
		return Result{}, err
	}
	fleet, err := NewFleet(ctx, server.Key, load)
	if err != nil {
		return Result{}, err
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		return Result{}, err
	}
	run, cancel := context.WithTimeout(ctx, c.Time)
	defer cancel()
	granted := fleet.Told.Granted.Load()
	cpu, began := server.CPU(), time.Now()
	if err := fleet.Run(run); err != nil {
		return Result{}, err
	}
	reports := fleet.Told.Reports.Load()
	r := Result{Name: name, Requests: reports + fleet.Told.Granted.Load() - granted, Seconds: time.Since(began).Seconds(), CPU: server.CPU() - cpu}
	_, q := fleet.Latency().Quantiles(50, 99)
	r.P50, r.P99 = q[0], q[1]
	after, err := server.Counts(ctx)
	if err != nil {
		return r, err
	}
	if counted := after[0].Usage.Uses - before[0].Usage.Uses; counted != reports {
		return r, fmt.Errorf("the server counted %d scans and acknowledged %d", counted, reports)
	}
	return r, nil
}

// recordSizes are what a report and its answer take on the wire alone in a record.
func recordSizes() (request, reply int) {
	line := []protocol.Line{{Slot: slotNow(time.Now()), Module: 1, Count: 1}}
	r := protocol.Request{Kind: protocol.KindReport, ID: 1, Stream: 70_000, Token: 1 << 63, Seq: 1000, Tag: 1 << 31, Item: 1, Lines: line}
	a := protocol.Answer{Kind: protocol.KindAccepted, ID: 1, Seq: 1000}
	return protocol.RequestOverhead + len(protocol.AppendRequest(nil, &r)), protocol.ReplyOverhead + len(protocol.AppendAnswer(nil, &a))
}

// measureEcho does with the bare echo what the shallow load does with the server.
func (c *Canonical) measureEcho(ctx context.Context) (Result, error) {
	request, reply := recordSizes()
	child, addr, err := StartEcho(serverCPU, c.Self, "echo", fmt.Sprint(request), fmt.Sprint(reply))
	if err != nil {
		return Result{}, err
	}
	defer child.Kill()
	conns := make([]net.Conn, 1000)
	for i := range conns {
		if conns[i], err = (&net.Dialer{}).DialContext(ctx, "tcp", addr); err != nil {
			return Result{}, err
		}
		defer conns[i].Close()
	}
	return c.clock(ctx, echoed, child, len(conns), func(run context.Context, i int, h *Histogram) uint64 {
		return pingPong(run, conns[i], request, reply, h)
	})
}

// measureUDPEcho does with the bare echo what the load by UDP does with the server.
func (c *Canonical) measureUDPEcho(ctx context.Context) (Result, error) {
	request, reply := recordSizes()
	child, addr, err := StartEcho(serverCPU, c.Self, "udp-echo", fmt.Sprint(reply))
	if err != nil {
		return Result{}, err
	}
	defer child.Kill()
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return Result{}, err
	}
	sockets := make([]*datagram.Socket, 50)
	for i := range sockets {
		if sockets[i], err = datagram.Listen("127.0.0.1:0", 0); err != nil {
			return Result{}, err
		}
		defer sockets[i].Close()
	}
	return c.clock(ctx, udpEcho, child, len(sockets), func(run context.Context, i int, h *Histogram) uint64 {
		return volley(run, sockets[i], datagram.PeerOf(to), make([]byte, request), 16, h)
	})
}

// clock runs loads on a child beside each other for the time of one measurement.
func (c *Canonical) clock(ctx context.Context, name string, child *Child, loads int, load func(run context.Context, i int, h *Histogram) uint64) (Result, error) {
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
	_, q := h.Quantiles(50, 99)
	return Result{Name: name, Requests: n.Load(), Seconds: time.Since(began).Seconds(), CPU: child.CPU() - cpu, P50: q[0], P99: q[1]}, nil
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

func (c *Canonical) print(results map[string][]Result) {
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\nmedians of %d\tserver CPU each\trate\tp50\tp99\t\n", c.Rounds)
	for _, name := range []string{deep16, deep1, renewal, shallow, echoed, byUDP, udpEcho, hello, resumed} {
		rs := results[name]
		if len(rs) == 0 {
			continue
		}
		fmt.Fprintf(w, "%s\t%.3f µs\t%.0f/s\t%v\t%v\t\n", name,
			median(rs, func(r Result) float64 { return us(r.PerRequest()) }), median(rs, func(r Result) float64 { return r.Rate() }),
			time.Duration(median(rs, func(r Result) float64 { return float64(r.P50) })),
			time.Duration(median(rs, func(r Result) float64 { return float64(r.P99) })))
	}
	w.Flush()
	if c.Only != "" {
		return
	}
	fmt.Fprintf(c.Out, "\n1,000 × depth 1 against the bare echo: %.2f × its CPU\n", ratio(results[shallow], results[echoed], (*Result).cost))
	fmt.Fprintf(c.Out, "UDP against the bare echo: %.2f × its rate, %.2f × its CPU\n",
		ratio(results[byUDP], results[udpEcho], (*Result).Rate), ratio(results[byUDP], results[udpEcho], (*Result).cost))
}

func (r *Result) cost() float64 { return us(r.PerRequest()) }

// ratio is the median over the rounds of a figure against another's in the same round.
func ratio(a, b []Result, of func(*Result) float64) float64 {
	ratios := make([]float64, len(a))
	for i := range ratios {
		ratios[i] = of(&a[i]) / of(&b[i])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func median(rs []Result, of func(Result) float64) float64 {
	values := make([]float64, len(rs))
	for i, r := range rs {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
