package datagram

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
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
	conn     *net.UDPConn // nil: the socket has a thread of its own
	raw      syscall.RawConn
	fd       int // of its own thread's
	closed   atomic.Bool
	reading  sync.Mutex // with a thread of its own: held while the descriptor is in use
	writing  sync.Mutex
	local    netip.AddrPort
	wildcard bool // bound to no address in particular: the local one must be told
	deadline atomic.Int64
	runs     bool // consecutive datagrams of one peer may move as one
	in, out  vector
	slots    [][]byte // that are read into
	packets  []Packet
}

// vector is what one system call reads or writes.
type vector struct {
	headers  [Max]header
	iovecs   [Max]unix.Iovec
	names    [Max]unix.RawSockaddrInet6
	controls [Max][controlBytes]byte
	call     func(fd uintptr) bool // made once: a closure a call would be allocated
	n        int                   // to move, and moved
	now      bool                  // move nothing rather than wait
	errno    syscall.Errno
}

// header is struct mmsghdr.
type header struct {
	unix.Msghdr
	bytes uint32
}

// controlBytes is the room for a packet information message, of IPv6 the larger,
// and for the length of a run's datagrams.
const controlBytes = 64

// A run of datagrams to or from one peer is what an IP packet could hold together,
// up to Max of them, which every kernel cuts. The room for it is an odd number of
// cache lines: the first ones of many do not compete for the same places of the cache.
const (
	runBytes   = 65<<10 + 64
	runSent    = 65_000 // bytes, without the headers
	clientRuns = 16     // that are read at once without a thread of one's own
)

// bufferBytes is how much the kernel may queue for a socket, where it lets us.
const bufferBytes = 8 << 20

// Listen binds a socket to host:port.
func Listen(address string, options Options) (*Socket, error) {
	s := &Socket{}
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return s.prepare(c, options&Shared != 0) }}
	conn, err := config.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, err
	}
	s.conn = conn.(*net.UDPConn)
	s.local = s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s.wildcard = s.local.Addr().IsUnspecified()
	if s.raw, err = s.conn.SyscallConn(); err == nil && options&Runs != 0 {
		err = s.raw.Control(func(fd uintptr) {
			joins := unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) == nil
			_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
			s.runs = joins && err == nil
		})
	}
	if err == nil && options&OwnThread != 0 {
		err = s.detach()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	size, slots := Size, Max
	if s.runs {
		size = runBytes
		if options&OwnThread == 0 {
			slots = clientRuns
		}
	}
	room := make([]byte, slots*size)
	for i := range slots {
		slot := room[i*size:][:size:size]
		s.slots = append(s.slots, slot)
		s.in.iovecs[i].Base = &slot[0]
		s.in.iovecs[i].SetLen(size)
	}
	s.in.point()
	s.out.point()
	s.in.call = func(fd uintptr) bool { return s.in.move(fd, unix.SYS_RECVMMSG) }
	s.out.call = func(fd uintptr) bool { return s.out.move(fd, unix.SYS_SENDMMSG) }
	return s, nil
}

// waitTime is how long a thread waits before it looks whether the socket was
// closed or its time is over.
const waitTime = 100 * time.Millisecond

// detach takes the socket away from the Go runtime's poller, which is woken by
// every datagram that comes or has left, whether someone waits for it or not.
func (s *Socket) detach() (err error) {
	fault := s.raw.Control(func(fd uintptr) {
		if s.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(s.fd, false)
		}
		if wait := unix.NsecToTimeval(int64(waitTime)); err == nil {
			err = unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
		}
	})
	if err = errors.Join(fault, err); err != nil {
		return err
	}
	err, s.conn = s.conn.Close(), nil
	return err
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
		h.Control = &v.controls[i][0]
		h.Iov = &v.iovecs[i]
		h.SetIovlen(1)
	}
}

// move makes the system call; false asks to be called again when the socket is ready.
func (v *vector) move(fd, call uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(&v.headers)), uintptr(v.n), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			v.n, v.errno = int(n), 0
			return true
		case unix.EAGAIN:
			v.errno = 0
			if v.now {
				v.n = 0
			}
			return v.now
		case unix.EINTR:
		default:
			v.n, v.errno = 0, errno
			return true
		}
	}
}

// wait reads on the socket's own thread until something came.
func (s *Socket) wait() error {
	s.reading.Lock()
	defer s.reading.Unlock()
	v := &s.in
	for {
		if s.closed.Load() {
			return net.ErrClosed
		}
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&v.headers)), uintptr(v.n), unix.MSG_WAITFORONE, 0, 0)
		switch errno {
		case 0:
			v.n, v.errno = int(n), 0
			return nil
		case unix.EAGAIN, unix.EINTR: // waitTime is over
			if end := s.deadline.Load(); end != 0 && time.Now().UnixNano() >= end {
				return os.ErrDeadlineExceeded
			}
		default:
			v.n, v.errno = 0, errno
			return nil
		}
	}
}

// receive fills the incoming vector.
func (s *Socket) receive(now bool) error {
	switch {
	case s.conn != nil:
		return s.raw.Read(s.in.call)
	case !now:
		return s.wait()
	case s.closed.Load():
		return net.ErrClosed
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.in.move(uintptr(s.fd), unix.SYS_RECVMMSG)
	return nil
}

// transmit sends the outgoing vector.
func (s *Socket) transmit() error {
	if s.conn != nil {
		return s.raw.Write(s.out.call)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed.Load() {
		return net.ErrClosed
	}
	s.out.now = true // what the kernel has no room for is lost, as on the way
	s.out.move(uintptr(s.fd), unix.SYS_SENDMMSG)
	return nil
}

// Read waits for datagrams and returns those that there are, at least one. They
// stay until the next Read. With OwnThread, fewer than Max are all that there were.
func (s *Socket) Read() ([]Packet, error) { return s.read(false) }

// ReadNow is Read without waiting: there may be none.
func (s *Socket) ReadNow() ([]Packet, error) { return s.read(true) }

func (s *Socket) read(now bool) ([]Packet, error) {
	v := &s.in
	v.now, v.n = now, len(s.slots)
	controls := 0
	if s.wildcard || s.runs {
		controls = controlBytes
	}
	for i := range v.n {
		v.headers[i].Namelen = unix.SizeofSockaddrInet6
		v.headers[i].SetControllen(controls)
	}
	if err := s.receive(now); err != nil {
		return nil, err
	}
	if v.errno != 0 {
		return nil, fmt.Errorf("recvmmsg: %w", v.errno)
	}
	s.packets = s.packets[:0]
	for i := range v.n {
		n := v.headers[i].bytes
		data := s.slots[i][:n:n]
		p := Packet{Data: data, Peer: Peer{name: v.names[i]}}
		each := p.Peer.told(v.controls[i][:v.headers[i].Controllen])
		if each == 0 || each >= len(data) {
			s.packets = append(s.packets, p)
			continue
		}
		for len(data) > 0 {
			n := min(each, len(data))
			p.Data, data = data[:n:n], data[n:]
			s.packets = append(s.packets, p)
		}
	}
	return s.packets, nil
}

// Write sends datagrams. One that the kernel refuses, such as to a peer without
// a route, is left out: datagrams get lost.
func (s *Socket) Write(packets []Packet) error {
	v, together := &s.out, s.runs
	for len(packets) > 0 {
		s.pack(packets, together)
		if err := s.transmit(); err != nil {
			return err
		}
		n := 0
		for i := range max(v.n, 1) {
			n += int(v.headers[i].Iovlen)
		}
		if v.errno != 0 && n > 1 { // one that can't be cut on its way: all that is left goes one by one
			together = false
			continue
		}
		packets = packets[n:]
	}
	return nil
}

// pack makes the outgoing vector of the first packets, up to Max.
func (s *Socket) pack(packets []Packet, together bool) {
	v := &s.out
	v.n = 0
	for i := 0; i < min(len(packets), Max); v.n++ {
		n := 1
		if together {
			n = run(packets[i:min(len(packets), Max)])
		}
		for j := i; j < i+n; j++ {
			v.iovecs[j].Base = unsafe.SliceData(packets[j].Data)
			v.iovecs[j].SetLen(len(packets[j].Data))
		}
		h, p := &v.headers[v.n], &packets[i]
		h.Iov = &v.iovecs[i]
		h.SetIovlen(n)
		v.names[v.n] = p.Peer.name
		h.Namelen = unix.SizeofSockaddrInet6
		if p.Peer.name.Family == unix.AF_INET {
			h.Namelen = unix.SizeofSockaddrInet4
		}
		controls := 0
		if p.Peer.local != ([16]byte{}) {
			controls = putLocal(&v.controls[v.n], &p.Peer)
		}
		if n > 1 {
			controls += putLength(v.controls[v.n][controls:], len(p.Data))
		}
		h.SetControllen(controls)
		i += n
	}
}

// run is how many of the packets may leave as one: to one peer, of one length, of
// which the last may fall short.
func run(packets []Packet) int {
	first := &packets[0]
	each := len(first.Data)
	most := min(len(packets), runSent/max(each, 1))
	n := 1
	for n < most {
		p := &packets[n]
		if len(p.Data) > each || len(p.Data) == 0 || p.Peer != first.Peer {
			break
		}
		n++
		if len(p.Data) < each {
			break
		}
	}
	return n
}

// told takes from control messages to which address datagrams came, and returns
// how long each of a run is; 0: it is none.
func (p *Peer) told(control []byte) (each int) {
	for len(control) >= unix.SizeofCmsghdr {
		c := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(control)))
		if int(c.Len) < unix.CmsgLen(0) || int(c.Len) > len(control) {
			break
		}
		data := control[unix.CmsgLen(0):int(c.Len)]
		switch {
		case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			copy(p.local[:], data[:16])
		case c.Level == unix.IPPROTO_IP && c.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			p.local[10], p.local[11] = 0xff, 0xff
			copy(p.local[12:], data[4:8]) // ipi_spec_dst
		case c.Level == unix.IPPROTO_UDP && c.Type == unix.UDP_GRO && len(data) >= 4:
			each = int(binary.NativeEndian.Uint32(data))
		}
		control = control[min(unix.CmsgSpace(len(data)), len(control)):]
	}
	return each
}

// putLength writes the control message that has a run cut into datagrams, and
// returns its length.
func putLength(b []byte, each int) int {
	c := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
	c.Level, c.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	c.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], uint16(each))
	return unix.CmsgSpace(2)
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
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
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
func (s *Socket) Addr() netip.AddrPort { return s.local }

// SetReadDeadline ends a Read that waits at t, with an error that is
// [os.ErrDeadlineExceeded]; the zero time lifts it.
func (s *Socket) SetReadDeadline(t time.Time) error {
	if s.conn != nil {
		return s.conn.SetReadDeadline(t)
	}
	if t.IsZero() {
		s.deadline.Store(0)
	} else {
		s.deadline.Store(t.UnixNano())
	}
	return nil
}

// Close ends reads and writes under way.
func (s *Socket) Close() error {
	if s.conn != nil {
		return s.conn.Close()
	}
	if s.closed.Swap(true) {
		return net.ErrClosed
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.writing.Lock()
	defer s.writing.Unlock()
	return unix.Close(s.fd)
}
