package client_test

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"muster/client"
	"muster/license"
)

// byUDP is an address for datagrams of the server at another address.
func byUDP(a license.Address, hostPort string) license.Address {
	a.Transport, a.HostPort = "udp", hostPort
	return a
}

// TestReportsByUDP: first contact is TCP, what comes after goes by datagram, and
// the connection is given up. [CLI-3]
func TestReportsByUDP(t *testing.T) {
	s := startServer()
	defer s.Close()
	main := s.Address(s.Main)
	c := clientFor(t, s, main, byUDP(main, main.HostPort))
	mustWork(t, c)
	if c.Transport() != "udp" || s.uses(2) != 1 {
		t.Errorf("the last answer came by %s, %d scans counted; want udp and 1", c.Transport(), s.uses(2))
	}
	if _, err := c.CheckIn(context.Background(), scan); err != nil || c.Transport() != "udp" {
		t.Errorf("a renewal by %s: %v", c.Transport(), err)
	}
	if _, err := c.Ping(context.Background()); err != nil {
		t.Error(err)
	}
	if err := c.Release(context.Background()); err != nil {
		t.Error(err)
	}
	if n := s.Main.UDP.Received.Load(); n < 4 {
		t.Errorf("%d datagrams came, want at least 4", n)
	}
	if n := s.Main.Stats.Connections.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}

// TestUDPFallsBack: where datagrams do not get through, the same call is answered
// over TCP; after a while they are tried again.
func TestUDPFallsBack(t *testing.T) {
	for name, open := range map[string]func() (string, func()){
		"refused": func() (string, func()) {
			l := must(net.ListenPacket("udp", "127.0.0.1:0"))
			check(l.Close())
			return l.LocalAddr().String(), func() {}
		},
		"swallowed": func() (string, func()) {
			l := must(net.ListenPacket("udp", "127.0.0.1:0"))
			return l.LocalAddr().String(), func() { l.Close() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer()
			defer s.Close()
			addr, end := open()
			defer end()
			main := s.Address(s.Main)
			c := clientWith(t, s, client.Options{Timeout: 3 * time.Second}, main, byUDP(main, addr))
			now := time.Now()
			c.SetClock(func() time.Time { return now })
			neverWaits(t, c)
			mustWork(t, c)
			if c.Transport() != "tcp" || s.uses(2) != 1 {
				t.Errorf("answered by %s, %d scans; want tcp and 1", c.Transport(), s.uses(2))
			}
			proxy := newLossyProxy(t, s.Main.Addr().String(), lossless)
			c.SetUDPAddress(proxy.addr())
			mustReport(t, c)
			if c.Transport() != "tcp" {
				t.Error("datagrams were tried again at once")
			}
			now = now.Add(client.UDPRest)
			mustReport(t, c)
			if c.Transport() != "udp" || s.uses(2) != 3 {
				t.Errorf("after a while answered by %s, %d scans; want udp and 3", c.Transport(), s.uses(2))
			}
		})
	}
}

// weather is what a network does to datagrams.
type weather struct {
	loss, duplication, reordering float64 // parts of 1
	delayMax                      time.Duration
}

var (
	lossless = weather{}
	storm    = weather{loss: 0.3, duplication: 0.1, reordering: 0.25, delayMax: 500 * time.Millisecond}
)

// lossyProxy forwards datagrams between clients and a server as a bad network does.
type lossyProxy struct {
	front   *net.UDPConn
	server  *net.UDPAddr
	weather weather
	mu      sync.Mutex
	r       *rand.Rand
	back    map[string]*net.UDPConn // to the server, by client
	held    func()                  // a datagram that is overtaken by the next one
}

func newLossyProxy(t *testing.T, server string, w weather) *lossyProxy {
	p := &lossyProxy{
		front:  must(net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})),
		server: must(net.ResolveUDPAddr("udp", server)), weather: w, r: rand.New(rand.NewPCG(5, 6)), back: map[string]*net.UDPConn{},
	}
	t.Cleanup(p.close)
	go p.forward()
	return p
}

func (p *lossyProxy) addr() string { return p.front.LocalAddr().String() }

func (p *lossyProxy) close() {
	p.front.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.back {
		c.Close()
	}
}

// forward takes datagrams of clients to the server.
func (p *lossyProxy) forward() {
	b := make([]byte, 2048)
	for {
		n, from, err := p.front.ReadFromUDP(b)
		if err != nil {
			return
		}
		up := p.backFor(from)
		data := append([]byte(nil), b[:n]...)
		p.pass(func() { _, _ = up.Write(data) })
	}
}

func (p *lossyProxy) backFor(from *net.UDPAddr) *net.UDPConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	up := p.back[from.String()]
	if up == nil {
		up = must(net.DialUDP("udp", nil, p.server))
		p.back[from.String()] = up
		go p.answer(up, from)
	}
	return up
}

// answer takes datagrams of the server to a client.
func (p *lossyProxy) answer(up *net.UDPConn, to *net.UDPAddr) {
	b := make([]byte, 2048)
	for {
		n, err := up.Read(b)
		if err != nil {
			return
		}
		data := append([]byte(nil), b[:n]...)
		p.pass(func() { _, _ = p.front.WriteToUDP(data, to) })
	}
}

// pass does to a datagram what the weather does.
func (p *lossyProxy) pass(send func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.r.Float64() < p.weather.loss {
		return
	}
	times := 1
	if p.r.Float64() < p.weather.duplication {
		times = 2
	}
	for range times {
		later := send
		if p.weather.delayMax > 0 {
			delay := time.Duration(p.r.Int64N(int64(p.weather.delayMax)))
			later = func() { time.AfterFunc(delay, send) }
		}
		if p.held == nil && p.r.Float64() < p.weather.reordering {
			p.held = later
			continue
		}
		later()
		if p.held != nil {
			p.held()
			p.held = nil
		}
	}
}

// TestLedgerInAStorm: 30 % loss, 10 % duplication, 25 % reordering, up to half a
// second of delay each way, and the ledger is exact. [CLI-3] [STAT-3]
func TestLedgerInAStorm(t *testing.T) {
	t.Parallel()
	s := startServer()
	defer s.Close()
	main := s.Address(s.Main)
	proxy := newLossyProxy(t, main.HostPort, storm)
	const devices, reports = 32, 5
	var wg sync.WaitGroup
	for range devices {
		c := clientWith(t, s, client.Options{Timeout: 2 * time.Minute}, main, byUDP(main, proxy.addr()))
		wg.Go(func() {
			if _, err := c.CheckIn(context.Background(), scan); err != nil {
				t.Error(err)
			}
			for i := range uint32(reports) {
				if err := c.Report(context.Background(), client.Count{Count: i}); err != nil {
					t.Error(err)
				}
			}
			if _, err := c.CheckIn(context.Background(), scan); err != nil { // a renewal by datagram
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, want := s.uses(2), uint64(devices*reports*(reports-1)/2); got != want {
		t.Errorf("%d scans counted, %d were acknowledged", got, want)
	}
	if n := s.Core.Catalog().Items[2].Usage.Authorizations.Load(); n != 2*devices {
		t.Errorf("%d authorizations, want %d", n, 2*devices)
	}
	if n := s.Core.Devices(); n != devices {
		t.Errorf("%d streams, want %d: no device was taken for a clone or a second one", n, devices)
	}
	if n := s.Main.UDP.Received.Load(); n < devices*reports {
		t.Errorf("%d datagrams: the storm was not used", n)
	}
}
