package datagram

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
)

// echo answers every datagram with itself until the socket closes.
func echo(s *Socket) {
	packets := room()
	for {
		n, err := s.Read(packets)
		if err != nil {
			return
		}
		if s.Write(packets[:n]) != nil {
			return
		}
		for i := range packets[:n] {
			packets[i].Data = packets[i].Data[:Size]
		}
	}
}

func room() []Packet {
	packets := make([]Packet, Max)
	for i := range packets {
		packets[i].Data = make([]byte, Size)
	}
	return packets
}

func listen(t *testing.T, address string, options Options) *Socket {
	t.Helper()
	s, err := Listen(address, options)
	if err != nil {
		t.Skipf("no socket on %s here: %v", address, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// both runs a test for sockets in the runtime's poller and with threads of their own.
func both(t *testing.T, test func(*testing.T, Options)) {
	for name, options := range map[string]Options{"poller": 0, "own thread": OwnThread, "shared": Shared | OwnThread} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS != "linux" && options&Shared != 0 {
				t.Skip("sockets share an address on Linux only")
			}
			test(t, options)
		})
	}
}

// TestReplyComesFromWhereItWasSentTo: on an address of its own or on all of them,
// a connected client gets its answers.
func TestReplyComesFromWhereItWasSentTo(t *testing.T) { both(t, testReplyComesFromWhereItWasSentTo) }

func testReplyComesFromWhereItWasSentTo(t *testing.T, options Options) {
	for _, row := range []struct{ bound, sent string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {"0.0.0.0:0", "127.0.0.1"}, {":0", "::1"}, {":0", "127.0.0.1"}, {":0", "127.0.0.2"}, {"0.0.0.0:0", "127.0.0.3"},
	} {
		t.Run(row.bound+" "+row.sent, func(t *testing.T) {
			s := listen(t, row.bound, options)
			go echo(s)
			to := netip.AddrPortFrom(netip.MustParseAddr(row.sent), s.Addr().Port())
			c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
			if err != nil {
				t.Skipf("no way to %s here: %v", to, err)
			}
			defer c.Close()
			// A reply from another address would not arrive: the deadline only ends a failure.
			c.SetDeadline(time.Now().Add(10 * time.Second))
			for i := range 3 * Max {
				sent := fmt.Appendf(nil, "datagram %d", i)
				if _, err := c.Write(sent); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, Size)
				n, err := c.Read(got)
				if err != nil || !bytes.Equal(got[:n], sent) {
					t.Fatalf("%q, %v; sent %q", got[:n], err, sent)
				}
			}
		})
	}
}

func TestPeerIsToldAndOneWithoutRouteIsLeftOut(t *testing.T) {
	both(t, testPeerIsToldAndOneWithoutRouteIsLeftOut)
}

func testPeerIsToldAndOneWithoutRouteIsLeftOut(t *testing.T, options Options) {
	s, other := listen(t, "127.0.0.1:0", options), listen(t, "127.0.0.1:0", options)
	var packet Packet
	packet.Data = []byte("hello")
	packet.Peer = PeerOf(s.Addr())
	nowhere := packet
	nowhere.Peer = Peer{} // no address at all
	if err := other.Write([]Packet{nowhere, packet, nowhere, packet}); err != nil {
		t.Fatal(err)
	}
	packets := room()
	for got := 0; got < 2; {
		n, err := s.Read(packets)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if string(packets[i].Data) != "hello" || packets[i].Peer.Addr() != other.Addr() {
				t.Errorf("%q from %v, want hello from %v", packets[i].Data, packets[i].Peer.Addr(), other.Addr())
			}
			packets[i].Data = packets[i].Data[:Size]
		}
		got += n
	}
}

func TestReadNowDoesNotWait(t *testing.T) { both(t, testReadNowDoesNotWait) }

func testReadNowDoesNotWait(t *testing.T, options Options) {
	s, other := listen(t, "127.0.0.1:0", options), listen(t, "127.0.0.1:0", options)
	packets := room()
	if n, err := s.ReadNow(packets); n != 0 || err != nil {
		t.Errorf("%d datagrams of none, %v", n, err)
	}
	if err := other.Write([]Packet{{Data: []byte("hello"), Peer: PeerOf(s.Addr())}}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(packets); n != 1 || err != nil {
		t.Errorf("%d datagrams of one, %v", n, err)
	}
}

func TestClosedSocketEndsRead(t *testing.T) { both(t, testClosedSocketEndsRead) }

func testClosedSocketEndsRead(t *testing.T, options Options) {
	s := listen(t, "127.0.0.1:0", options)
	done := make(chan error)
	go func() { _, err := s.Read(room()); done <- err }()
	s.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestNothingIsAllocated(t *testing.T) { both(t, testNothingIsAllocated) }

func testNothingIsAllocated(t *testing.T, options Options) {
	a, b := listen(t, "127.0.0.1:0", options), listen(t, "127.0.0.1:0", options)
	packets := room()
	packets[0].Data = append(packets[0].Data[:0], "hello"...)
	packets[0].Peer = PeerOf(b.Addr())
	in := room()
	if n := testing.AllocsPerRun(100, func() {
		if a.Write(packets[:1]) != nil {
			t.Error("write")
		}
		if _, err := b.Read(in); err != nil {
			t.Error(err)
		}
		in[0].Data = in[0].Data[:Size]
	}); n != 0 {
		t.Errorf("%v allocations for a datagram", n)
	}
}

func TestReadDeadline(t *testing.T) { both(t, testReadDeadline) }

func testReadDeadline(t *testing.T, options Options) {
	s := listen(t, "127.0.0.1:0", options)
	if err := s.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(room()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
