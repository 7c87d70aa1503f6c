package bench

import (
	"context"
	"os"
	"time"

	"muster/client"
)

// names of the measurements.
const (
	still     = "nothing at all, either CPU: the machine's own pauses"
	syncing   = "one sync after the other, either CPU: the machine's own pauses"
	deep16    = "report, 16 a record, 50 × depth 128"
	deep1     = "report, 1 a record, 50 × depth 128"
	halfPeak  = "report, 16 a record, on schedule at half that rate"
	halfEcho  = "bare gnet echo, 16 a record, on schedule at that rate"
	halfDisk  = "gnet echo with muster's journal, 16 a record, on schedule at that rate"
	shallow   = "report, 1,000 × depth 1"
	echoed    = "bare gnet echo, 1,000 × depth 1"
	byUDP     = "report by UDP, 50 sockets × 16"
	udpEcho   = "bare recvmmsg echo, 50 sockets × 16"
	runsEcho  = "bare echo by runs of datagrams, 50 sockets × 16"
	renewal   = "check-in, signed, 16 a record, 50 × depth 128"
	hello     = "handshake on a new connection, 50 at once"
	connected = "bare gnet echo on a new connection, 50 at once"
	resumed   = "report under a ticket on a new connection, 50 at once"
	started   = "start of an empty server"
)

// Canonical measures what docs/PERFORMANCE.md reports: a durable, sealed server
// beside bare echoes of the same record sizes.
func (l *Lab) Canonical(ctx context.Context) (*Report, error) {
	server, err := l.server(ctx, "--profile", l.Profile)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	r := l.report("canonical")
	err = l.run(ctx, r, []step{
		{still, l.pauses},
		{syncing, l.syncPauses},
		l.load(deep16, server, Load{Conns: 50, Depth: 128, PerRecord: 16}),
		{halfPeak, func(ctx context.Context) (Figures, error) { return l.halfPeak(ctx, server, halfOf(r)) }},
		{halfEcho, func(ctx context.Context) (Figures, error) { return l.echoAtRate(ctx, 50, 16, halfOf(r)) }},
		{halfDisk, func(ctx context.Context) (Figures, error) { return l.journalEcho(ctx, 50, 16, halfOf(r)) }},
		l.load(deep1, server, Load{Conns: 50, Depth: 128, PerRecord: 1}),
		l.load(renewal, server, Load{Conns: 50, Depth: 128, PerRecord: 16, Mix: Mix{CheckIn: 1}}),
		l.load(shallow, server, Load{Conns: 1000, Depth: 1, PerRecord: 1}),
		{echoed, func(ctx context.Context) (Figures, error) { return l.echo(ctx, 1000, 1, 1) }},
		l.load(byUDP, server, Load{Conns: 50, Depth: 16, PerRecord: 1, UDP: true}),
		l.byUDPEcho(udpEcho, false),
		l.byUDPEcho(runsEcho, true),
		{hello, func(ctx context.Context) (Figures, error) { return l.hello(ctx, server) }},
		{resumed, func(ctx context.Context) (Figures, error) { return l.resumed(ctx, server) }},
		{connected, l.connect},
		{started, l.start},
	})
	if err != nil {
		return nil, err
	}
	r.compare(shallow, echoed)
	r.compare(byUDP, udpEcho)
	r.compare(byUDP, runsEcho)
	return r, server.Stop(20 * time.Second)
}

// halfOf is half of the peak's rate in the last round.
func halfOf(r *Report) float64 {
	if peak := r.measure(deep16); peak != nil {
		return peak.Rounds[len(peak.Rounds)-1].Rate() / 2
	}
	return 500_000 // when the peak is not measured
}

// halfPeak is the load of the peak, on schedule at a rate.
func (l *Lab) halfPeak(ctx context.Context, server *Server, rate float64) (Figures, error) {
	load := Load{Devices: l.Devices, Conns: 50, PerRecord: 16, Uses: []client.Use{benchUse}, Module: benchModule}
	return l.onFleet(ctx, server, load, func(ctx context.Context, c *course) (Figures, error) { return l.atRate(ctx, c, rate) })
}

// start starts a server on an empty directory: its latency is the time until it
// serves devices.
func (l *Lab) start(context.Context) (f Figures, err error) {
	dir, err := os.MkdirTemp(l.Site.Dir, "empty-")
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	s, o := &Server{Dir: dir}, ServerOptions{Binary: l.Site.Muster, CPU: -1, Stderr: os.Stderr}
	if l.Site.Pin {
		o.CPU = serverCPU
	}
	if err := s.writeVendor(); err != nil {
		return f, err
	}
	if f, err = timed(s, o); err != nil {
		return f, err
	}
	return f, s.Stop(20 * time.Second)
}

// compare notes how a measure stands to that of a bare peer.
func (r *Report) compare(name, peer string) {
	if a, b := r.measure(name), r.measure(peer); a != nil && b != nil {
		r.note("%s against %s: %.2f × the rate, %.2f × the CPU of each", name, peer, Ratio(a, b, (*Figures).Rate), Ratio(a, b, (*Figures).PerRequest))
	}
}
