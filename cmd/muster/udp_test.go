package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"muster/datagram"
	"muster/protocol"
)

// udpDevice speaks datagrams with a server under one session.
type udpDevice struct {
	t       *testing.T
	conn    *net.UDPConn
	session *protocol.Session
	uuid    [16]byte
	sent    int // bytes of the last datagram
}

// udp checks a device in over TCP and goes on by datagrams.
func (w *world) udp(key string) *udpDevice {
	w.t.Helper()
	conn, err := net.Dial("udp", w.p.front.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	d := &udpDevice{t: w.t, conn: conn.(*net.UDPConn), session: w.session(key)}
	rand.Read(d.uuid[:])
	return d
}

func (d *udpDevice) seal(requests ...*protocol.Request) []byte {
	rec := protocol.BeginRequest(nil)
	for _, r := range requests {
		r.UUID = d.uuid
		rec = protocol.AppendRequest(rec, r)
	}
	var nonce [protocol.NonceBytes]byte
	rand.Read(nonce[:])
	return d.session.FinishRequest(rec, 0, &nonce)
}

func (d *udpDevice) send(datagram []byte) {
	d.t.Helper()
	d.sent = len(datagram)
	if _, err := d.conn.Write(datagram); err != nil {
		d.t.Fatal(err)
	}
}

// receive reads one datagram; its answers are checked to be no longer than the request.
func (d *udpDevice) receive() (answers []protocol.Answer) {
	d.t.Helper()
	d.conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // ends a failure
	b := make([]byte, 4096)
	n, err := d.conn.Read(b)
	if err != nil {
		d.t.Fatal(err)
	}
	if n > d.sent {
		d.t.Errorf("an answer of %d bytes to a request of %d", n, d.sent)
	}
	plain, err := d.session.OpenReply(nil, b[:n])
	if err != nil {
		d.t.Fatal(err)
	}
	for len(plain) > 0 {
		var a protocol.Answer
		if plain, err = protocol.DecodeAnswer(plain, &a); err != nil {
			d.t.Fatal(err)
		}
		answers = append(answers, a)
	}
	return answers
}

func (d *udpDevice) exchange(requests ...*protocol.Request) []protocol.Answer {
	d.t.Helper()
	d.send(d.seal(requests...))
	return d.receive()
}

// silent says that datagrams are met with silence: a ping sent after them is
// what comes back first.
func (d *udpDevice) silent(what string, datagrams ...[]byte) {
	d.t.Helper()
	for _, b := range datagrams {
		d.send(b)
	}
	if got := d.exchange(&protocol.Request{Kind: protocol.KindPing, ID: 77}); len(got) != 1 || got[0].Kind != protocol.KindPong || got[0].ID != 77 {
		d.t.Errorf("%s: answered %+v", what, got)
	}
}

func (d *udpDevice) checkIn() *protocol.Request {
	return &protocol.Request{Kind: protocol.KindCheckIn, ID: 1, Tag: 9, Padding: 900, CheckIn: &protocol.CheckIn{Product: []byte("DBR"), Version: 11}}
}

func TestDatagrams(t *testing.T) { // [CLI-3]
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	d := w.udp(key)
	in := d.checkIn()
	in.Padding = 0
	a := d.exchange(in)[0]
	if a.Kind != protocol.KindTooLarge {
		t.Fatalf("a grant to a short check-in: type %d", a.Kind)
	}
	in.Padding, in.CheckIn.KnownCert = 900, w.p.store.Core.Catalog().Items[1].ProofID
	if a = d.exchange(in)[0]; a.Kind != protocol.KindGranted { // the same check-in again
		t.Fatalf("type %d %v, want a grant", a.Kind, a.Code)
	}
	report := func(seq, count uint32) *protocol.Request {
		return &protocol.Request{
			Kind: protocol.KindReport, ID: seq, Stream: a.Stream, Token: a.Token, Seq: seq, Tag: seq, Item: a.Item,
			Lines: []protocol.Line{{Slot: uint32(time.Now().Unix() / protocol.SlotSeconds), Count: count}},
		}
	}
	got := d.exchange(report(1, 5), report(2, 7))
	if len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 2 || got[1].Kind != protocol.KindAccepted {
		t.Errorf("two reports in a datagram: %+v", got)
	}
	rec := d.seal(report(3, 11))
	for range 5 { // the network duplicates it
		d.send(rec)
	}
	for range 5 {
		if got := d.receive(); got[0].Kind != protocol.KindAccepted || got[0].Seq != 3 {
			t.Errorf("a duplicate: %+v", got)
		}
	}
	if got := d.exchange(&protocol.Request{Kind: protocol.KindRelease, ID: 8, Stream: a.Stream, Token: a.Token, Seq: 4, Tag: 4, Item: a.Item}); got[0].Kind != protocol.KindAccepted {
		t.Errorf("release: %+v", got)
	}
	if n := w.p.store.Core.Catalog().Items[1].Usage.Uses.Load(); n != 23 {
		t.Errorf("%d scans counted, want 23", n)
	}
	if n := w.p.store.Core.Catalog().Items[1].Usage.Authorizations.Load(); n != 1 {
		t.Errorf("%d authorizations, want 1", n)
	}
}

// TestAnswersFitTheirRequests: a refusal that is longer than what was asked goes
// without the item's name, and an answer without room is left out.
func TestAnswersFitTheirRequests(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("an-item-with-a-rather-long-name1", "device-daily", "0"))
	d := w.udp(key)
	short := d.checkIn()
	short.Padding = 0
	if a := d.exchange(short)[0]; a.Kind != protocol.KindRefused || a.Code != protocol.LimitExceeded {
		t.Errorf("type %d %v", a.Kind, a.Code)
	}
	pings := make([]*protocol.Request, 30) // pongs are longer than pings
	for i := range pings {
		pings[i] = &protocol.Request{Kind: protocol.KindPing, ID: uint32(i)}
	}
	d.silent("more pongs than fit", d.seal(pings...))
}

// TestAnswersTogetherFitTheirRequest: what is answered at once and what is
// answered after the batch are together no longer than the request.
func TestAnswersTogetherFitTheirRequest(t *testing.T) {
	w := newWorld(t)
	d := w.udp(w.importItems(item("scans", "scan", "1000")))
	mixed := []*protocol.Request{d.checkIn()}
	mixed[0].Padding = 700
	for i := range 70 {
		mixed = append(mixed, &protocol.Request{Kind: protocol.KindPing, ID: uint32(100 + i)})
	}
	rec := d.seal(mixed...)
	d.send(rec)
	total := 0
	for decided := false; !decided; {
		b := make([]byte, 4096)
		n, err := d.conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		total += n
		plain, err := d.session.OpenReply(nil, b[:n])
		if err != nil {
			t.Fatal(err)
		}
		err = protocol.VisitAnswers(plain, new(protocol.Answer), func(a *protocol.Answer) { decided = decided || a.ID == 1 })
		if err != nil {
			t.Fatal(err)
		}
	}
	if total > len(rec) {
		t.Errorf("%d bytes in answer to %d", total, len(rec))
	}
}

func TestStrangersMeetSilence(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	d, ping := w.udp(key), &protocol.Request{Kind: protocol.KindPing, ID: 1}
	good := d.seal(ping)
	var altered [][]byte
	for at := range good {
		b := bytes.Clone(good)
		b[at] ^= 1
		altered = append(altered, b)
	}
	d.silent("one bit altered anywhere", altered...)
	junk := make([]byte, 1400)
	rand.Read(junk)
	hello, _, err := protocol.AppendHello(nil, w.p.identity.Public.HandshakeKey, &protocol.Hello{Project: "2001-1"})
	if err != nil {
		t.Fatal(err)
	}
	long := d.seal(d.checkIn())
	long = append(long, make([]byte, 300)...)
	d.silent("what is no request", junk, nil, good[:len(good)-1], append(bytes.Clone(good), 0), hello, long, append(bytes.Clone(good), good...),
		d.session.FinishRequest(append(protocol.BeginRequest(nil), 0xc1), 0, &[protocol.NonceBytes]byte{1}))
	if n := w.p.front.Stats.Panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
	if u := &w.p.front.UDP; u.Malformed.Load() == 0 || u.Strangers.Load() == 0 || u.Unsealed.Load() == 0 {
		t.Errorf("malformed %d, strangers %d, unsealed %d: not counted", u.Malformed.Load(), u.Strangers.Load(), u.Unsealed.Load())
	}
}

// TestDatagramsAfterRestart: the ticket outlives the server, and while the server
// does not serve, devices are told 100.
func TestDatagramsAfterRestart(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	d := w.udp(key)
	w.p.front.Quiesce()
	if a := d.exchange(d.checkIn())[0]; a.Code != protocol.NotServing {
		t.Errorf("while stopping: type %d %v, want 100", a.Kind, a.Code)
	}
	w.stop()
	w.start()
	if a := d.exchange(d.checkIn())[0]; a.Kind != protocol.KindGranted {
		t.Errorf("after the restart: type %d %v", a.Kind, a.Code)
	}
}

// TestFloodOfRunsIsNotToldBusy: runs bring more in one read than a batch takes.
// What is too much waits with the kernel, as single datagrams do.
func TestFloodOfRunsIsNotToldBusy(t *testing.T) {
	w := newWorld(t)
	d := w.udp(w.importItems(item("scans", "scan", "1000")))
	socket, err := datagram.Listen("127.0.0.1:0", datagram.Runs)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	releases := make([]*protocol.Request, 20)
	for i := range releases {
		releases[i] = &protocol.Request{Kind: protocol.KindRelease, ID: uint32(i), Stream: 1, Token: 1, Seq: 1}
	}
	run := make([]datagram.Packet, datagram.Max)
	for i := range run {
		run[i] = datagram.Packet{Data: d.seal(releases...), Peer: datagram.PeerOf(w.p.front.Addr().(*net.TCPAddr).AddrPort())}
	}
	for range 300 {
		if err := socket.Write(run); err != nil {
			t.Fatal(err)
		}
	}
	d.send(d.seal(&protocol.Request{Kind: protocol.KindPing, ID: 77})) // behind them, if there is room
	d.conn.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := d.conn.Read(make([]byte, 100)); err != nil {
		d.silent("behind the flood")
	}
	if n := w.p.front.Stats.Busy.Load(); n != 0 {
		t.Errorf("%d requests were told that the server is busy", n)
	}
}

func TestUDPCanBeLeftOut(t *testing.T) {
	w := newWorld(t)
	w.stop()
	w.config.UDP = false
	w.start()
	conn, err := net.Dial("udp", w.p.front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = conn.Write([]byte("M"))
	if _, err := conn.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the port is open for datagrams: %v", err) // else it is refused
	}
}

// TestTicketRotation: after a rotation old tickets serve on; when sessions are
// ended, they are strangers on both transports.
func TestTicketRotation(t *testing.T) {
	c := newCLI(t)
	w := c.world
	key := w.importItems(item("scans", "scan", "1000"))
	d := w.udp(key)
	ping := &protocol.Request{Kind: protocol.KindPing, ID: 1}
	d.exchange(ping)
	c.ok(words("ticket rotate"), "ticket key  2")
	if got := d.exchange(ping); got[0].Kind != protocol.KindPong {
		t.Errorf("after a rotation: %+v", got)
	}
	c.ok(words("ticket rotate --end-sessions"), "ticket key  3")
	before := w.p.front.UDP.Strangers.Load()
	d.send(d.seal(ping))
	other := w.udp(key)
	other.exchange(ping)
	if w.p.front.UDP.Strangers.Load() != before+1 {
		t.Error("a datagram of an ended session was served")
	}
	rec := sealed(w, key, protocol.AppendRequest(nil, ping))
	c.ok(words("ticket rotate --end-sessions"))
	conn, err := net.Dial("tcp", w.p.front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second)) // ends a failure
	if _, err := conn.Write(rec); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, 9)
	if _, err := conn.Read(back); err != nil || !bytes.Equal(back, protocol.AppendReject(nil, protocol.RejectTicket)) {
		t.Errorf("over TCP: %x %v, want a ticket reject", back, err)
	}
}
