package license

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Grant is what one device was granted, as it stands in a signed leaf [CLI-1].
type Grant struct {
	Client      [16]byte // client UUID
	Project     string   // project id
	LicenseID   string
	ItemID      string
	Revision    uint32 // of the license file
	Item        uint32 // the server's ordinal of the item; reports name it
	ChargeWay   ChargeWay
	Flags       GrantFlags
	Instances   uint32
	Issued      int64  // server's clock, unix seconds
	ActiveUntil int64  // unix seconds; the grant is of no use from here on [GRANT-1]
	BootClock   uint64 // the device's boot clock at its request, milliseconds: with Issued it dates the device's clock
	Modules     []GrantModule
}

// GrantModule is a module that the device may use, with the ordinal that its
// reports name.
type GrantModule struct {
	Ordinal uint16
	Name    string
}

// GrantFlags say what a device should know about its grant.
type GrantFlags uint8

// The flags, frozen.
const (
	GrantInGrace GrantFlags = 1 << iota // the item has expired and serves its grace [EXH-3]
	GrantFirstUse
)

const grantVersion = 1

// AppendBinary appends the leaf: version 1, client 16, project, license id, item
// id (each u8 length + bytes), revision u32, item u32, charge way u8, flags u8,
// instances u32, issued u64, active until u64, boot clock u64, module count u8,
// then for each module ordinal u16 and name (u8 length + bytes). Big-endian.
// Every string and count fits its byte: a parsed license file has none longer.
func (g *Grant) AppendBinary(b []byte) []byte {
	b = append(append(b, grantVersion), g.Client[:]...)
	b = appendShort(b, g.Project)
	b = appendShort(b, g.LicenseID)
	b = appendShort(b, g.ItemID)
	b = binary.BigEndian.AppendUint32(b, g.Revision)
	b = binary.BigEndian.AppendUint32(b, g.Item)
	b = append(b, byte(g.ChargeWay), byte(g.Flags))
	b = binary.BigEndian.AppendUint32(b, g.Instances)
	b = binary.BigEndian.AppendUint64(b, uint64(g.Issued))
	b = binary.BigEndian.AppendUint64(b, uint64(g.ActiveUntil))
	b = binary.BigEndian.AppendUint64(b, g.BootClock)
	b = append(b, byte(len(g.Modules)))
	for _, m := range g.Modules {
		b = binary.BigEndian.AppendUint16(b, m.Ordinal)
		b = appendShort(b, m.Name)
	}
	return b
}

func appendShort(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// ErrGrant is wrapped by every reason for which a grant does not verify.
var ErrGrant = errors.New("grant does not verify")

func grantError(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrGrant, fmt.Sprintf(format, a...))
}

// ParseGrant reads a leaf. It proves nothing; see [Proof.Verify].
func ParseGrant(b []byte) (*Grant, error) {
	r := leafReader{b: b}
	if v := r.u8(); v != grantVersion {
		return nil, grantError("leaf version %d, this side reads %d", v, grantVersion)
	}
	g := &Grant{}
	copy(g.Client[:], r.take(16))
	g.Project, g.LicenseID, g.ItemID = r.short(), r.short(), r.short()
	g.Revision, g.Item = r.u32(), r.u32()
	g.ChargeWay, g.Flags = ChargeWay(r.u8()), GrantFlags(r.u8())
	g.Instances = r.u32()
	g.Issued, g.ActiveUntil = int64(r.u64()), int64(r.u64())
	g.BootClock = r.u64()
	for n := r.u8(); n > 0 && !r.bad; n-- {
		g.Modules = append(g.Modules, GrantModule{r.u16(), r.short()})
	}
	if r.bad || len(r.b) != 0 {
		return nil, grantError("the leaf is cut short, or bytes are left over")
	}
	return g, nil
}

// leafReader reads the big-endian fields of a leaf; a short input sets bad.
type leafReader struct {
	b   []byte
	bad bool
}

func (r *leafReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

func (r *leafReader) uint(n int) (v uint64) {
	for _, b := range r.take(n) {
		v = v<<8 | uint64(b)
	}
	return v
}

func (r *leafReader) u8() uint8   { return uint8(r.uint(1)) }
func (r *leafReader) u16() uint16 { return uint16(r.uint(2)) }
func (r *leafReader) u32() uint32 { return uint32(r.uint(4)) }
func (r *leafReader) u64() uint64 { return r.uint(8) }

func (r *leafReader) hash() (h Hash) {
	copy(h[:], r.take(len(h)))
	return h
}

func (r *leafReader) short() string { return string(r.take(int(r.u8()))) }

const batchTag = "muster grant batch v1\x00"

// Batch is the statement that a server signs once for all grants of one journal
// entry. Its hash is the chain's next head, so signed batches form a chain that
// can't be rewritten without showing.
type Batch struct {
	Server   UUID
	Index    uint64 // of the journal entry
	Previous Hash   // hash of the statement before
	Size     uint32 // grants in the batch
	Root     Hash   // Merkle root over their leaves
}

// Statement returns the signed bytes: tag, server UUID 16, index u64, previous
// 32, size u32, root 32.
func (s *Batch) Statement() []byte {
	b := append(make([]byte, 0, len(batchTag)+92), batchTag...)
	b = append(b, s.Server[:]...)
	b = binary.BigEndian.AppendUint64(b, s.Index)
	b = append(b, s.Previous[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Size)
	return append(b, s.Root[:]...)
}

// AppendSignedGrant appends what a device gets: leaf length u16, leaf, index
// u64, previous 32, size u32, leaf number u32, path length u8, path, signature 64.
func AppendSignedGrant(b, leaf []byte, s *Batch, number uint32, path []Hash, signature []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(leaf)))
	b = append(b, leaf...)
	b = binary.BigEndian.AppendUint64(b, s.Index)
	b = append(b, s.Previous[:]...)
	b = binary.BigEndian.AppendUint32(b, s.Size)
	b = binary.BigEndian.AppendUint32(b, number)
	b = append(b, byte(len(path)))
	for i := range path {
		b = append(b, path[i][:]...)
	}
	return append(b, signature...)
}

// SignedGrantSize is the length in bytes of what AppendSignedGrant appends.
func SignedGrantSize(leaf, path int) int {
	return 2 + leaf + 8 + sha256.Size + 4 + 4 + 1 + path*sha256.Size + ed25519.SignatureSize
}

// Proof is the way from a vendor's key to a server's key and one item: what a
// device needs beside a grant to verify it offline [CLI-2].
type Proof struct {
	Server      ServerIdentity
	Certificate Certificate
}

// AppendBinary appends the server identity (97 bytes) and the certificate.
func (p *Proof) AppendBinary(b []byte) ([]byte, error) {
	return p.Certificate.AppendBinary(p.Server.AppendBinary(b))
}

// ParseProof reads what AppendBinary wrote.
func ParseProof(b []byte) (*Proof, error) {
	server, rest, err := ParseServerIdentity(b)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	cert, err := ParseCertificate(rest)
	if err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	return &Proof{server, cert}, nil
}

// ProofID is what a device sends to say which proof it holds: the first 8 bytes
// of the proof's SHA-256.
func ProofID(proof []byte) uint64 {
	sum := sha256.Sum256(proof)
	return binary.BigEndian.Uint64(sum[:])
}

// Wanted is what a device asked for, as far as a grant must fit it [CLI-1].
type Wanted struct {
	Product    string
	Version    uint32
	Edition    string
	Deployment string
	ChargeWay  ChargeWay // 0: any
	Modules    []string
}

// Verify checks the whole chain for one device: vendor key → license (names the
// server UUID) → server key (hashes to that UUID) → grant, for this client, within
// what the vendor signed for the item, and for what the device asked for: the
// operator holds the server's keys, and could have it grant the license of
// another product of the same vendor.
func (p *Proof) Verify(signed []byte, client [16]byte, wanted *Wanted, ring *KeyRing) (*Grant, error) {
	terms, item, err := p.Certificate.Verify(ring)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrGrant, err)
	}
	if uuid := p.Server.UUID(); !slices.Contains(terms.ServerUUIDs, uuid) {
		return nil, grantError("the license names %v, this server is %v", terms.ServerUUIDs, uuid)
	}
	if !slices.Contains(terms.Bindings, p.Server.Mode) {
		return nil, grantError("the license does not accept %v binding", p.Server.Mode)
	}
	leaf, err := p.openSigned(signed)
	if err != nil {
		return nil, err
	}
	g, err := ParseGrant(leaf)
	if err != nil {
		return nil, err
	}
	if g.Client != client {
		return nil, grantError("made for another device")
	}
	if err := within(g, terms, item); err != nil {
		return nil, err
	}
	if err := wanted.fits(g, item); err != nil {
		return nil, err
	}
	return g, nil
}

// fits says what of a grant is not what was asked for.
func (w *Wanted) fits(g *Grant, item ItemTerms) error {
	switch {
	case item.Product != w.Product:
		return grantError("for product %q, not for %q", item.Product, w.Product)
	case len(item.Versions) > 0 && !slices.ContainsFunc(item.Versions, func(v uint16) bool { return uint32(v) == w.Version }):
		return grantError("for versions %v, not for %d", item.Versions, w.Version)
	case item.Edition != "" && item.Edition != w.Edition:
		return grantError("for edition %q, not for %q", item.Edition, w.Edition)
	case item.Deployment != "" && item.Deployment != w.Deployment:
		return grantError("for deployment %q, not for %q", item.Deployment, w.Deployment)
	case w.ChargeWay != 0 && item.ChargeWay != w.ChargeWay:
		return grantError("charged by %v, not by %v", item.ChargeWay, w.ChargeWay)
	}
	for _, name := range w.Modules {
		if len(item.Modules) > 0 && !slices.ContainsFunc(g.Modules, func(m GrantModule) bool { return m.Name == name }) {
			return grantError("without module %q, which was asked for", name)
		}
	}
	return nil
}

// openSigned checks the server's signature and the leaf's path.
func (p *Proof) openSigned(signed []byte) (leaf []byte, err error) {
	r := leafReader{b: signed}
	leaf = r.take(int(r.u16()))
	batch := Batch{Server: p.Server.UUID(), Index: r.u64(), Previous: r.hash(), Size: r.u32()}
	number := r.u32()
	path := make([]Hash, 0, 12)
	for n := r.u8(); n > 0 && !r.bad; n-- {
		path = append(path, r.hash())
	}
	signature := r.take(ed25519.SignatureSize)
	if r.bad || len(r.b) != 0 {
		return nil, grantError("cut short, or bytes left over")
	}
	if batch.Root, err = RootFromPath(LeafHash(leaf), number, batch.Size, path); err != nil {
		return nil, grantError("%v", err)
	}
	if !ed25519.Verify(p.Server.SigningKey, batch.Statement(), signature) {
		return nil, grantError("the server's signature is wrong")
	}
	return leaf, nil
}

// within refuses a grant that exceeds what the vendor signed for its item.
func within(g *Grant, terms LicenseTerms, item ItemTerms) error {
	switch {
	case g.LicenseID != terms.LicenseID || g.ItemID != item.ID:
		return grantError("for item %s/%s, the certificate is of %s/%s", g.LicenseID, g.ItemID, terms.LicenseID, item.ID)
	case g.Revision != terms.Revision:
		return grantError("of revision %d, the certificate of revision %d", g.Revision, terms.Revision)
	case g.ChargeWay != item.ChargeWay:
		return grantError("charge way %v, the vendor signed %v", g.ChargeWay, item.ChargeWay)
	case item.Revoked:
		return grantError("the vendor revoked item %s/%s", terms.LicenseID, item.ID)
	case g.Issued < item.Start:
		return grantError("issued before the item's start")
	case g.ActiveUntil > item.Expiry+item.Grace:
		return grantError("lasts beyond the item's expiry and grace")
	case uint64(g.Instances) > item.Quota:
		return grantError("%d instances, the quota is %d", g.Instances, item.Quota)
	}
	for _, m := range g.Modules {
		if len(item.Modules) > 0 && !slices.Contains(item.Modules, m.Name) {
			return grantError("module %q is not in the item", m.Name)
		}
	}
	return nil
}
