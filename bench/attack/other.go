//go:build !linux

package attack

import (
	"errors"
	"net/netip"
)

var errLinux = errors.New("attacks need network namespaces: run this on Linux, as root")

type forger struct{}

func openForger() (*forger, error) { return nil, errLinux }

func (*forger) send(_, _ netip.AddrPort, _ []byte) error { return errLinux }

func (*forger) Close() {}

type network struct{ devices, server, attackers string }

func newNetwork() (*network, error) { return nil, errLinux }

func (*network) Close() {}

func inside(string) []string { return nil }
