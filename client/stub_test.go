package client_test

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"muster/license"
	"muster/protocol"
)

// Addresses at which no server serves, for what a real one can't be made to do.

// closedPort refuses connections.
func closedPort(t *testing.T) license.Address {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	check(l.Close())
	return stubAddress(l)
}

// silentPort takes connections and never answers.
func silentPort(t *testing.T) license.Address {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	return stubAddress(l)
}

// stubPort lets serve say what a server says; the connection closes when it returns.
func stubPort(t *testing.T, serve func(net.Conn)) license.Address {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			n, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go func() {
				defer n.Close()
				serve(n)
			}()
		}
	}()
	return stubAddress(l)
}

func stubAddress(l net.Listener) license.Address {
	return license.Address{Transport: "tcp", HostPort: l.Addr().String(), HandshakeKey: stubKey.Public()}
}

// counted counts connections.
func counted(n *atomic.Int32, serve func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		n.Add(1)
		serve(c)
	}
}

// rejecting reads one record and rejects it.
func rejecting(reason byte) func(net.Conn) {
	return func(n net.Conn) {
		if _, err := record(n); err == nil {
			_, _ = n.Write(protocol.AppendReject(nil, reason))
		}
	}
}

var (
	stubKey    = must(protocol.NewHandshakeKey(bytes.Repeat([]byte{7}, 32)))
	stubTicket = protocol.MakeTicket(&[32]byte{}, 1, uint32(time.Now().Add(time.Hour).Unix()), 1, 1, [8]byte{})
	stubKeys   = protocol.Keys{Up: [16]byte{1}, Down: [16]byte{2}}
)

// answering makes handshakes and lets answer answer each request.
func answering(answer func(*protocol.Request) protocol.Answer) func(net.Conn) {
	session := protocol.NewServerSession(stubTicket, stubKeys)
	return func(n net.Conn) {
		var nonces protocol.Nonces
		for {
			rec, err := record(n)
			if err != nil {
				return // the client closed
			}
			out := protocol.BeginReply(nil)
			if kind, _, _ := protocol.Header(rec); kind == protocol.TypeHello {
				hello := must(protocol.OpenHello(stubKey, rec))
				out = must(hello.AppendReply(nil, &protocol.HelloReply{Ticket: stubTicket[:], Up: stubKeys.Up[:], Down: stubKeys.Down[:], Time: uint64(time.Now().UnixMilli())}))
			} else {
				var r protocol.Request
				must((&protocol.Decoder{}).Request(must(session.OpenRequest(nil, rec)), &r))
				a := answer(&r)
				a.ID = r.ID
				out = session.FinishReply(protocol.AppendAnswer(out, &a), 0, nonces.Next())
			}
			if _, err := n.Write(out); err != nil {
				return
			}
		}
	}
}

// record reads one whole record.
func record(n net.Conn) ([]byte, error) {
	rec := make([]byte, protocol.HeaderBytes)
	if _, err := io.ReadFull(n, rec); err != nil {
		return nil, err
	}
	_, size, err := protocol.Header(rec)
	if err != nil {
		return nil, err
	}
	rec = append(rec, make([]byte, size-len(rec))...)
	_, err = io.ReadFull(n, rec[protocol.HeaderBytes:])
	return rec, err
}
