package storage

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"muster/license"
	"muster/machine"
)

// Identity is who a server is [SRV-1]: its keys, which never change, and the
// machine it runs on.
type Identity struct {
	SigningKey   ed25519.PrivateKey
	HandshakeKey [32]byte // X25519, private
	TokenKey     [16]byte // keys the PRF of stream tokens
	Public       license.ServerIdentity
	// Moved says that this start found another machine than the ones before.
	Moved bool
}

// identityFile is DATA/identity.json.
type identityFile struct {
	Mode         license.Binding `json:"mode"`
	SigningKey   []byte          `json:"signingKey"`   // Ed25519 seed, 32 bytes
	HandshakeKey []byte          `json:"handshakeKey"` // X25519, 32 bytes
	TokenKey     []byte          `json:"tokenKey"`     // 16 bytes
	// Machines are the machines this directory has run on, hardware mode only.
	// Coming back to one of them brings its UUID back.
	Machines []machine.Facts `json:"machines,omitempty"`
}

// factsNeeded is how many facts hardware mode needs to tell machines apart.
const factsNeeded = 3

// LoadIdentity reads the directory's identity, or makes it at the first start,
// bound by mode (0: hardware). here is what was read of this machine.
func (d *Dir) LoadIdentity(mode license.Binding, here machine.Facts) (*Identity, error) {
	f, err := d.readIdentity()
	made := errors.Is(err, fs.ErrNotExist) && d.Fresh
	if made {
		f, err = newIdentity(mode), nil
	}
	if err != nil {
		return nil, err
	}
	digest, moved, changed, err := recordMachine(&f, here)
	if err != nil {
		return nil, err
	}
	if changed || made {
		out, err := json.MarshalIndent(f, "", " ")
		if err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		if err := WriteFile(d.file("identity.json"), out); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
	}
	return f.identity(digest, moved)
}

// readIdentity reads and checks the directory's identity.
func (d *Dir) readIdentity() (f identityFile, err error) {
	path := d.file("identity.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("identity: %w; restore it from a backup: without it the licenses on this server are lost", err)
	}
	if err != nil {
		return f, fmt.Errorf("identity: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("identity %s: %w; restore it from a backup", path, err)
	}
	if len(f.SigningKey) != ed25519.SeedSize || len(f.HandshakeKey) != 32 || len(f.TokenKey) != 16 {
		return f, fmt.Errorf("identity %s: a key has the wrong length; restore it from a backup", path)
	}
	return f, nil
}

// lastMachine is the digest of the machine that the directory ran on last.
func (f *identityFile) lastMachine() (digest [32]byte) {
	if n := len(f.Machines); n > 0 {
		digest = f.Machines[n-1].Digest()
	}
	return digest
}

func (f *identityFile) identity(digest [32]byte, moved bool) (*Identity, error) {
	id := &Identity{SigningKey: ed25519.NewKeyFromSeed(f.SigningKey), Moved: moved}
	copy(id.HandshakeKey[:], f.HandshakeKey)
	copy(id.TokenKey[:], f.TokenKey)
	handshake, err := ecdh.X25519().NewPrivateKey(f.HandshakeKey)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	id.Public = license.ServerIdentity{
		Mode: f.Mode, SigningKey: id.SigningKey.Public().(ed25519.PublicKey),
		HandshakeKey: [32]byte(handshake.PublicKey().Bytes()), MachineDigest: digest,
	}
	return id, nil
}

func newIdentity(mode license.Binding) identityFile {
	if mode == 0 {
		mode = license.BindHardware
	}
	f := identityFile{Mode: mode, SigningKey: make([]byte, 32), HandshakeKey: make([]byte, 32), TokenKey: make([]byte, 16)}
	rand.Read(f.SigningKey)
	rand.Read(f.HandshakeKey)
	rand.Read(f.TokenKey)
	return f
}

// recordMachine finds this machine among those recorded, or records it [SRV-2].
// The digest is that of the recorded reading, so that the UUID stays the same
// when one fact has changed.
func recordMachine(f *identityFile, here machine.Facts) (digest [32]byte, moved, changed bool, err error) {
	if f.Mode == license.BindKey {
		return digest, false, false, nil
	}
	if here.Known() < factsNeeded {
		return digest, false, false, fmt.Errorf("hardware binding needs %d of machine-id, CPU, board serial and MAC of a network card, and here is no %s: run as a user who may read them, or start a new directory with --binding key",
			factsNeeded, strings.Join(here.Missing(), " and no "))
	}
	for _, recorded := range f.Machines {
		if recorded.Same(here) {
			return recorded.Digest(), false, false, nil
		}
	}
	moved = len(f.Machines) > 0
	f.Machines = append(f.Machines, here)
	return here.Digest(), moved, true, nil
}
