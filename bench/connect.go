package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// The loads here open a connection for every request, as devices do that come
// once a day. Their records are made beforehand: the load is not to cost more
// than the server.

// hello makes handshakes: connect, Hello, HelloReply, close.
func (l *Lab) hello(ctx context.Context, server *Server) (Figures, error) {
	key, err := license.ParseLicenseKey(server.Key)
	if err != nil {
		return Figures{}, err
	}
	rec, _, err := protocol.AppendHello(nil, key.Addresses[0].HandshakeKey, &protocol.Hello{Project: key.ProjectID, Organization: key.OrganizationID, Password: key.Password})
	if err != nil {
		return Figures{}, err
	}
	return l.connects(ctx, server.Child, key.Addresses[0].HostPort, func(int) []byte { return rec }, readRecord)
}

// resumed sends a report under a ticket: connect, Request, Reply, close.
// Every sender has a device; its report is the same again and again, which is
// answered as the first was and counts once.
func (l *Lab) resumed(ctx context.Context, server *Server) (Figures, error) {
	key, err := license.ParseLicenseKey(server.Key)
	if err != nil {
		return Figures{}, err
	}
	fleet, err := NewFleet(ctx, server.Key, Load{Devices: atOnce, Conns: atOnce, Depth: 1, PerRecord: 1, Uses: []client.Use{benchUse}, Module: benchModule})
	if err != nil {
		return Figures{}, err
	}
	defer fleet.Close()
	if err := fleet.CheckIn(ctx); err != nil {
		return Figures{}, err
	}
	var nonces protocol.Nonces
	records := make([][]byte, atOnce)
	for i, g := range fleet.conns {
		g.compose(&g.flights[0], 1, actReport)
		rec := protocol.AppendRequest(protocol.BeginRequest(nil), &g.flights[0].request)
		records[i] = g.conn.Ticket().Session().FinishRequest(rec, 0, nonces.Next())
	}
	return l.connects(ctx, server.Child, key.Addresses[0].HostPort, func(i int) []byte { return records[i] }, readRecord)
}

// connect does with the bare echo what resumed does with the server:
// what a connection costs alone.
func (l *Lab) connect(ctx context.Context) (Figures, error) {
	request, reply := recordSizes(1)
	child, addr, err := StartReady(serverCPU, l.Self, "echo", fmt.Sprint(request), fmt.Sprint(reply))
	if err != nil {
		return Figures{}, err
	}
	defer child.Kill()
	return l.connects(ctx, child, addr, func(int) []byte { return make([]byte, request) }, func(in *bufio.Reader) error {
		_, err := in.Discard(reply)
		return err
	})
}

// atOnce is how many connections are made at a time.
const atOnce = 50

func (l *Lab) connects(ctx context.Context, child *Child, addr string, record func(i int) []byte, read func(*bufio.Reader) error) (Figures, error) {
	return l.clock(ctx, child, atOnce, func(run context.Context, i int, h *Histogram) (n uint64, err error) {
		for rec := record(i); run.Err() == nil; n++ {
			began := time.Now()
			if err := connectOnce(addr, rec, read); err != nil {
				return n, err
			}
			h.Observe(time.Since(began), 1)
		}
		return n, nil
	})
}

// connectOnce sends a record on a connection of its own and reads what comes back.
func connectOnce(addr string, rec []byte, read func(*bufio.Reader) error) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0) // a port that is closed in order is not free for a minute
	if _, err := conn.Write(rec); err != nil {
		return err
	}
	return read(bufio.NewReader(conn))
}

// readRecord reads a record that is no rejection.
func readRecord(in *bufio.Reader) error {
	head, err := in.Peek(protocol.HeaderBytes)
	if err != nil {
		return err
	}
	kind, size, err := protocol.Header(head)
	if err == nil && kind == protocol.TypeReject {
		err = fmt.Errorf("rejected: % x", head)
	}
	if err != nil {
		return err
	}
	if size == 0 { // the header alone does not say
		return io.ErrUnexpectedEOF
	}
	_, err = in.Discard(size)
	return err
}
