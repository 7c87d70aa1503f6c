package bench

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"muster/datagram"
	"muster/protocol"
)

// recordSizes are what so many reports and their answers take on the wire in a record.
func recordSizes(reports int) (request, reply int) {
	line := []protocol.Line{{Slot: slotNow(time.Now()), Module: 1, Count: 1}}
	r := protocol.Request{Kind: protocol.KindReport, ID: 1 << 16, Stream: 70_000, Token: 1 << 63, Seq: 1000, Tag: 1 << 31, Item: 1, Lines: line}
	a := protocol.Answer{Kind: protocol.KindAccepted, ID: 1 << 16, Seq: 1000}
	return protocol.RequestOverhead + reports*len(protocol.AppendRequest(nil, &r)), protocol.ReplyOverhead + reports*len(protocol.AppendAnswer(nil, &a))
}

// echo does with the bare echo what a fleet does with the server: so many
// reports outstanding on each connection, so many of them in a record.
func (l *Lab) echo(ctx context.Context, conns, depth, perRecord int) (Figures, error) {
	request, reply := recordSizes(perRecord)
	child, addr, err := StartReady(serverCPU, l.Self, "echo", fmt.Sprint(request), fmt.Sprint(reply))
	if err != nil {
		return Figures{}, err
	}
	defer child.Kill()
	f, err := l.pipelines(ctx, child, addr, conns, depth/perRecord, func(int) pipe { return &echoPipe{make([]byte, request), reply} })
	f.Requests *= uint64(perRecord)
	return f, err
}

// journalEcho is echoAtRate with the echo that has a journal, on the disk to
// measure: what a report with one line takes there, a batch at a time.
func (l *Lab) journalEcho(ctx context.Context, conns, perRecord int, rate float64) (Figures, error) {
	dir, err := os.MkdirTemp(l.Site.Dir, "echo-")
	if err != nil {
		return Figures{}, err
	}
	defer os.RemoveAll(dir)
	return l.echoAtRate(ctx, conns, perRecord, rate, "--journal", dir, "--entry", fmt.Sprint(perRecord*reportBytes))
}

// reportBytes is what a report with one line takes in the journal: the engine's
// reportHeadBytes and reportLineBytes.
const reportBytes = 36 + 10

// echoAtRate sends the bare echo records of so many reports on schedule, as a
// fleet does in an open loop.
func (l *Lab) echoAtRate(ctx context.Context, conns, perRecord int, rate float64, flags ...string) (Figures, error) {
	request, reply := recordSizes(perRecord)
	child, addr, err := StartReady(serverCPU, append([]string{l.Self, "echo", fmt.Sprint(request), fmt.Sprint(reply)}, flags...)...)
	if err != nil {
		return Figures{}, err
	}
	defer child.Kill()
	list, err := dial(ctx, addr, conns)
	if err != nil {
		return Figures{}, err
	}
	defer closeAll(list)
	work := func(lab *Lab) (Figures, error) {
		records := steady(time.Now(), rate/float64(perRecord))
		return lab.clock(ctx, child, conns, func(run context.Context, i int, h *Histogram) (uint64, error) {
			return onSchedule(run, list[i], records, i, conns, &echoPipe{make([]byte, request), reply}, h)
		})
	}
	warm := *l
	warm.Time = time.Second
	if f, err := work(&warm); err != nil {
		return f, err
	}
	f, err := work(l)
	f.Requests *= uint64(perRecord)
	return f, err
}

// onSchedule sends every stride-th request of a pace, from the first one on, until
// ctx ends, and waits for the last replies.
func onSchedule(ctx context.Context, conn net.Conn, p *pace, first, stride int, of pipe, h *Histogram) (n uint64, err error) {
	alarm, err := newAlarm(ctx)
	if err != nil {
		return 0, err
	}
	defer alarm.close()
	sent := make(chan time.Time, 1<<10) // when they were due, of what has no reply yet
	read := make(chan error, 1)
	go func() {
		in := bufio.NewReaderSize(conn, 64<<10)
		for due := range sent {
			if err := of.read(in); err != nil {
				read <- err
				return
			}
			h.Observe(time.Since(due), 1)
			n++
		}
		read <- nil
	}()
	at := float64(first)
	due, _ := p.due(at)
	var out []byte
	for err == nil && ctx.Err() == nil {
		out = out[:0]
		for now := time.Now(); !due.After(now) && len(sent) < cap(sent); due, _ = p.due(at) {
			out = of.append(out)
			sent <- due
			at += float64(stride)
		}
		if _, err = conn.Write(out); err != nil {
			_ = conn.Close() // ends the reading half
		}
		p.wait(alarm, due)
	}
	close(sent)
	return n, firstError(err, <-read)
}

// pipe is what a pipeline sends and reads.
type pipe interface {
	append(out []byte) []byte // one request
	read(in *bufio.Reader) error
}

// pipelines keep depth requests outstanding on each of so many connections.
func (l *Lab) pipelines(ctx context.Context, child *Child, addr string, conns, depth int, of func(i int) pipe) (Figures, error) {
	list, err := dial(ctx, addr, conns)
	if err != nil {
		return Figures{}, err
	}
	defer closeAll(list)
	return l.clock(ctx, child, conns, func(run context.Context, i int, h *Histogram) (uint64, error) {
		return pipeline(run, list[i], depth, of(i), h)
	})
}

// dial opens connections to an address.
func dial(ctx context.Context, addr string, conns int) (list []net.Conn, err error) {
	for range conns {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			closeAll(list)
			return nil, err
		}
		list = append(list, conn)
	}
	return list, nil
}

func closeAll(list []net.Conn) {
	for _, conn := range list {
		_ = conn.Close()
	}
}

// pipeline sends a request for every reply that has come, until ctx ends, and
// waits for the last replies.
func pipeline(ctx context.Context, conn net.Conn, depth int, p pipe, h *Histogram) (n uint64, err error) {
	in := bufio.NewReaderSize(conn, 64<<10)
	sent := make([]time.Time, depth) // of those outstanding, a ring
	first, outstanding := 0, 0
	var out []byte
	for {
		if now := time.Now(); ctx.Err() == nil {
			out = out[:0]
			for ; outstanding < depth; outstanding++ {
				sent[(first+outstanding)%depth] = now
				out = p.append(out)
			}
			if _, err := conn.Write(out); err != nil {
				return n, err
			}
		}
		if outstanding == 0 {
			return n, nil
		}
		for more := true; more && outstanding > 0; more = in.Buffered() > 0 {
			if err := p.read(in); err != nil {
				return n, err
			}
			h.Observe(time.Since(sent[first]), 1)
			first = (first + 1) % depth
			outstanding--
			n++
		}
	}
}

// echoPipe talks to the bare echo.
type echoPipe struct {
	request []byte
	reply   int
}

func (p *echoPipe) append(out []byte) []byte { return append(out, p.request...) }

func (p *echoPipe) read(in *bufio.Reader) error {
	_, err := in.Discard(p.reply)
	return err
}

// byUDPEcho is a step that does with the bare echo what the load by UDP does with
// the server; runs: the echo too has consecutive datagrams of one peer move as one.
func (l *Lab) byUDPEcho(name string, runs bool) step {
	return step{name, func(ctx context.Context) (Figures, error) { return l.volleys(ctx, runs) }}
}

func (l *Lab) volleys(ctx context.Context, runs bool) (Figures, error) {
	request, reply := recordSizes(1)
	child, addr, err := StartReady(serverCPU, l.Self, "udp-echo", fmt.Sprint(reply), fmt.Sprint("--runs=", runs))
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
		if sockets[i], err = datagram.Listen("127.0.0.1:0", socketOptions(len(sockets))); err != nil {
			return Figures{}, err
		}
		defer sockets[i].Close()
	}
	return l.clock(ctx, child, len(sockets), func(run context.Context, i int, h *Histogram) (uint64, error) {
		return volley(run, sockets[i], datagram.PeerOf(to), make([]byte, request), 16, h)
	})
}

// volley keeps so many datagrams outstanding until ctx ends.
func volley(ctx context.Context, socket *datagram.Socket, to datagram.Peer, request []byte, outstanding int, h *Histogram) (n uint64, err error) {
	out := make([]datagram.Packet, outstanding)
	for i := range out {
		out[i] = datagram.Packet{Data: request, Peer: to}
	}
	for send := outstanding; ctx.Err() == nil; {
		began := time.Now()
		if err := socket.Write(out[:send]); err != nil {
			return n, err
		}
		if err := socket.SetReadDeadline(began.Add(lossTime)); err != nil {
			return n, err
		}
		in, err := socket.Read()
		if err != nil { // all were lost
			send = outstanding
			continue
		}
		for range in {
			h.Observe(time.Since(began), 1)
		}
		n += uint64(len(in))
		send = min(len(in), outstanding)
	}
	return n, nil
}
