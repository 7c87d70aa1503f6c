package attack

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// forger sends UDP datagrams whose source address is made up.
type forger struct {
	fd  int
	buf []byte
}

func openForger() (*forger, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW) // the IP header comes from us
	return &forger{fd: fd}, err
}

// send sends one datagram. The kernel fills in the IP checksum; the one of UDP
// may be 0 over IPv4.
func (f *forger) send(from, to netip.AddrPort, data []byte) error {
	const ip, udp = 20, 8
	f.buf = append(f.buf[:0], make([]byte, ip+udp)...)
	f.buf = append(f.buf, data...)
	b := f.buf
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[20:], from.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(udp+len(data)))
	err := unix.Sendto(f.fd, b, 0, &unix.SockaddrInet4{Addr: dst})
	if err == unix.ENOBUFS || err == unix.EAGAIN {
		return nil // lost on the way, as datagrams are
	}
	return err
}

func (f *forger) Close() { unix.Close(f.fd) }
