package sim

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"muster/engine"
	"muster/engine/server"
	"muster/license"
	"muster/machine"
	"muster/protocol"
	"muster/storage"
)

// Options are what a [Server] is started with.
type Options struct {
	Dir     string           // data directory
	Trusted *license.KeyRing // vendor keys
	// Now is the clock of all its parts, in unix nanoseconds; nil is the wall clock.
	Now func() int64
	// DevicesMax bounds the device table, 0 for the default.
	DevicesMax uint32
}

// Server is a real server in this process, wired as the program is: a data
// directory, a decider, and device ports on the loopback interface.
type Server struct {
	Identity license.ServerIdentity
	Main     *server.Server // the first device port
	Core     *engine.Core   // nil until the state is recovered
	// Tickets are the keys of the main port's tickets.
	Tickets *server.TicketKeys

	options  Options
	dir      *storage.Dir
	identity *storage.Identity
	store    *storage.Store
	decider  *server.Decider
	config   server.Config // of its ports
	fronts   []*server.Server
}

// Start starts a server that serves.
func Start(o Options) (*Server, error) {
	s, err := Listen(o)
	if err != nil {
		return nil, err
	}
	if err := s.Recover(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Listen does the first half of a start: the port is open, and who asks there is
// answered 100 until [Server.Recover].
func Listen(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = func() int64 { return time.Now().UnixNano() }
	}
	s := &Server{options: o}
	err := s.open()
	if err == nil {
		s.Main, err = s.front(filepath.Join(o.Dir, "ticket-keys.json"))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) open() (err error) {
	if s.dir, err = storage.OpenDir(s.options.Dir); err != nil {
		return err
	}
	if s.identity, err = s.dir.LoadIdentity(license.BindKey, machine.Facts{}); err != nil {
		return err
	}
	s.Identity = s.identity.Public
	s.config = server.Config{Listen: "127.0.0.1:0", Loops: 1, UDPLoops: 1, Now: s.options.Now, Log: silent()}
	s.config.Key, err = protocol.NewHandshakeKey(s.identity.HandshakeKey[:])
	return err
}

// portsMax bounds the loops of all device ports.
const portsMax = 32

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// segmentBytes is a small journal segment: two are filled with zeros at a start.
const segmentBytes = 2 << 20

// Recover does the second half of a start: the state is read, and the main port
// serves.
func (s *Server) Recover() (err error) {
	s.store, err = s.dir.Open(storage.Options{Log: silent(), SegmentBytes: segmentBytes, Core: engine.Config{
		Server: s.Identity, Trusted: s.options.Trusted, TokenKey: s.identity.TokenKey, DevicesMax: s.options.DevicesMax,
	}})
	if err != nil {
		return err
	}
	s.decider = server.NewDecider(server.DeciderConfig{
		Core: s.store.Core, Journal: s.store.Journal, Checkpoint: s.store.Checkpoint,
		Sign: func(statement []byte) []byte { return ed25519.Sign(s.identity.SigningKey, statement) },
		Now:  s.options.Now, Log: silent(), Loops: portsMax, CheckpointIndex: s.store.CheckpointIndex,
	})
	go s.decider.Run()
	s.Core = s.store.Core
	s.Serve(s.Main)
	return nil
}

// Front opens one more device port, with ticket keys of its own. Until
// [Server.Serve] it answers 100, as a server does that is starting.
func (s *Server) Front() (*server.Server, error) {
	dir, err := os.MkdirTemp(s.options.Dir, "tickets")
	if err != nil {
		return nil, err
	}
	return s.front(filepath.Join(dir, "keys"))
}

func (s *Server) front(keys string) (*server.Server, error) {
	tickets, err := server.OpenTicketKeys(keys, time.Unix(0, s.options.Now()), storage.WriteFile)
	if err != nil {
		return nil, err
	}
	if s.Tickets == nil {
		s.Tickets = tickets
	}
	config := s.config
	config.Tickets = tickets
	f := server.New(config)
	if err := f.Start(); err != nil {
		return nil, err
	}
	s.fronts = append(s.fronts, f)
	return f, nil
}

// Serve lets a device port serve.
func (s *Server) Serve(f *server.Server) { f.Serve(s.Core, s.decider) }

// Address is that of a device port, as license keys have it.
func (s *Server) Address(f *server.Server) license.Address {
	return license.Address{Transport: "tcp", HostPort: f.Addr().String(), HandshakeKey: s.config.Key.Public()}
}

// Do runs f in the decider, as an operator's edits are, and returns when what it
// changed is durable.
func (s *Server) Do(f func(*engine.Core) error) error { return s.decider.Do(context.Background(), f) }

// StopFront closes a device port and its connections.
func (s *Server) StopFront(f *server.Server) error {
	i := slices.Index(s.fronts, f)
	if i < 0 {
		return nil
	}
	s.fronts = slices.Delete(s.fronts, i, i+1)
	told, cancel := context.WithCancel(context.Background())
	cancel()
	_ = f.Stop(told) // only tells it: what waits there looks twice a second
	return <-f.Ended()
}

// Close stops the server in the program's order: what is decided is answered,
// then the ports close, then the state.
func (s *Server) Close() (err error) {
	for _, f := range s.fronts {
		f.Quiesce()
	}
	if s.decider != nil {
		err = s.decider.Stop()
	}
	for _, f := range slices.Backward(s.fronts) {
		f.Flush(context.Background())
		err = errors.Join(err, s.StopFront(f))
	}
	if s.store != nil {
		err = errors.Join(err, s.store.Close())
	}
	if s.dir != nil {
		err = errors.Join(err, s.dir.Close())
	}
	if err != nil {
		return fmt.Errorf("server in %s: %w", s.options.Dir, err)
	}
	return nil
}
