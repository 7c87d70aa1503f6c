package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"muster/engine"
	"muster/engine/server"
	"muster/internal/build"
	"muster/internal/notices"
	"muster/license"
	"muster/machine"
	"muster/protocol"
	"muster/storage"
)

// program is a running server: everything that main wires together. Tests start
// it as serve does.
type program struct {
	config   serveConfig
	log      *slog.Logger
	notices  *notices.Log
	dir      *storage.Dir
	identity *storage.Identity
	store    *storage.Store
	decider  *server.Decider
	front    *server.Server
	tickets  *server.TicketKeys
	clock    *server.Clock
	disk     diskGuard
	refused  refusals
	admin    adminPlane
	url      string     // of the admin API
	failed   chan error // the server can't go on
	// fingerprint is that of the admin API's certificate, "" without TLS.
	fingerprint string
}

// start brings a server up; when it returns, devices are served. The device
// port is open before the state is recovered and answers 100 meanwhile.
func start(config serveConfig, log *slog.Logger) (p *program, err error) {
	p = &program{config: config, log: log, notices: notices.New(log), failed: make(chan error, 1)}
	p.clock = server.NewClock(func() int64 { return time.Now().UnixNano() }, machine.BootClock, log)
	defer func() {
		if err != nil {
			p.abandon()
		}
	}()
	if p.dir, err = storage.OpenDir(config.Data); err != nil {
		return p, err
	}
	mode, err := license.ParseBinding(config.Binding)
	if err != nil {
		return p, err
	}
	if p.identity, err = p.dir.LoadIdentity(mode, machine.Read()); err != nil {
		return p, err
	}
	if p.identity.Moved {
		log.Warn("this data directory wakes on another machine: the server has a new UUID, and the licenses bound to the old one are suspended (error 113) until the vendor rebinds them", "uuid", p.identity.Public.UUID())
	}
	if err = p.openFront(); err != nil {
		return p, err
	}
	if err = p.openAdmin(); err != nil {
		return p, err
	}
	if err = p.recover(); err != nil {
		return p, err
	}
	p.watchDisk()
	go p.watch()
	return p, nil
}

// now is the time that everything is decided by.
func (p *program) now() time.Time { return time.Unix(0, p.clock.Now()) }

// openFront opens the device port.
func (p *program) openFront() error {
	tickets, err := server.OpenTicketKeys(p.path("ticket-keys.json"), p.now(), storage.WriteFile)
	if err != nil {
		return err
	}
	p.tickets = tickets
	key, err := protocol.NewHandshakeKey(p.identity.HandshakeKey[:])
	if err != nil {
		return err
	}
	p.front = server.New(server.Config{
		Listen: p.config.Listen, Loops: p.config.Loops, UDPLoops: p.config.udpLoops(),
		ConnectionsMax: p.connectionsMax(), Guards: p.config.Guards,
		Key: key, Tickets: tickets, Now: p.clock.Now, Log: p.log,
	})
	return p.front.Start()
}

// reservedFiles are the open files that are kept for the journal, the state and
// the admin API: connections get what is left.
const reservedFiles = 512

// connectionsMax is the limit of connections that the open files allow: without
// a free one the journal could not go on.
func (p *program) connectionsMax() int {
	files := openFilesMax()
	if files == 0 || uint64(p.config.ConnectionsMax)+reservedFiles <= files {
		return p.config.ConnectionsMax
	}
	allowed := int(max(files/2, files-min(files, reservedFiles)))
	level := slog.LevelWarn
	if p.config.ConnectionsMax == server.ConnectionsMax { // nobody asked for that many
		level = slog.LevelInfo
	}
	p.log.Log(context.Background(), level, "the limit of open files allows fewer device connections than set (ulimit -n, LimitNOFILE)", "connections-max", p.config.ConnectionsMax, "open files", files, "connections", allowed)
	return allowed
}

// recover loads the state and begins to decide.
func (p *program) recover() error {
	ring, err := p.config.keyRing()
	if err != nil {
		return err
	}
	began := time.Now()
	p.store, err = p.dir.Open(storage.Options{
		Core: engine.Config{Server: p.identity.Public, Trusted: ring, TokenKey: p.identity.TokenKey, DevicesMax: p.config.DevicesMax},
		Log:  p.log,
	})
	if err != nil {
		return err
	}
	p.clock.Start(p.store.Core.Time())
	p.decider = server.NewDecider(server.DeciderConfig{
		Core: p.store.Core, Journal: p.store.Journal, Checkpoint: p.store.Checkpoint,
		Sign: func(statement []byte) []byte { return ed25519.Sign(p.identity.SigningKey, statement) },
		Now:  p.clock.Now, Log: p.log, Loops: p.config.Loops + p.config.udpLoops(), CheckpointIndex: p.store.CheckpointIndex,
	})
	p.log.Info("state recovered", "index", p.store.Journal.LastIndex(), "devices", p.store.Core.Devices(), "took", time.Since(began).Round(time.Millisecond).String())
	go p.decider.Run()
	p.admin.serving.Store(&serving{p.store.Core, p.decider, p.store})
	p.front.Serve(p.store.Core, p.decider)
	return nil
}

// watch reports the first part that ends by itself.
func (p *program) watch() {
	select {
	case <-p.decider.Done():
		if err := p.decider.Err(); err != nil {
			p.failed <- err
		}
	case err := <-p.front.Ended():
		if p.front.Ready() || p.disk.low.Load() {
			p.failed <- errors.Join(server.ErrNoFront, err)
		}
	}
}

// closeTimeout bounds how long requests of the admin API, and then answers to
// devices, may take to end at a stop.
const closeTimeout = 5 * time.Second

// Close drains, writes a last checkpoint, which takes as long as it takes, and
// seals the journal.
func (p *program) Close() error {
	within := func(f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return f(ctx)
	}
	p.stopDisk()
	p.front.Quiesce()
	err := within(p.closeAdmin)
	stopped := p.decider.Stop()
	err = errors.Join(err, stopped, within(func(ctx context.Context) error {
		p.front.Flush(ctx)
		return p.front.Stop(ctx)
	}))
	if stopped != nil { // the disk can't be relied on: no seal, and Badger's own close would wait for it for ever
		return codedError{errors.Join(err, p.dir.Close()), exitBroken}
	}
	return errors.Join(err, p.store.Close(), p.dir.Close())
}

// abandon gives back what a failed start took.
func (p *program) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if p.admin.http != nil {
		_ = p.closeAdmin(ctx)
	}
	if p.front != nil {
		_ = p.front.Stop(ctx)
	}
	if p.dir != nil {
		_ = p.dir.Close()
	}
}

// announce prints what an operator needs first.
func (p *program) announce(w io.Writer) {
	fmt.Fprintf(w, "muster %s\n", build.Version())
	fmt.Fprintf(w, "  server UUID   %s (%s binding)\n", p.identity.Public.UUID(), p.identity.Public.Mode)
	fmt.Fprintf(w, "  devices       %s\n", p.front.Addr())
	fmt.Fprintf(w, "  portal, API   %s\n", p.url)
	if p.fingerprint != "" {
		fmt.Fprintf(w, "  certificate   SHA-256 %s\n", p.fingerprint)
	}
	fmt.Fprintf(w, "  data          %s\n", p.config.Data)
	if len(p.store.Core.Catalog().VendorKeys) == 0 && len(p.config.VendorKeys) == 0 {
		fmt.Fprintf(w, "  no vendor key is trusted yet, so no license can be imported:\n    muster vendor-key add FILE.pub\n")
	}
	if path := p.path(setupFile); p.dir.Fresh {
		fmt.Fprintf(w, "  first start: the one-time setup code is in %s\n", path)
	}
	fmt.Fprintln(w, "ready")
}

// secretFile reads a file with a secret, or makes it with a fresh one.
func secretFile(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	random := make([]byte, 20)
	rand.Read(random)
	secret := strings.ToLower(base32.StdEncoding.EncodeToString(random))
	return secret, storage.WriteFile(path, []byte(secret+"\n"))
}
