package datagram

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is where a datagram came from, and to which address of this host. It
// holds no pointer: keep as many as you like.
type Peer struct {
	name  unix.RawSockaddrInet6 // or RawSockaddrInet4, by its family
	local [16]byte              // of this host, IPv4 mapped; zero: not known
}

// Socket is a bound UDP socket. One goroutine may read while another writes.
type Socket struct {
	conn     *net.UDPConn
	raw      syscall.RawConn
	wildcard bool // bound to no address in particular: the local one must be told
	in, out  vector
}

// vector is what one system call reads or writes.
type vector struct {
	headers  [Max]header
	iovecs   [Max]unix.Iovec
	names    [Max]unix.RawSockaddrInet6
	controls [Max][controlBytes]byte
	call     func(fd uintptr) bool // made once: a closure a call would be allocated
	n        int                   // to move, and moved
	errno    syscall.Errno
}

// header is struct mmsghdr.
type header struct {
	unix.Msghdr
	bytes uint32
}

// controlBytes is the room for one packet information message, of IPv6 the larger.
var controlSpace = unix.CmsgSpace(unix.SizeofInet6Pktinfo)

const controlBytes = 64

// bufferBytes is how much the kernel may queue for a socket, where it lets us.
const bufferBytes = 8 << 20

// Listen binds a socket to host:port. With reuse, several sockets may be bound
// to the same address and share what arrives.
func Listen(address string, reuse bool) (*Socket, error) {
	s := &Socket{}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return s.prepare(c, reuse) }}
	conn, err := config.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, err
	}
	s.conn = conn.(*net.UDPConn)
	s.wildcard = s.Addr().Addr().IsUnspecified()
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		return nil, errors.Join(err, s.conn.Close())
	}
	s.in.point()
	s.out.point()
	s.in.call = func(fd uintptr) bool { return s.in.move(fd, unix.SYS_RECVMMSG) }
	s.out.call = func(fd uintptr) bool { return s.out.move(fd, unix.SYS_SENDMMSG) }
	return s, nil
}

// prepare sets what has to be set before the socket is bound.
func (s *Socket) prepare(c syscall.RawConn, reuse bool) (err error) {
	fault := c.Control(func(fd uintptr) {
		set := func(level, option int) {
			if e := unix.SetsockoptInt(int(fd), level, option, 1); e != nil && err == nil {
				err = e
			}
		}
		if reuse {
			set(unix.SOL_SOCKET, unix.SO_REUSEPORT)
		}
		domain, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if domain == unix.AF_INET6 {
			set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO)
		} else {
			set(unix.IPPROTO_IP, unix.IP_PKTINFO)
		}
		for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, bufferBytes) // as much as we are allowed
		}
	})
	return errors.Join(fault, err)
}

// point connects the parts that never move.
func (v *vector) point() {
	for i := range v.headers {
		h := &v.headers[i]
		h.Name = (*byte)(unsafe.Pointer(&v.names[i]))
		h.Iov = &v.iovecs[i]
		h.SetIovlen(1)
	}
}

// move makes the system call; false asks to be called again when the socket is ready.
func (v *vector) move(fd, call uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(call, fd, uintptr(unsafe.Pointer(&v.headers)), uintptr(v.n), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			v.n, v.errno = int(n), 0
			return true
		case unix.EAGAIN:
			return false
		case unix.EINTR:
		default:
			v.n, v.errno = 0, errno
			return true
		}
	}
}

// Read waits for datagrams and reads as many as there are, up to len(packets)
// and Max. Each Data has to have room; it is cut to what was read.
func (s *Socket) Read(packets []Packet) (n int, err error) {
	v := &s.in
	v.n = min(len(packets), Max)
	for i := range v.n {
		v.iovecs[i].Base = unsafe.SliceData(packets[i].Data)
		v.iovecs[i].SetLen(len(packets[i].Data))
		h := &v.headers[i]
		h.Namelen, h.Control = unix.SizeofSockaddrInet6, nil
		if s.wildcard {
			h.Control = &v.controls[i][0]
			h.SetControllen(controlSpace)
		}
	}
	if err := s.raw.Read(v.call); err != nil {
		return 0, err
	}
	if v.errno != 0 {
		return 0, fmt.Errorf("recvmmsg: %w", v.errno)
	}
	for i := range v.n {
		p := &packets[i]
		p.Data = p.Data[:v.headers[i].bytes]
		p.Peer = Peer{name: v.names[i]}
		if s.wildcard {
			p.Peer.local = localAddress(v.controls[i][:v.headers[i].Controllen])
		}
	}
	return v.n, nil
}

// Write sends datagrams. One that the kernel refuses, such as to a peer without
// a route, is left out: datagrams get lost.
func (s *Socket) Write(packets []Packet) error {
	for len(packets) > 0 {
		v := &s.out
		v.n = min(len(packets), Max)
		for i := range v.n {
			s.address(i, &packets[i])
		}
		if err := s.raw.Write(v.call); err != nil {
			return err
		}
		packets = packets[max(v.n, 1):]
	}
	return nil
}

// address makes header i of the outgoing vector that of a packet.
func (s *Socket) address(i int, p *Packet) {
	v := &s.out
	v.iovecs[i].Base = unsafe.SliceData(p.Data)
	v.iovecs[i].SetLen(len(p.Data))
	v.names[i] = p.Peer.name
	h := &v.headers[i]
	h.Namelen = unix.SizeofSockaddrInet6
	if p.Peer.name.Family == unix.AF_INET {
		h.Namelen = unix.SizeofSockaddrInet4
	}
	h.Control = nil
	h.SetControllen(0)
	if p.Peer.local != ([16]byte{}) {
		h.Control = &v.controls[i][0]
		h.SetControllen(putLocal(&v.controls[i], &p.Peer))
	}
}

// localAddress finds in a control message to which address a datagram came.
func localAddress(control []byte) (local [16]byte) {
	if len(control) < unix.SizeofCmsghdr {
		return local
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(control)))
	data := control[unix.CmsgLen(0):]
	switch {
	case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		copy(local[:], data[:16])
	case c.Level == unix.IPPROTO_IP && c.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		local[10], local[11] = 0xff, 0xff
		copy(local[12:], data[4:8]) // ipi_spec_dst
	}
	return local
}

// putLocal writes the control message that makes a datagram leave from the
// peer's local address, and returns its length.
func putLocal(b *[controlBytes]byte, p *Peer) int {
	c := (*unix.Cmsghdr)(unsafe.Pointer(b))
	data := b[unix.CmsgLen(0):]
	if p.name.Family == unix.AF_INET {
		c.Level, c.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		c.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		clear(data[:unix.SizeofInet4Pktinfo])
		copy(data[4:8], p.local[12:])
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	c.Level, c.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	c.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	clear(data[:unix.SizeofInet6Pktinfo])
	copy(data, p.local[:])
	return controlSpace
}

// PeerOf is the peer at an address, which a socket of the same family reaches.
func PeerOf(to netip.AddrPort) (p Peer) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&p.name.Port))[:], to.Port())
	if to.Addr().Is4() {
		p.name.Family = unix.AF_INET
		(*unix.RawSockaddrInet4)(unsafe.Pointer(&p.name)).Addr = to.Addr().As4()
		return p
	}
	p.name.Family, p.name.Addr = unix.AF_INET6, to.Addr().As16()
	return p
}

func (p *Peer) addr() netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&p.name.Port))
	if p.name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&p.name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), binary.BigEndian.Uint16(port[:]))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(p.name.Addr).Unmap(), binary.BigEndian.Uint16(port[:]))
}

// Addr is where the socket is bound.
func (s *Socket) Addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close ends reads and writes under way.
func (s *Socket) Close() error { return s.conn.Close() }
