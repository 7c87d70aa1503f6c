// Package attack does to a muster server what hostile peers do, and measures
// what honest devices notice of it (docs/SECURITY.md). Server, devices and
// attackers are processes in network namespaces of their own, so that an
// attacker has real addresses and can forge others.
package attack

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"time"

	"muster/client"
	"muster/protocol"
)

// An attack goes on until ctx ends.
type attack struct {
	name string
	does string
	run  func(ctx context.Context, a *attacker) error
}

// attacks are all of them. Rates are such that the attacker's CPU, which the
// honest devices share, is not what is measured.
var attacks = []attack{
	{"half records", "1,000 connections stop in the middle of a record", halfRecords},
	{"a byte a second", "1,000 connections send a record byte by byte", drip},
	{"no reading", "50 connections ask for 5,000 answers a second each and read none", deaf},
	{"idle", "10,000 connections say nothing", idle},
	{"full house", "more connections than the server may have open files", fullHouse},
	{"connections", "2,000 connections a second, closed at once, from 200 addresses", connections},
	{"handshakes", "2,000 handshakes a second with a stolen license key, from 200 addresses", handshakes},
	{"passwords", "2,000 handshakes a second with wrong passwords, from 200 addresses", passwords},
	{"garbage", "2,000 connections and 10,000 datagrams a second with random bytes", garbage},
	{"made-up tickets", "20,000 datagrams a second under random tickets, from forged addresses", strangers},
	{"altered records", "20,000 datagrams a second under a genuine ticket that do not open, from forged addresses", altered},
	{"replayed datagrams", "10,000 copies a second of one recorded report, from forged addresses", replayedDatagrams},
	{"replayed records", "10,000 copies a second of one recorded report, over TCP", replayedRecords},
}

// pace calls step so many times a second, in bursts a millisecond apart, until
// ctx ends or step fails.
func pace(ctx context.Context, perSecond int, step func(i int) error) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// What was missed while something else had the CPU is not caught up at once.
		due := min(int(time.Since(began).Seconds()*float64(perSecond)), i+perSecond/100+1)
		for ; i < due; i++ {
			if err := step(i); err != nil {
				return err
			}
		}
	}
}

// hold opens so many connections, 2,000 a second, keeps them open, each with what
// begin sends, and opens new ones for those that the server closes.
func (a *attacker) hold(ctx context.Context, connections int, begin func(ctx context.Context, c net.Conn)) error {
	return pace(ctx, 2000, func(i int) error {
		if i >= connections {
			return nil
		}
		go func() {
			for ctx.Err() == nil {
				a.keep(ctx, i, begin)
				pause(ctx, time.Second)
			}
		}()
		return nil
	})
}

// keep opens a connection and keeps it until the server closes it.
func (a *attacker) keep(ctx context.Context, i int, begin func(ctx context.Context, c net.Conn)) {
	c, err := a.dial(ctx, i)
	if err != nil {
		a.failed.Add(1)
		return
	}
	a.did.Add(1)
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	begin(ctx, c)
	_, _ = io.Copy(io.Discard, c)
	c.Close()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func halfRecords(ctx context.Context, a *attacker) error {
	rec := a.record(&protocol.Request{Kind: protocol.KindPing, ID: 1})
	return a.hold(ctx, 1000, func(_ context.Context, c net.Conn) { _, _ = c.Write(rec[:len(rec)/2]) })
}

func drip(ctx context.Context, a *attacker) error {
	rec := a.record(&protocol.Request{Kind: protocol.KindPing, ID: 1})
	return a.hold(ctx, 1000, func(ctx context.Context, c net.Conn) {
		for i := range rec {
			if _, err := c.Write(rec[i : i+1]); err != nil {
				return
			}
			pause(ctx, time.Second)
		}
	})
}

func deaf(ctx context.Context, a *attacker) error {
	pings := make([]*protocol.Request, 500)
	for i := range pings {
		pings[i] = &protocol.Request{Kind: protocol.KindPing, ID: uint32(i)}
	}
	rec := a.record(pings...)
	return a.hold(ctx, 50, func(ctx context.Context, c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(4096)
		for ctx.Err() == nil {
			if _, err := c.Write(rec); err != nil {
				return
			}
			pause(ctx, mathrand.N(200*time.Millisecond))
		}
	})
}

func idle(ctx context.Context, a *attacker) error {
	return a.hold(ctx, 10_000, func(context.Context, net.Conn) {})
}

func fullHouse(ctx context.Context, a *attacker) error {
	return a.hold(ctx, openFiles+1000, func(context.Context, net.Conn) {})
}

func connections(ctx context.Context, a *attacker) error {
	return pace(ctx, 2000, func(i int) error {
		go a.exchange(ctx, i, nil)
		return nil
	})
}

func handshakes(ctx context.Context, a *attacker) error {
	return pace(ctx, 2000, func(i int) error {
		go a.hello(ctx, i, a.key.Password)
		return nil
	})
}

func passwords(ctx context.Context, a *attacker) error {
	return pace(ctx, 2000, func(i int) error {
		go a.hello(ctx, i, fmt.Sprint("guess ", i))
		return nil
	})
}

func garbage(ctx context.Context, a *attacker) error {
	raw, err := openForger()
	if err != nil {
		return err
	}
	defer raw.Close()
	return pace(ctx, 12_000, func(i int) error {
		noise := make([]byte, 200)
		rand.Read(noise)
		switch i % 6 {
		case 0:
			go a.exchange(ctx, i, noise)
			return nil
		case 1, 2, 3: // what begins like a record, too
			copy(noise, a.record(&protocol.Request{Kind: protocol.KindPing, ID: 1})[:protocol.HeaderBytes])
		}
		a.did.Add(1)
		return raw.send(a.forged(), a.server, noise)
	})
}

func strangers(ctx context.Context, a *attacker) error {
	rec := a.record(&protocol.Request{Kind: protocol.KindPing, ID: 1})
	return a.forge(ctx, 20_000, func() []byte {
		rand.Read(rec[protocol.HeaderBytes+8 : protocol.HeaderBytes+protocol.TicketBytes]) // its epoch and expiry stay
		return rec
	})
}

func altered(ctx context.Context, a *attacker) error {
	rec := a.record(&protocol.Request{Kind: protocol.KindPing, ID: 1})
	return a.forge(ctx, 20_000, func() []byte {
		rand.Read(rec[len(rec)-protocol.TagBytes:])
		return rec
	})
}

func replayedDatagrams(ctx context.Context, a *attacker) error {
	rec, err := a.report(ctx)
	if err != nil {
		return err
	}
	return a.forge(ctx, 10_000, func() []byte { return rec })
}

func replayedRecords(ctx context.Context, a *attacker) error {
	rec, err := a.report(ctx)
	if err != nil {
		return err
	}
	c, err := a.dial(ctx, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	go io.Copy(io.Discard, c)
	return pace(ctx, 10_000, func(int) error {
		a.did.Add(1)
		_, err := c.Write(rec)
		return err
	})
}

// forge sends what datagram returns, from addresses that are not the attacker's.
func (a *attacker) forge(ctx context.Context, perSecond int, datagram func() []byte) error {
	raw, err := openForger()
	if err != nil {
		return err
	}
	defer raw.Close()
	return pace(ctx, perSecond, func(int) error {
		a.did.Add(1)
		return raw.send(a.forged(), a.server, datagram())
	})
}

// exchange sends bytes on a new connection and closes it when the server has
// answered or closed it.
func (a *attacker) exchange(ctx context.Context, i int, data []byte) {
	c, err := a.dial(ctx, i)
	if err != nil {
		a.failed.Add(1)
		return
	}
	defer c.Close()
	a.did.Add(1)
	if len(data) == 0 {
		return
	}
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Write(data); err != nil {
		return
	}
	_, _ = c.Read(make([]byte, protocol.MaxRecord))
}

// hello makes a handshake from one of the attacker's addresses and goes away
// when it is answered.
func (a *attacker) hello(ctx context.Context, i int, password string) {
	uuid := newUUID()
	record, _, err := protocol.AppendHello(nil, a.key.Addresses[0].HandshakeKey, &protocol.Hello{
		Project: a.key.ProjectID, Organization: a.key.OrganizationID, Password: password, UUID: uuid[:],
	})
	if err != nil {
		a.failed.Add(1)
		return
	}
	a.exchange(ctx, i, record)
}

// report checks a device of the attacker's in, reports one use, and returns the
// record that did it.
func (a *attacker) report(ctx context.Context) ([]byte, error) {
	conn, err := client.Dial(ctx, a.key, protocol.UUID{}, client.Ticket{})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	uuid := newUUID()
	ask := func(r *protocol.Request) (answer protocol.Answer, err error) {
		if err := conn.Write(r); err != nil {
			return answer, err
		}
		return answer, conn.Read(func(a *protocol.Answer) { answer = *a })
	}
	checkIn := protocol.Request{Kind: protocol.KindCheckIn, ID: 1, UUID: uuid, Tag: 1, CheckIn: &protocol.CheckIn{Product: []byte(product), Version: 1}}
	granted, err := ask(&checkIn)
	if err == nil && granted.Challenge != 0 {
		checkIn.CheckIn.Challenge = granted.Challenge
		granted, err = ask(&checkIn)
	}
	if err != nil || granted.Kind != protocol.KindGranted {
		return nil, fmt.Errorf("check-in of the attacker's device: answer %d, code %d, %w", granted.Kind, granted.Code, err)
	}
	report := protocol.Request{
		Kind: protocol.KindReport, ID: 2, UUID: uuid, Stream: granted.Stream, Token: granted.Token, Seq: granted.Seq + 1, Tag: 2, Item: granted.Item,
		Lines: []protocol.Line{{Slot: uint32(time.Now().Unix() / protocol.SlotSeconds), Module: 1, Count: 1}},
	}
	if answer, err := ask(&report); err != nil || answer.Kind != protocol.KindAccepted {
		return nil, fmt.Errorf("report of the attacker's device: answer %d, code %d, %w", answer.Kind, answer.Code, err)
	}
	a.uses++
	return sealed(conn.Ticket(), &report), nil
}

// record seals requests under a ticket of the attacker's own.
func (a *attacker) record(requests ...*protocol.Request) []byte { return sealed(a.ticket, requests...) }

func sealed(ticket client.Ticket, requests ...*protocol.Request) []byte {
	rec := protocol.BeginRequest(nil)
	for _, r := range requests {
		rec = protocol.AppendRequest(rec, r)
	}
	var nonces protocol.Nonces
	return ticket.Session().FinishRequest(rec, 0, nonces.Next())
}

func newUUID() (id protocol.UUID) {
	rand.Read(id[:])
	return id
}

// forged is some address of the network between attackers and server, and a port.
func (a *attacker) forged() netip.AddrPort {
	var b [4]byte
	rand.Read(b[:])
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 99, 128 | b[0], b[1]}), uint16(b[2])<<8|uint16(b[3])|1024)
}
