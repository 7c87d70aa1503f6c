//go:build !linux

package datagram

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// Peer is where a datagram came from.
type Peer struct{ from netip.AddrPort }

// Socket is a bound UDP socket. One goroutine may read while another writes.
type Socket struct {
	conn   *net.UDPConn
	packet [1]Packet // the last read one
	room   []byte
}

// Listen binds a socket to host:port. Sockets can't share an address here, and
// have no threads of their own.
func Listen(address string, options Options) (*Socket, error) {
	if options&Shared != 0 {
		return nil, errors.New("several sockets on one address: only on Linux")
	}
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	return &Socket{conn: conn.(*net.UDPConn), room: make([]byte, Size)}, nil
}

// Read waits for a datagram and returns it. It stays until the next Read.
func (s *Socket) Read() ([]Packet, error) {
	size, from, err := s.conn.ReadFromUDPAddrPort(s.room)
	if err != nil {
		return nil, err
	}
	s.packet[0] = Packet{Data: s.room[:size], Peer: Peer{from}}
	return s.packet[:], nil
}

// ReadNow says that there are none: nothing can be read here without waiting.
func (s *Socket) ReadNow() ([]Packet, error) { return nil, nil }

// Write sends datagrams. One that the system refuses is left out: datagrams get lost.
func (s *Socket) Write(packets []Packet) error {
	for i := range packets {
		_, err := s.conn.WriteToUDPAddrPort(packets[i].Data, packets[i].Peer.from)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// PeerOf is the peer at an address.
func PeerOf(to netip.AddrPort) Peer { return Peer{to} }

func (p *Peer) addr() netip.AddrPort {
	return netip.AddrPortFrom(p.from.Addr().Unmap(), p.from.Port())
}

// Addr is where the socket is bound.
func (s *Socket) Addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// SetReadDeadline ends a Read that waits at t, with an error that is
// [os.ErrDeadlineExceeded]; the zero time lifts it.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.conn.SetReadDeadline(t) }

// Close ends reads and writes under way.
func (s *Socket) Close() error { return s.conn.Close() }
