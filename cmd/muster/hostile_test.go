package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"muster/client"
	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// exchangeRaw sends bytes on a new connection and returns all that comes back
// until the server closes it.
func exchangeRaw(t *testing.T, addr string, data []byte) []byte {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	back, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, net.ErrClosed) && !isReset(err) {
		t.Fatalf("reading the answer: %v", err)
	}
	return back
}

func isReset(err error) bool { var op *net.OpError; return errors.As(err, &op) && !op.Timeout() }

// TestGarbageClosesTheConnection sends what no client sends: each connection is
// closed and counted, and the server goes on.
func TestGarbageClosesTheConnection(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	addr := w.p.front.Addr().String()
	random := make([]byte, 5000)
	rand.Read(random)
	random[0] = 'G'
	header := func(kind byte, length ...byte) []byte {
		return append([]byte{'M', 's', protocol.Version, kind}, length...)
	}
	hello := append(header(protocol.TypeHello, 0, 0, 0, 60), make([]byte, 60)...)
	big := append(header(protocol.TypeHello, 0, 0, 0x10, 0), make([]byte, 0x1000)...)
	cases := map[string][]byte{
		"random bytes":       random,
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"unknown version":    {'M', 's', 9, 1, 0, 0, 0, 0},
		"unknown type":       header(77, 0, 0, 0, 1, 0),
		"type for clients":   append(header(protocol.TypeReply, 0, 0, 0, 40), make([]byte, 40)...),
		"length too long":    header(protocol.TypeRequest, 0xff, 0xff, 0xff, 0xff),
		"length too short":   header(protocol.TypeRequest, 0, 0, 0, 3, 1, 2, 3),
		"hello that is none": hello,
		"hello too large":    big,
	}
	before := w.p.front.Stats.Malformed.Load()
	for name, data := range cases {
		t.Run(name, func(t *testing.T) {
			want := protocol.AppendReject(nil, protocol.RejectMalformed)
			if back := exchangeRaw(t, addr, data); len(back) > 0 && !bytes.Equal(back, want) {
				t.Errorf("answered %x, want %x or nothing", back, want)
			}
		})
	}
	if got := w.p.front.Stats.Malformed.Load() - before; got != uint64(len(cases)) {
		t.Errorf("%d malformed records counted, want %d", got, len(cases))
	}
	if _, err := w.client(key, client.State{}).CheckIn(context.Background(), client.Use{Product: "DBR"}); err != nil {
		t.Errorf("after the garbage: %v", err)
	}
	if n := w.p.front.Stats.Panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

// session makes a handshake under a license key.
func (w *world) session(key string) *protocol.Session {
	w.t.Helper()
	parsed, err := license.ParseLicenseKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := client.Dial(w.t.Context(), parsed, protocol.UUID{}, client.Ticket{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	return c.Ticket().Session()
}

// sealed makes a record of raw bytes under a real ticket.
func sealed(w *world, key string, plain []byte) []byte {
	w.t.Helper()
	return w.session(key).FinishRequest(append(protocol.BeginRequest(nil), plain...), 0, &[protocol.NonceBytes]byte{1})
}

func TestMalformedMessagesCloseTheConnection(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	cases := map[string][]byte{
		"no message":           {},
		"not an array":         {0x01},
		"unknown type":         {0x92, 99, 1},
		"a huge array":         {0xdd, 0xff, 0xff, 0xff, 0xff},
		"a huge string":        append([]byte{0x99, 2, 1, 0xc6, 0xff, 0xff, 0xff, 0xff}, make([]byte, 30)...),
		"cut short":            {0x99, 2, 1, 0xc4},
		"a good one, then not": append(protocol.AppendRequest(nil, &protocol.Request{Kind: protocol.KindRelease, ID: 1, Stream: 5}), 0xc1),
	}
	for name, plain := range cases {
		t.Run(name, func(t *testing.T) {
			back := exchangeRaw(t, w.p.front.Addr().String(), sealed(w, key, plain))
			if !bytes.Equal(back, protocol.AppendReject(nil, protocol.RejectMalformed)) {
				t.Errorf("answered %x, want a malformed reject", back)
			}
		})
	}
}

func TestAlteredRecordIsRejected(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	ping := protocol.AppendRequest(nil, &protocol.Request{Kind: protocol.KindPing, ID: 1})
	rec, addr := sealed(w, key, ping), w.p.front.Addr().String()
	for _, at := range []int{protocol.HeaderBytes, protocol.HeaderBytes + 20, len(rec) - 30, len(rec) - 1} {
		bad := bytes.Clone(rec)
		bad[at] ^= 1
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(bad); err != nil {
			t.Fatal(err)
		}
		back := make([]byte, 9)
		if _, err := io.ReadFull(c, back); err != nil || !bytes.Equal(back, protocol.AppendReject(nil, protocol.RejectTicket)) {
			t.Errorf("byte %d altered: %x %v, want a ticket reject", at, back, err)
		}
		c.Close()
	}
}

// TestConnectionLimit: of a full house the strangers make room; among devices
// that have shown themselves, a newcomer is turned away.
func TestConnectionLimit(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	w.stop()
	w.config.ConnectionsMax = 3
	w.start()
	for range 6 {
		stranger, err := net.Dial("tcp", w.p.front.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
	}
	parsed, err := license.ParseLicenseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Addresses[0].HostPort = w.p.front.Addr().String()
	dial := func() (*client.Conn, error) {
		return client.Dial(t.Context(), parsed, protocol.UUID{}, client.Ticket{})
	}
	for i := range 3 {
		c, err := dial()
		if err != nil {
			t.Fatalf("device %d of 3: %v", i+1, err)
		}
		defer c.Close()
	}
	if c, err := dial(); !errors.Is(err, client.ErrServerBusy) {
		if err == nil {
			c.Close()
		}
		t.Errorf("a fourth device: %v, want busy", err)
	}
	n := w.p.front.Stats.Connections.Load()
	for end := time.Now().Add(10 * time.Second); n != 3 && time.Now().Before(end); n = w.p.front.Stats.Connections.Load() {
		time.Sleep(time.Millisecond) // the fourth is told before it is closed
	}
	if n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

func TestRefusalsReachTheDevice(t *testing.T) { // [ERR-1] [CLI-1]
	w := newWorld(t)
	key := w.importItems(item("seats", "device-daily", "0"))
	c := w.client(key, client.State{})
	_, err := c.CheckIn(context.Background(), client.Use{Product: "DBR"})
	if refusal := (*client.Error)(nil); !errors.As(err, &refusal) || refusal.Code != protocol.LimitExceeded || refusal.Item != "1001/seats" {
		t.Errorf("error %v, want 120 of item 1001/seats", err)
	}
	parsed, _ := license.ParseLicenseKey(key)
	parsed.Password = "guess"
	_, err = w.client(parsed.String(), client.State{}).CheckIn(context.Background(), client.Use{Product: "DBR"})
	if client.CodeOf(err) != protocol.WrongPassword {
		t.Errorf("wrong password: %v", err)
	}
	parsed.Password, parsed.ProjectID = "", "2001-nowhere"
	_, err = w.client(parsed.String(), client.State{}).CheckIn(context.Background(), client.Use{Product: "DBR"})
	if client.CodeOf(err) != protocol.NoSuchProject {
		t.Errorf("unknown project: %v", err)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	w := newWorld(t)
	if _, err := start(w.config, w.p.log); err == nil {
		t.Error("a second server started on the same directory")
	}
}

func TestTicketSurvivesRestart(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	ctx := context.Background()
	c := w.client(key, client.State{})
	if _, err := c.CheckIn(ctx, client.Use{Product: "DBR"}); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.start()
	if err := c.Report(ctx, client.Count{Count: 1}); err != nil {
		t.Fatal(err)
	}
	if n := w.p.front.Stats.Handshakes.Load(); n != 0 {
		t.Errorf("%d handshakes after the restart, want the ticket to do", n)
	}
}

func TestPasswordChangeEndsOldTickets(t *testing.T) { // [PRJ-3]
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	ctx := context.Background()
	c := w.client(key, client.State{})
	if _, err := c.CheckIn(ctx, client.Use{Product: "DBR"}); err != nil {
		t.Fatal(err)
	}
	word := "new password"
	parsed, _ := license.ParseLicenseKey(key)
	w.do(func(core *engine.Core) error {
		_, err := core.EditProject(parsed.ProjectID, engine.ProjectEdit{Password: &word})
		return err
	})
	if _, err := c.CheckIn(ctx, client.Use{Product: "DBR"}); client.CodeOf(err) != protocol.WrongPassword {
		t.Errorf("with the old password: %v", err)
	}
	parsed.Password = word
	if _, err := w.client(parsed.String(), c.State()).CheckIn(ctx, client.Use{Product: "DBR"}); err != nil {
		t.Errorf("with the new password: %v", err)
	}
}

// TestSlowPeersAreClosed: half a record, a byte at a time, or nothing at all.
func TestSlowPeersAreClosed(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	w.stop()
	w.config.Guards.RecordTime, w.config.Guards.IdleTime = 2*time.Second, 3*time.Second
	w.start()
	addr := w.p.front.Addr().String()
	rec := sealedAt(w, key, addr)
	for name, sent := range map[string][]byte{"nothing": nil, "half a record": rec[:len(rec)/2], "a whole one, then silence": rec} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exchangeRaw(t, addr, sent) // returns when the server closes
		})
	}
	t.Run("a byte at a time", func(t *testing.T) {
		t.Parallel()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second)) // ends a failure
		var back [1]byte
		done := make(chan error)
		go func() { _, err := c.Read(back[:]); done <- err }()
		for i := range rec[:len(rec)-1] {
			select {
			case err := <-done:
				if err == nil || !errors.Is(err, io.EOF) && !isReset(err) {
					t.Errorf("read %x, %v", back, err)
				}
				return
			case <-time.After(100 * time.Millisecond):
				_, _ = c.Write(rec[i : i+1])
			}
		}
		t.Error("the connection was left open")
	})
}

// TestUnreadAnswersAreBounded: peers that ask and do not read lose their
// connection, one by one or because all together leave too much.
func TestUnreadAnswersAreBounded(t *testing.T) {
	w := newWorld(t)
	key := w.importItems(item("scans", "scan", "1000"))
	flood := func(connections int) (closed int, most int64) {
		t.Helper()
		addr := w.p.front.Addr().String()
		var pings []byte
		for i := range protocol.MaxMessages {
			pings = protocol.AppendRequest(pings, &protocol.Request{Kind: protocol.KindPing, ID: uint32(i)})
		}
		rec := sealed(w, key, pings)
		conns := make([]net.Conn, connections)
		for i := range conns {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))  // ends a failure
			_ = c.(*net.TCPConn).SetReadBuffer(4 << 10) // or the system takes megabytes before it is full
			conns[i] = c
		}
		const rounds = 2000 // of about 20 KiB: more than the system's buffers take
		for range rounds {
			for i, c := range conns {
				if c == nil {
					continue
				}
				if _, err := c.Write(rec); err != nil {
					conns[i] = nil
					closed++
				}
				most = max(most, w.p.front.Stats.Outbound.Load())
			}
		}
		return closed, most
	}
	if closed, most := flood(1); closed != 1 || most > 2<<20 {
		t.Errorf("of one peer that does not read %d were closed, with up to %d bytes", closed, most)
	}
	w.stop()
	w.config.Guards.UnreadMax = 1 << 20
	w.start()
	if closed, most := flood(4); closed < 3 || most > 3<<19 {
		t.Errorf("%d of 4 peers that do not read were closed, with up to %d bytes together", closed, most)
	}
	if slow := w.p.front.Stats.SlowReaders.Load(); slow < 3 {
		t.Errorf("%d counted as slow", slow)
	}
	for deadline := time.Now().Add(10 * time.Second); w.p.front.Stats.Outbound.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are counted as unread without connections", w.p.front.Stats.Outbound.Load())
		}
	}
	if _, err := w.client(key, client.State{}).CheckIn(context.Background(), client.Use{Product: "DBR"}); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}

// sealedAt makes a record with a ping under a ticket of the server at an address.
func sealedAt(w *world, key, addr string) []byte {
	w.t.Helper()
	parsed, err := license.ParseLicenseKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	parsed.Addresses[0].HostPort = addr
	return sealed(w, parsed.String(), protocol.AppendRequest(nil, &protocol.Request{Kind: protocol.KindPing, ID: 1}))
}

// TestProxiedConnections: behind a listed proxy the PROXY header says who a
// device is; elsewhere it is garbage.
func TestProxiedConnections(t *testing.T) { // item networks, [ERR-1]
	w := newWorld(t)
	terms := append(item("scans", "scan", "1000"), license.Field{Name: "Networks", Value: "10.1.0.0/16"})
	key := w.importItems(terms)
	header := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 10, 1, 2, 3, 127, 0, 0, 1, 0x20, 0, 0x12, 0xc8)
	ask := protocol.AppendRequest(nil, &protocol.Request{Kind: protocol.KindCheckIn, ID: 1, Tag: 3, UUID: [16]byte{5}, CheckIn: &protocol.CheckIn{Product: []byte("DBR")}})
	if back := exchangeRaw(t, w.p.front.Addr().String(), header); !bytes.Equal(back, protocol.AppendReject(nil, protocol.RejectMalformed)) {
		t.Errorf("from one who is no proxy: %x", back)
	}
	session := w.session(key)
	w.stop()
	w.config.Guards.ProxiedFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	w.start()
	c, err := net.Dial("tcp", w.config.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	rec := session.FinishRequest(append(protocol.BeginRequest(nil), ask...), 0, &[protocol.NonceBytes]byte{4})
	for _, b := range append(bytes.Clone(header), rec...) { // in the smallest pieces
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	head := make([]byte, protocol.HeaderBytes, 4096)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	_, size, _ := protocol.Header(head)
	if _, err := io.ReadFull(c, head[len(head):size]); err != nil {
		t.Fatal(err)
	}
	plain, err := session.OpenReply(nil, head[:size])
	if err != nil {
		t.Fatal(err)
	}
	var a protocol.Answer
	if _, err := protocol.DecodeAnswer(plain, &a); err != nil || a.Kind != protocol.KindGranted {
		t.Errorf("type %d %v %v, want a grant: the proxy says 10.1.2.3", a.Kind, a.Code, err)
	}
}

// TestWrongPasswordsAreSlowed: after some guesses a source is turned away for
// this project, with the right password too; another project is served.
func TestWrongPasswordsAreSlowed(t *testing.T) { // [PRJ-3]
	w := newWorld(t)
	key, err := license.ParseLicenseKey(w.importItems(item("scans", "scan", "1000")))
	if err != nil {
		t.Fatal(err)
	}
	dial := func(password string) error {
		k := key
		k.Password = password
		c, err := client.Dial(t.Context(), k, protocol.UUID{}, client.Ticket{})
		if err == nil {
			c.Close()
		}
		return err
	}
	for i := range 20 {
		if err := dial("guess"); client.CodeOf(err) != protocol.WrongPassword {
			t.Fatalf("guess %d: %v, want 102", i+1, err)
		}
	}
	if err := dial("guess"); !errors.Is(err, client.ErrServerBusy) {
		t.Errorf("one more guess: %v, want busy", err)
	}
	if err := dial(""); !errors.Is(err, client.ErrServerBusy) {
		t.Errorf("the right one from the same source: %v, want busy", err)
	}
	key.ProjectID = "2001-other"
	if err := dial(""); client.CodeOf(err) != protocol.NoSuchProject {
		t.Errorf("another project: %v, want 101", err)
	}
}
