package sim_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"net/netip"
	"slices"
	"time"

	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// world is where a scenario is played.
type world interface {
	// identity is the server's, for which licenses are activated.
	identity() license.ServerIdentity
	// clock sets the server's clock and lets it notice.
	clock(at time.Time) error
	// open makes a handshake as a device with a license key does. Without a code
	// it gives a line to the server.
	open(key license.LicenseKey, client protocol.UUID) (line, protocol.Code, error)
	// do runs what an operator does, in the decider.
	do(f func(*engine.Core) error) error
	// restart stops the server and starts it again; lines are lost.
	restart(devicesMax uint32) error
	close() error
}

// line carries a device's requests under one ticket.
type line func(*protocol.Request) (protocol.Answer, error)

// coreWorld is the pure core with a journal in memory.
type coreWorld struct {
	core    *engine.Core
	config  engine.Config
	signing ed25519.PrivateKey
	now     time.Time
	journal []journalEntry
}

type journalEntry struct {
	index uint64
	time  int64
	body  []byte
}

// loopback is where devices come from, in both worlds.
var loopback = netip.MustParseAddr("127.0.0.1")

func newCoreWorld(trusted *license.KeyRing, now time.Time) (*coreWorld, error) {
	seed := sha256.Sum256([]byte("server"))
	key := ed25519.NewKeyFromSeed(seed[:])
	w := &coreWorld{signing: key, now: now, config: engine.Config{
		Server:  license.ServerIdentity{Mode: license.BindKey, SigningKey: key.Public().(ed25519.PublicKey), HandshakeKey: [32]byte{1}},
		Trusted: trusted, TokenKey: [16]byte{7}, Alloc: func(n int) []byte { return make([]byte, n) },
	}}
	return w, w.restart(0)
}

func (w *coreWorld) identity() license.ServerIdentity { return w.config.Server }

func (w *coreWorld) clock(at time.Time) error {
	w.now = at
	w.batch(func() {})
	return nil
}

// batch decides in a batch of its own and commits it.
func (w *coreWorld) batch(decide func()) {
	w.core.Begin(w.now.UnixNano(), nil)
	decide()
	if body := w.core.Close(); body != nil {
		w.core.SignGrants(func(statement []byte) []byte { return ed25519.Sign(w.signing, statement) })
		w.journal = append(w.journal, journalEntry{w.core.Index(), w.core.Time(), slices.Clone(body)})
	}
	w.core.Publish()
}

func (w *coreWorld) open(key license.LicenseKey, client protocol.UUID) (line, protocol.Code, error) {
	a := w.core.Catalog().Admit(key.ProjectID, key.OrganizationID, key.Password, w.now.Unix())
	if a.Code != protocol.OK {
		w.batch(func() { w.core.Deny(a.Project, a.Code, 0, client) })
		return nil, a.Code, nil
	}
	return func(r *protocol.Request) (protocol.Answer, error) {
		ds := []engine.Decision{{Request: *r, Project: a.Project, Generation: a.Generation, Client: loopback}}
		ds[0].Request.Lines = slices.Clone(r.Lines) // the core dates them in place
		w.batch(func() { w.core.Decide(ds) })
		return ds[0].Answer(), nil
	}, protocol.OK, nil
}

func (w *coreWorld) do(f func(*engine.Core) error) (err error) {
	w.batch(func() { err = f(w.core) })
	return err
}

// restart makes a new core of the journal.
func (w *coreWorld) restart(devicesMax uint32) error {
	w.config.DevicesMax = devicesMax
	w.core = engine.New(w.config)
	last := uint64(0)
	for _, e := range w.journal {
		if err := w.core.Replay(e.index, e.time, e.body); err != nil {
			return err
		}
		last = e.index
	}
	return w.core.Start(last)
}

func (w *coreWorld) close() error { return nil }
