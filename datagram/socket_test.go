package datagram

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
)

// echo answers every datagram with itself until the socket closes.
func echo(s *Socket) {
	for {
		packets, err := s.Read()
		if err != nil || s.Write(packets) != nil {
			return
		}
	}
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
	for name, options := range map[string]Options{"poller": 0, "own thread": OwnThread, "shared": Shared | OwnThread, "runs": Runs, "runs on a thread": Runs | OwnThread} {
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
	for got := 0; got < 2; {
		packets, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		for i := range packets {
			if string(packets[i].Data) != "hello" || packets[i].Peer.Addr() != other.Addr() {
				t.Errorf("%q from %v, want hello from %v", packets[i].Data, packets[i].Peer.Addr(), other.Addr())
			}
		}
		got += len(packets)
	}
}

// TestRunsKeepTheirDatagrams sends many at once, to several peers and of several
// lengths, and wants each of them as it was, in order, there and back.
func TestRunsKeepTheirDatagrams(t *testing.T) { both(t, testRunsKeepTheirDatagrams) }

func testRunsKeepTheirDatagrams(t *testing.T, options Options) {
	from := listen(t, "127.0.0.1:0", options)
	var to []*Socket
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", ":0"} {
		to = append(to, listen(t, address, options&^Shared))
	}
	runsArrive(t, from, to)
}

// runsArrive sends runs of all kinds from one socket to others and back.
func runsArrive(t *testing.T, from *Socket, to []*Socket) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	ways := map[netip.AddrPort][][]byte{} // what is under way, by the other end
	peers := make([]netip.AddrPort, len(to))
	for i, s := range to {
		peers[i] = netip.AddrPortFrom(from.Addr().Addr(), s.Addr().Port())
	}
	for range 300 {
		var packets []Packet
		for len(packets) < Max/2 { // what any kernel keeps for a socket
			peer, length := peers[r.IntN(len(to))], r.IntN(Size)+1
			for range r.IntN(40) {
				data := make([]byte, max(1, length-r.IntN(40)/39*r.IntN(length))) // seldom a shorter one
				for i := range data {
					data[i] = byte(r.Uint32())
				}
				packets = append(packets, Packet{Data: data, Peer: PeerOf(peer)})
				ways[peer] = append(ways[peer], data)
			}
		}
		if err := from.Write(packets); err != nil {
			t.Fatal(err)
		}
		for i, s := range to {
			sent := ways[peers[i]]
			for len(sent) > 0 {
				packets := readSoon(t, s)
				for _, p := range packets {
					if len(sent) == 0 || !bytes.Equal(p.Data, sent[0]) || p.Peer.Addr() != from.Addr() {
						t.Fatalf("%d bytes from %v do not follow", len(p.Data), p.Peer.Addr())
					}
					sent = sent[1:]
				}
				if err := s.Write(packets); err != nil {
					t.Fatal(err)
				}
			}
		}
		for left := len(packets); left > 0; {
			for _, p := range readSoon(t, from) {
				sent := ways[p.Peer.Addr()]
				if len(sent) == 0 || !bytes.Equal(p.Data, sent[0]) {
					t.Fatalf("%d bytes back from %v do not follow", len(p.Data), p.Peer.Addr())
				}
				ways[p.Peer.Addr()] = sent[1:]
				left--
			}
		}
	}
}

// readSoon reads; the deadline only ends a failure.
func readSoon(t *testing.T, s *Socket) []Packet {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	packets, err := s.Read()
	if err != nil {
		t.Fatalf("datagrams are missing: %v", err)
	}
	return packets
}

func TestReadNowDoesNotWait(t *testing.T) { both(t, testReadNowDoesNotWait) }

func testReadNowDoesNotWait(t *testing.T, options Options) {
	s, other := listen(t, "127.0.0.1:0", options), listen(t, "127.0.0.1:0", options)
	if packets, err := s.ReadNow(); len(packets) != 0 || err != nil {
		t.Errorf("%d datagrams of none, %v", len(packets), err)
	}
	if err := other.Write([]Packet{{Data: []byte("hello"), Peer: PeerOf(s.Addr())}}); err != nil {
		t.Fatal(err)
	}
	if packets, err := s.Read(); len(packets) != 1 || err != nil {
		t.Errorf("%d datagrams of one, %v", len(packets), err)
	}
}

func TestClosedSocketEndsRead(t *testing.T) { both(t, testClosedSocketEndsRead) }

func testClosedSocketEndsRead(t *testing.T, options Options) {
	s := listen(t, "127.0.0.1:0", options)
	done := make(chan error)
	go func() { _, err := s.Read(); done <- err }()
	s.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestNothingIsAllocated(t *testing.T) { both(t, testNothingIsAllocated) }

func testNothingIsAllocated(t *testing.T, options Options) {
	a, b := listen(t, "127.0.0.1:0", options), listen(t, "127.0.0.1:0", options)
	packets := []Packet{{Data: []byte("hello"), Peer: PeerOf(b.Addr())}}
	if n := testing.AllocsPerRun(100, func() {
		if a.Write(packets) != nil {
			t.Error("write")
		}
		if _, err := b.Read(); err != nil {
			t.Error(err)
		}
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
	if _, err := s.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
