package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// attacker is the process that attacks: it has a license key, as a thief of one
// does, and many addresses.
type attacker struct {
	key    license.LicenseKey
	ticket client.Ticket
	server netip.AddrPort

	did    atomic.Uint64 // connections, datagrams or records
	failed atomic.Uint64 // connections that were not to be had
	uses   uint64        // reported and acknowledged
}

// Report is what an attacker did.
type Report struct {
	Did    uint64
	Failed uint64
	Uses   uint64
}

// sources is how many addresses the attacker has.
const sources = 200

// source is one of the attacker's addresses.
func source(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 99, 1, byte(1 + i%sources)}) }

func (a *attacker) dial(ctx context.Context, i int) (net.Conn, error) {
	d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source(i), 0))}
	return d.DialContext(ctx, "tcp", a.server.String())
}

// Attack carries out the attack of that name, as a process of its own, until in
// ends; in begins with a line: the license key, and whom to attack. It prints
// "ready" when it begins and its Report at the end.
func Attack(name string, in io.Reader, out io.Writer) error {
	var text, target string
	if _, err := fmt.Fscanln(in, &text, &target); err != nil {
		return fmt.Errorf("attacker: expected a license key and an address: %w", err)
	}
	key, err := license.ParseLicenseKey(text)
	if err != nil {
		return err
	}
	a := &attacker{key: key}
	if a.server, err = netip.ParseAddrPort(target); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, err := client.Dial(ctx, key, protocol.UUID{}, client.Ticket{})
	if err != nil {
		return err
	}
	a.ticket = conn.Ticket()
	conn.Close()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	for i := range attacks {
		if attacks[i].name == name {
			fmt.Fprintln(out, "ready")
			if err := attacks[i].run(ctx, a); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return json.NewEncoder(out).Encode(Report{a.did.Load(), a.failed.Load(), a.uses})
		}
	}
	return fmt.Errorf("no attack %q", name)
}
