package server

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
)

func TestLimiter(t *testing.T) {
	var l limiter
	l.init(600, 30)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.9")
	take := func(source netip.Addr, now int64) (n int) {
		for range 100 {
			if l.allow(source, now) {
				n++
			}
		}
		return n
	}
	for _, row := range []struct {
		source netip.Addr
		now    int64
		want   int
	}{
		{a, 1000, 30}, {a, 1000, 0}, {b, 1000, 30}, {a, 1001, 10}, {a, 1003, 20}, {a, 900, 0}, {a, 5000, 30},
	} {
		if got := take(row.source, row.now); got != row.want {
			t.Errorf("%v at %d: %d allowed, want %d", row.source, row.now, got, row.want)
		}
	}
}

// TestNetworks: one host can fill an IPv6 /64, so that is one source.
func TestNetworks(t *testing.T) {
	same := func(a, b string) bool { return network(netip.MustParseAddr(a)) == network(netip.MustParseAddr(b)) }
	if !same("2001:db8::1", "2001:db8::ffff:1") || same("2001:db8::1", "2001:db8:0:1::1") || same("192.0.2.1", "192.0.2.2") {
		t.Error("sources are told apart wrongly")
	}
}

// proxied is a PROXY version 2 header for a connection from an address.
func proxied(source netip.AddrPort, extension ...byte) []byte {
	b := append([]byte(proxySignature), 0x21, 0x11, 0, 0)
	if source.Addr().Is6() {
		b[13] = 0x21
	}
	b = append(b, source.Addr().AsSlice()...)
	b = append(b, make([]byte, source.Addr().BitLen()/8)...)
	b = binary.BigEndian.AppendUint16(b, source.Port())
	b = append(append(b, 0, 80), extension...)
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-proxyHeader))
	return b
}

func TestParseProxy(t *testing.T) {
	for _, text := range []string{"192.0.2.7:4000", "[2001:db8::7]:4000"} {
		source := netip.MustParseAddrPort(text)
		header := proxied(source, 4, 0, 1, 9)
		for n := range header {
			if _, size, err := parseProxy(header[:n]); size != 0 || err != nil {
				t.Errorf("%d bytes of %d: size %d, %v", n, len(header), size, err)
			}
		}
		got, size, err := parseProxy(append(bytes.Clone(header), "Ms"...))
		if got != source.Addr() || size != len(header) || err != nil {
			t.Errorf("%v %d %v, want %v %d", got, size, err, source.Addr(), len(header))
		}
	}
	local := append([]byte(proxySignature), 0x20, 0, 0, 0)
	if got, size, err := parseProxy(local); got.IsValid() || size != 16 || err != nil {
		t.Errorf("a health check: %v %d %v", got, size, err)
	}
	good := proxied(netip.MustParseAddrPort("192.0.2.7:4000"))
	for name, spoil := range map[string]func(b []byte){
		"signature": func(b []byte) { b[3] ^= 1 }, "version 1": func(b []byte) { b[12] = 0x11 }, "unknown command": func(b []byte) { b[12] = 0x22 },
		"UDP": func(b []byte) { b[13] = 0x12 }, "unix socket": func(b []byte) { b[13] = 0x31 }, "too long": func(b []byte) { b[14] = 0xff },
		"too short": func(b []byte) { b[15] = 11 }, "IPv6 in the room of IPv4": func(b []byte) { b[13] = 0x21 },
	} {
		b := bytes.Clone(good)
		spoil(b)
		if _, _, err := parseProxy(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestConnectionsKeepTheirPlace removes connections in every order.
func TestConnectionsKeepTheirPlace(t *testing.T) {
	var cs connections
	var all []*conn
	for range 10 {
		c := &conn{}
		cs.add(c)
		all = append(all, c)
	}
	for _, i := range []int{9, 0, 4, 5, 1, 8} {
		cs.remove(all[i])
		for at, c := range cs.list {
			if c.index != at {
				t.Fatalf("connection at %d believes to be at %d", at, c.index)
			}
		}
		if slices.Contains(cs.list, all[i]) {
			t.Error("it is still there")
		}
	}
}
