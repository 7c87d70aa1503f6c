package license

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// grantWorld is a vendor's file, a server and a batch of grants that it signed,
// all with fixed keys.
type grantWorld struct {
	server ed25519.PrivateKey
	proof  Proof
	batch  Batch
	grants []Grant
	leaves [][]byte
	tree   Tree
}

var grantClient = [16]byte{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f}

// newGrantWorld makes a batch of five grants of the example's first item; the
// third is grantClient's.
// grantWanted is what the device of the grants asked for.
var grantWanted = &Wanted{Product: "barcode-reader", Version: 11, Edition: "mobile", Deployment: "mobile", ChargeWay: Scan, Modules: []string{"QR"}}

func newGrantWorld(t testing.TB) *grantWorld {
	t.Helper()
	server := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	identity := ServerIdentity{Mode: BindKey, SigningKey: server.Public().(ed25519.PublicKey), HandshakeKey: [32]byte{5}}
	f := exampleFile(t)
	f.ServerUUIDs = append(f.ServerUUIDs, identity.UUID())
	mustSign(t, f)
	w := &grantWorld{server: server, proof: Proof{identity, f.Certificate(0)}}
	for n := range 5 {
		g := Grant{
			Client: grantClient, Project: "100200300-1", LicenseID: f.LicenseID, ItemID: f.Items[0].ID, Revision: f.Revision,
			Item: 1, ChargeWay: Scan, Issued: newYear2026 + 10*day, ActiveUntil: newYear2026 + 17*day, BootClock: 86_400_000,
			Modules: []GrantModule{{1, "1D"}, {2, "QR"}},
		}
		if n != 2 {
			g.Client[0] = byte(n)
		}
		w.grants = append(w.grants, g)
	}
	w.seal()
	return w
}

// seal makes leaves and batch of the grants.
func (w *grantWorld) seal() {
	w.leaves = nil
	w.tree.Reset()
	for i := range w.grants {
		w.leaves = append(w.leaves, w.grants[i].AppendBinary(nil))
		w.tree.Add(LeafHash(w.leaves[i]))
	}
	w.batch = Batch{Server: w.proof.Server.UUID(), Index: 42, Previous: Hash{1, 2, 3}, Size: uint32(len(w.leaves)), Root: w.tree.Root()}
}

// signed is what the device of the n-th grant gets.
func (w *grantWorld) signed(n int) []byte {
	signature := ed25519.Sign(w.server, w.batch.Statement())
	return AppendSignedGrant(nil, w.leaves[n], &w.batch, uint32(n), w.tree.Path(n, nil), signature)
}

func TestGrantRoundTrip(t *testing.T) { // [CLI-1]
	for _, g := range []Grant{
		{},
		newGrantWorld(t).grants[2],
		{
			Client: grantClient, Project: strings.Repeat("p", 255), LicenseID: "l", ItemID: "i", Revision: 1<<32 - 1, Item: 1<<32 - 1,
			ChargeWay: ConcurrentInstance, Flags: GrantInGrace | GrantFirstUse, Instances: 1<<32 - 1,
			Issued: 1<<62 - 1, ActiveUntil: 1 << 62, BootClock: 1<<64 - 1, Modules: slices.Repeat([]GrantModule{{1<<16 - 1, "m"}}, 255),
		},
	} {
		leaf := g.AppendBinary(nil)
		got, err := ParseGrant(leaf)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&g, got); diff != "" {
			t.Errorf("(-written +read):\n%s", diff)
		}
		for n := range leaf {
			if _, err := ParseGrant(leaf[:n]); !errors.Is(err, ErrGrant) {
				t.Fatalf("the first %d bytes of %d: %v, want ErrGrant", n, len(leaf), err)
			}
		}
		if _, err := ParseGrant(append(leaf, 0)); !errors.Is(err, ErrGrant) {
			t.Error("a byte too many is accepted")
		}
		leaf[0]++
		if _, err := ParseGrant(leaf); err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("a later leaf version: %v", err)
		}
	}
}

// A device verifies with the vendor's key alone, wherever its grant stands in
// the batch. [CLI-2]
func TestSignedGrantSize(t *testing.T) {
	w := newGrantWorld(t)
	for n, leaf := range w.leaves {
		if got, want := SignedGrantSize(len(leaf), len(w.tree.Path(n, nil))), len(w.signed(n)); got != want {
			t.Errorf("grant %d: %d bytes, want %d", n, got, want)
		}
	}
}

func TestVerifyGrant(t *testing.T) {
	ring := ringOf(t, acmeKey())
	w := newGrantWorld(t)
	for size := len(w.grants); size > 0; size-- {
		w.grants = w.grants[:size]
		w.seal()
		for n := range size {
			got, err := w.proof.Verify(w.signed(n), w.grants[n].Client, grantWanted, ring)
			if err != nil {
				t.Fatalf("grant %d of %d: %v", n, size, err)
			}
			if diff := cmp.Diff(&w.grants[n], got); diff != "" {
				t.Errorf("grant %d of %d (-granted +verified):\n%s", n, size, diff)
			}
		}
	}
}

// No changed bit of a signed grant passes, and no cut one. [CLI-2]
func TestVerifyGrantEveryChangedBit(t *testing.T) {
	ring := ringOf(t, acmeKey())
	w := newGrantWorld(t)
	signed := w.signed(2)
	for i := range signed {
		for bit := range 8 {
			changed := bytes.Clone(signed)
			changed[i] ^= 1 << bit
			if g, err := w.proof.Verify(changed, grantClient, grantWanted, ring); !errors.Is(err, ErrGrant) || g != nil {
				t.Fatalf("bit %d of byte %d was changed: %v, %v", bit, i, g, err)
			}
		}
		if _, err := w.proof.Verify(signed[:i], grantClient, grantWanted, ring); !errors.Is(err, ErrGrant) {
			t.Fatalf("the first %d bytes: %v, want ErrGrant", i, err)
		}
	}
	if _, err := w.proof.Verify(append(signed, 0), grantClient, grantWanted, ring); !errors.Is(err, ErrGrant) {
		t.Errorf("a byte too many: %v, want ErrGrant", err)
	}
}

// A genuine server cannot grant what the vendor did not sign, for none of the
// limits that a certificate sets; on each limit it still can. [CLI-2]
func TestGrantBeyondTheItem(t *testing.T) {
	ring := ringOf(t, acmeKey())
	terms := exampleFile(t).Items[0]
	tests := map[string]struct {
		change func(*Grant)
		says   string // "" when it is allowed
	}{
		"another license":    {func(g *Grant) { g.LicenseID = "ACME-2026-002" }, "certificate is of ACME-2026-001"},
		"another item":       {func(g *Grant) { g.ItemID = "server-2026" }, "certificate is of ACME-2026-001/scan-2026"},
		"an older revision":  {func(g *Grant) { g.Revision-- }, "revision 2"},
		"another charge way": {func(g *Grant) { g.ChargeWay = Domain }, "charge way domain"},
		"before the start":   {func(g *Grant) { g.Issued = terms.Start - 1 }, "before the item's start"},
		"from the start on":  {func(g *Grant) { g.Issued = terms.Start }, ""},
		"beyond the grace":   {func(g *Grant) { g.ActiveUntil = terms.Expiry + terms.Grace + 1 }, "expiry and grace"},
		"to its end":         {func(g *Grant) { g.ActiveUntil = terms.Expiry + terms.Grace }, ""},
		"too many instances": {func(g *Grant) { g.Instances = uint32(terms.Quota) + 1 }, "the quota is 100000"},
		"all instances":      {func(g *Grant) { g.Instances = uint32(terms.Quota) }, ""},
		"another module":     {func(g *Grant) { g.Modules[1].Name = "PDF417" }, "PDF417"},
		"no module":          {func(g *Grant) { g.Modules = nil }, "without module"},
	}
	for name, test := range tests {
		w := newGrantWorld(t)
		test.change(&w.grants[2])
		w.seal()
		g, err := w.proof.Verify(w.signed(2), grantClient, grantWanted, ring)
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.says != "" && (!errors.Is(err, ErrGrant) || !strings.Contains(err.Error(), test.says) || g != nil):
			t.Errorf("%s: %v, want an error with %q", name, err, test.says)
		}
	}
}

// resign lets the vendor sign the example's license again after a change.
func (w *grantWorld) resign(t testing.TB, change func(*File)) {
	t.Helper()
	f := exampleFile(t)
	f.ServerUUIDs = append(f.ServerUUIDs, w.proof.Server.UUID())
	change(f)
	mustSign(t, f)
	w.proof.Certificate = f.Certificate(0)
}

// A pirate's server, a copy of a genuine one's proof, another vendor, another
// device: no link of the chain can be exchanged. [CLI-2]
func TestVerifyGrantForgeries(t *testing.T) {
	pirate := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{66}, ed25519.SeedSize))
	tests := map[string]struct {
		change func(w *grantWorld)
		says   string
	}{
		"a pirate signs with the genuine identity": {func(w *grantWorld) { w.server = pirate }, "signature"},
		"a pirate shows its own identity": {func(w *grantWorld) {
			w.server, w.proof.Server.SigningKey = pirate, pirate.Public().(ed25519.PublicKey)
			w.seal()
		}, "the license names"},
		"another handshake key":               {func(w *grantWorld) { w.proof.Server.HandshakeKey[0]++; w.seal() }, "the license names"},
		"a revoked item":                      {func(w *grantWorld) { w.resign(t, func(f *File) { f.Items[0].Revoked = true }) }, "revoked"},
		"a binding that the license refuses":  {func(w *grantWorld) { w.resign(t, func(f *File) { f.Bindings = []Binding{BindHardware} }) }, "binding"},
		"a license for other servers":         {func(w *grantWorld) { w.resign(t, func(f *File) { f.ServerUUIDs = f.ServerUUIDs[:1] }) }, "the license names"},
		"a grant outside of the signed batch": {func(w *grantWorld) { w.batch.Root = Hash{} }, "signature"},
		"a batch of another server":           {func(w *grantWorld) { w.batch.Server[0]++ }, "signature"},
	}
	for name, test := range tests {
		w := newGrantWorld(t)
		test.change(w)
		g, err := w.proof.Verify(w.signed(2), grantClient, grantWanted, ringOf(t, acmeKey()))
		if !errors.Is(err, ErrGrant) || !strings.Contains(err.Error(), test.says) || g != nil {
			t.Errorf("%s: %v, want an error with %q", name, err, test.says)
		}
	}
	w := newGrantWorld(t)
	if _, err := w.proof.Verify(w.signed(1), grantClient, grantWanted, ringOf(t, acmeKey())); err == nil || !strings.Contains(err.Error(), "another device") {
		t.Errorf("another device's grant: %v", err)
	}
	if _, err := w.proof.Verify(w.signed(2), grantClient, grantWanted, new(KeyRing)); KindOf(err) != UnknownKey || !errors.Is(err, ErrGrant) {
		t.Errorf("a vendor that nobody trusts: %v", err)
	}
}

// A grant serves for what was asked for, and for nothing else: a server in the
// hands of a cheat can't have a cheap product's license open another one. [CLI-2]
func TestGrantForAnotherUse(t *testing.T) {
	ring := ringOf(t, acmeKey())
	tests := map[string]struct {
		change func(*Wanted)
		says   string
	}{
		"as asked":         {func(*Wanted) {}, ""},
		"another product":  {func(w *Wanted) { w.Product = "barcode-server" }, "for product"},
		"no product":       {func(w *Wanted) { w.Product = "" }, "for product"},
		"another version":  {func(w *Wanted) { w.Version = 12 }, "for versions"},
		"a large version":  {func(w *Wanted) { w.Version = 11 + 1<<16 }, "for versions"},
		"its other one":    {func(w *Wanted) { w.Version = 10 }, ""},
		"another edition":  {func(w *Wanted) { w.Edition = "server" }, "for edition"},
		"another place":    {func(w *Wanted) { w.Deployment = "server" }, "for deployment"},
		"any charge way":   {func(w *Wanted) { w.ChargeWay = 0 }, ""},
		"other charge way": {func(w *Wanted) { w.ChargeWay = Page }, "charged by"},
		"another module":   {func(w *Wanted) { w.Modules = []string{"QR", "PDF417"} }, "PDF417"},
		"no module":        {func(w *Wanted) { w.Modules = nil }, ""},
	}
	for name, test := range tests {
		w, wanted := newGrantWorld(t), *grantWanted
		test.change(&wanted)
		g, err := w.proof.Verify(w.signed(2), grantClient, &wanted, ring)
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.says != "" && (!errors.Is(err, ErrGrant) || !strings.Contains(err.Error(), test.says) || g != nil):
			t.Errorf("%s: %v, want an error with %q", name, err, test.says)
		}
	}
	w := newGrantWorld(t)
	w.resign(t, func(f *File) {
		f.Items[0].Versions, f.Items[0].Edition, f.Items[0].Deployment, f.Items[0].Modules = nil, "", "", nil
	})
	if _, err := w.proof.Verify(w.signed(2), grantClient, &Wanted{Product: "barcode-reader", Version: 3, Edition: "x", Deployment: "y", Modules: []string{"any"}}, ring); err != nil {
		t.Errorf("an item that permits any: %v", err)
	}
}

func TestProofRoundTrip(t *testing.T) { // [CLI-2]
	w := newGrantWorld(t)
	data, err := w.proof.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) >= 700+IdentitySize {
		t.Errorf("a proof of %d bytes", len(data))
	}
	got, err := ParseProof(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&w.proof, got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	for n := range data {
		if _, err := ParseProof(data[:n]); err == nil || !strings.HasPrefix(err.Error(), "proof: ") {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
	if _, err := ParseProof(append(data, 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
	other := bytes.Clone(data)
	other[len(other)-1]++
	if ProofID(data) == ProofID(other) || ProofID(data) == 0 {
		t.Error("two proofs have one id, or it is that of none")
	}
	w.proof.Certificate.KeyID = "no key id"
	if _, err := w.proof.AppendBinary(nil); err == nil {
		t.Error("a certificate that can't be encoded is")
	}
}

// The chain's next head commits to everything in a statement.
func TestStatementLayout(t *testing.T) {
	b := Batch{Server: UUID{1}, Index: 2, Previous: Hash{3}, Size: 4, Root: Hash{5}}
	got := b.Statement()
	want := slices.Concat([]byte("muster grant batch v1\x00"), b.Server[:], []byte{0, 0, 0, 0, 0, 0, 0, 2}, b.Previous[:], []byte{0, 0, 0, 4}, b.Root[:])
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}
