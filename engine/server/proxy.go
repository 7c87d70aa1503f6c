package server

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
)

// The PROXY protocol, version 2 (HAProxy, proxy-protocol.txt): a proxy says in
// front of a connection's bytes where the connection really comes from.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyHeader    = 16  // signature 12, version and command 1, family and protocol 1, length 2
	proxyMax       = 536 // of the rest: addresses and a few extensions
)

var errProxy = errors.New("PROXY protocol: no valid version 2 header")

// parseProxy reads the header at the front of data. size is 0 while it is not
// complete. source is not valid for connections of the proxy itself (health checks).
func parseProxy(data []byte) (source netip.Addr, size int, err error) {
	if n := min(len(data), len(proxySignature)); string(data[:n]) != proxySignature[:n] {
		return source, 0, errProxy
	}
	if len(data) < proxyHeader {
		return source, 0, nil
	}
	length := int(binary.BigEndian.Uint16(data[14:]))
	if data[12]>>4 != 2 || length > proxyMax {
		return source, 0, errProxy
	}
	if size = proxyHeader + length; len(data) < size {
		return source, 0, nil
	}
	body := data[proxyHeader:size]
	switch command, family := data[12]&15, data[13]; {
	case command == 0: // LOCAL
		return source, size, nil
	case command == 1 && family == 0x11 && length >= 12: // TCP over IPv4
		return netip.AddrFrom4([4]byte(body)), size, nil
	case command == 1 && family == 0x21 && length >= 36: // TCP over IPv6
		return netip.AddrFrom16([16]byte(body)).Unmap(), size, nil
	}
	return source, 0, errProxy
}

// isProxy says whether connections from an address begin with a PROXY header.
func (g *Guards) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(g.ProxiedFrom, func(n netip.Prefix) bool { return n.Contains(a) })
}

// unproxy takes the header off the front of a proxied connection's data; ok is
// false when there is none, or when its source is over its limits.
func (c *conn) unproxy(data []byte, now int64) (used int, ok bool) {
	source, size, err := parseProxy(data)
	if err != nil {
		c.loop.server.Stats.Malformed.Add(1)
		return 0, false
	}
	if size == 0 {
		return 0, true
	}
	c.proxied = false
	if source.IsValid() {
		c.addr = source
	}
	return size, c.admit(now)
}
