package sim_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"muster/client"
	"muster/engine"
	"muster/license"
	"muster/protocol"
	"muster/sim"
)

// serverWorld is a real server, and devices that speak to it in sealed records.
type serverWorld struct {
	server  *sim.Server
	options sim.Options
	now     atomic.Int64 // unix nanoseconds
	conns   []*client.Conn
}

func newServerWorld(dir string, trusted *license.KeyRing, now time.Time) (*serverWorld, error) {
	w := &serverWorld{}
	w.now.Store(now.UnixNano())
	w.options = sim.Options{Dir: dir, Trusted: trusted, Now: w.now.Load}
	var err error
	w.server, err = sim.Start(w.options)
	return w, err
}

func (w *serverWorld) identity() license.ServerIdentity { return w.server.Identity }

// clock rotates the ticket keys before the server sees that it is time, so that
// its own look at the clock, twice a second, never comes in between.
func (w *serverWorld) clock(at time.Time) error {
	if err := w.server.Tickets.RotateIfDue(at); err != nil {
		return err
	}
	w.now.Store(at.UnixNano())
	return w.do(func(*engine.Core) error { return nil })
}

func (w *serverWorld) open(key license.LicenseKey, id protocol.UUID) (line, protocol.Code, error) {
	key.Addresses = []license.Address{w.server.Address(w.server.Main)}
	conn, err := client.Dial(context.Background(), key, id, client.Ticket{})
	if code := client.CodeOf(err); code != protocol.OK || err != nil {
		if code != protocol.OK {
			err = nil
		}
		return nil, code, err
	}
	w.conns = append(w.conns, conn)
	return func(r *protocol.Request) (protocol.Answer, error) { return ask(conn, r) }, protocol.OK, nil
}

// patience ends a test whose server does not answer.
const patience = time.Minute

// ask sends one request and waits for its answer.
func ask(conn *client.Conn, r *protocol.Request) (answer protocol.Answer, err error) {
	if err := errors.Join(conn.SetDeadline(time.Now().Add(patience)), conn.Write(r)); err != nil {
		return answer, err
	}
	n := 0
	err = conn.Read(func(a *protocol.Answer) {
		n, answer = n+1, *a
		answer.Grant, answer.Certificate, answer.ItemName = bytes.Clone(a.Grant), bytes.Clone(a.Certificate), bytes.Clone(a.ItemName)
	})
	if err == nil && (n != 1 || answer.ID != r.ID) {
		err = errors.New("expected one answer to one request")
	}
	return answer, err
}

func (w *serverWorld) do(f func(*engine.Core) error) error { return w.server.Do(f) }

func (w *serverWorld) restart(devicesMax uint32) error {
	if err := w.starting(devicesMax); err != nil {
		return err
	}
	return w.serving()
}

// stopping is the server's state at the begin of a stop.
func (w *serverWorld) stopping() { w.server.Main.Quiesce() }

// starting stops the server and begins a start: the port is open again.
func (w *serverWorld) starting(devicesMax uint32) (err error) {
	if err := w.close(); err != nil {
		return err
	}
	w.options.DevicesMax = devicesMax
	w.server, err = sim.Listen(w.options)
	return err
}

func (w *serverWorld) serving() error { return w.server.Recover() }

func (w *serverWorld) close() error {
	for _, c := range w.conns {
		c.Close() // an error: the server closed it before
	}
	w.conns = nil
	return w.server.Close()
}
