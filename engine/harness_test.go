package engine

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"testing"
	"time"

	"muster/license"
	"muster/protocol"
)

// start is when tests begin: noon, in the middle of a slot.
var start = time.Date(2026, 11, 23, 12, 1, 0, 0, time.UTC)

// bed is a core with a vendor, a memory journal and a clock that tests set.
type bed struct {
	t       testing.TB
	core    *Core
	vendor  license.PrivateKey
	ring    *license.KeyRing
	signing ed25519.PrivateKey
	server  license.ServerIdentity
	now     time.Time
	journal []entry
	// what the last checkpoint holds
	pages   map[PageID]Page
	objects map[ObjectKey]ObjectCopy
	rows    [Tables]uint32
	from    uint64
	nextTag uint32
	onSend  func(protocol.Request) // sees what is sent, may be nil
}

type entry struct {
	index uint64
	time  int64
	body  []byte
}

// devicesMax is room for a batch of 1,024 devices.
const devicesMax = 1100

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{t: t, now: start, ring: &license.KeyRing{}, pages: map[PageID]Page{}, objects: map[ObjectKey]ObjectCopy{}}
	var err error
	if b.vendor, err = license.GenerateKey("Acme Inc", rand.Reader); err != nil {
		t.Fatal(err)
	}
	if err := b.ring.Add(b.vendor.Public()); err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.signing = private
	b.server = license.ServerIdentity{Mode: license.BindKey, SigningKey: public, HandshakeKey: [32]byte{1}}
	b.recover()
	return b
}

func (b *bed) config() Config {
	return Config{Server: b.server, Trusted: b.ring, TokenKey: [16]byte{7}, DevicesMax: devicesMax, Alloc: func(n int) []byte { return make([]byte, n) }}
}

// recover makes a new core from the checkpoint and the journal, as a restart does.
func (b *bed) recover() {
	b.t.Helper()
	b.core = New(b.config())
	for id, rows := range b.rows {
		b.core.LoadRows(uint8(id), rows)
	}
	for id, p := range b.pages {
		if err := b.core.LoadPage(id, &p); err != nil {
			b.t.Fatal(err)
		}
	}
	for key, o := range b.objects {
		b.core.LoadObject(key, o.Index, o.Data)
	}
	last := b.from
	for _, e := range b.journal {
		if e.index > b.from {
			if err := b.core.Replay(e.index, e.time, e.body); err != nil {
				b.t.Fatal(err)
			}
			last = e.index
		}
	}
	if err := b.core.Start(last); err != nil {
		b.t.Fatal(err)
	}
}

// batch runs f in a batch and commits it.
func (b *bed) batch(f func()) {
	b.core.Begin(b.now.UnixNano(), nil)
	f()
	if body := b.core.Close(); body != nil {
		b.core.SignGrants(func(s []byte) []byte { return ed25519.Sign(b.signing, s) })
		b.journal = append(b.journal, entry{b.core.Index(), b.core.Time(), slices.Clone(body)})
	}
	b.core.Publish()
}

// checkpointStep copies at most n pages; it returns true when the pass ended.
func (b *bed) checkpointStep(n int) bool {
	pages, ids := make([]Page, n), make([]PageID, n)
	copied, done := b.core.CheckpointStep(pages, ids)
	for i := range copied {
		b.pages[ids[i]] = pages[i]
	}
	return done
}

func (b *bed) beginCheckpoint() CheckpointStart {
	s := b.core.BeginCheckpoint()
	for _, o := range s.Objects {
		b.objects[o.Key] = o
	}
	return s
}

// edit runs a catalog edit that must succeed.
func (b *bed) edit(f func(*Core) error) {
	b.t.Helper()
	var err error
	b.batch(func() { err = f(b.core) })
	if err != nil {
		b.t.Fatal(err)
	}
}

// sign makes the text of an activated license file.
func (b *bed) sign(f *license.File) []byte {
	b.t.Helper()
	text, err := f.Sign(b.vendor)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// licenseOf makes a license with items, each a list of "Name", "Value" pairs
// over the defaults.
func (b *bed) licenseOf(id string, items ...[]string) *license.File {
	b.t.Helper()
	header := []license.Field{{Name: "LicenseId", Value: id}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}}
	var fields [][]license.Field
	for i, pairs := range items {
		f := []license.Field{{Name: "ItemId", Value: fmt.Sprintf("i%d", i+1)}}
		for _, d := range [][2]string{{"Product", "DBR"}, {"ChargeWay", "scan"}, {"Quota", "100"}, {"Start", "2026-01-01"}, {"Expiry", "2027-12-31"}} {
			if !slices.Contains(pairs, d[0]) {
				f = append(f, license.Field{Name: d[0], Value: d[1]})
			}
		}
		for j := 0; j < len(pairs); j += 2 {
			if pairs[j] == "ItemId" {
				f[0].Value = pairs[j+1]
				continue
			}
			f = append(f, license.Field{Name: pairs[j], Value: pairs[j+1]})
		}
		fields = append(fields, f)
	}
	file, err := license.Draft(header, fields, b.now.Unix())
	if err != nil {
		b.t.Fatal(err)
	}
	if file, err = license.Activate(file, []license.UUID{b.server.UUID()}, b.now.Unix()); err != nil {
		b.t.Fatal(err)
	}
	return file
}

// imported imports a license made by licenseOf and returns its project.
func (b *bed) imported(id string, items ...[]string) *Project {
	b.t.Helper()
	var p *Project
	text := b.sign(b.licenseOf(id, items...))
	b.edit(func(c *Core) error {
		r, err := c.ImportLicense(text, ImportTarget{})
		if err == nil {
			p = r.Project
		}
		return err
	})
	return p
}

// unit is a device in a test.
type unit struct {
	b      *bed
	p      *Project
	uuid   [16]byte
	stream uint32
	token  uint64
	seq    uint32
	item   uint32
	asked  *protocol.CheckIn // last
}

func (b *bed) device(p *Project) *unit {
	d := &unit{b: b, p: p}
	rand.Read(d.uuid[:])
	return d
}

// send has one request decided in a batch of its own. A check-in that is asked
// to show a word does.
func (d *unit) send(r protocol.Request) protocol.Answer {
	d.b.t.Helper()
	a := d.sendOnce(r)
	if r.Kind == protocol.KindCheckIn && a.Kind == protocol.KindNoStream && a.Challenge != 0 {
		in := *r.CheckIn
		in.Challenge, r.CheckIn = a.Challenge, &in
		a = d.sendOnce(r)
	}
	return a
}

func (d *unit) sendOnce(r protocol.Request) protocol.Answer {
	d.b.t.Helper()
	if d.b.onSend != nil {
		d.b.onSend(r)
	}
	ds := []Decision{{Request: r, Project: d.p.Ordinal, Generation: d.p.Generation}}
	d.b.batch(func() { d.b.core.Decide(ds) })
	return ds[0].Answer()
}

func (d *unit) change(kind uint8) protocol.Request {
	d.b.nextTag++
	r := protocol.Request{Kind: kind, ID: 1, UUID: d.uuid, Stream: d.stream, Token: d.token, Tag: d.b.nextTag}
	if d.stream != 0 {
		r.Seq = d.seq + 1
	}
	return r
}

func want(product string) *protocol.CheckIn {
	return &protocol.CheckIn{Product: []byte(product), Version: 11, Edition: []byte("desktop"), Deployment: []byte("desktop")}
}

// wanted is what a check-in asks for, as its device verifies the grant.
func wanted(in *protocol.CheckIn) *license.Wanted {
	w := &license.Wanted{
		Product: string(in.Product), Version: in.Version, Edition: string(in.Edition), Deployment: string(in.Deployment), ChargeWay: license.ChargeWay(in.ChargeWay),
	}
	for _, m := range in.Modules {
		w.Modules = append(w.Modules, string(m))
	}
	return w
}

// checkIn asks for the DBR product, or as in says, and takes the answer over.
func (d *unit) checkIn(in *protocol.CheckIn) protocol.Answer {
	d.b.t.Helper()
	d.asked = in
	r := d.change(protocol.KindCheckIn)
	r.CheckIn = in
	a := d.send(r)
	d.take(a)
	return a
}

func (d *unit) take(a protocol.Answer) {
	if a.Stream != 0 {
		d.stream, d.token, d.seq = a.Stream, a.Token, a.Seq
	}
	if a.Kind == protocol.KindGranted {
		d.item = a.Item
	}
}

func (d *unit) mustCheckIn() *license.Grant {
	d.b.t.Helper()
	a := d.checkIn(want("DBR"))
	if a.Kind != protocol.KindGranted {
		d.b.t.Fatalf("check-in answered %d %v, want a grant", a.Kind, a.Code)
	}
	return d.grantOf(a)
}

// grantOf verifies the grant of an answer as a device does.
func (d *unit) grantOf(a protocol.Answer) *license.Grant {
	d.b.t.Helper()
	proof, err := license.ParseProof(a.Certificate)
	if err != nil {
		d.b.t.Fatal(err)
	}
	g, err := proof.Verify(a.Grant, d.uuid, wanted(d.asked), d.b.ring)
	if err != nil {
		d.b.t.Fatal(err)
	}
	return g
}

func (d *unit) refused(in *protocol.CheckIn, code protocol.Code) {
	d.b.t.Helper()
	if a := d.checkIn(in); a.Kind != protocol.KindRefused || a.Code != code {
		d.b.t.Errorf("check-in answered type %d code %v, want %v", a.Kind, a.Code, code)
	}
}

func (d *unit) reportRequest(count uint32) protocol.Request {
	r := d.change(protocol.KindReport)
	r.Item = d.item
	r.Lines = []protocol.Line{{Slot: uint32(d.b.now.Unix() / protocol.SlotSeconds), Count: count}}
	return r
}

func (d *unit) report(count uint32) {
	d.b.t.Helper()
	a := d.send(d.reportRequest(count))
	if a.Kind != protocol.KindAccepted || a.Seq != d.seq+1 {
		d.b.t.Fatalf("report answered type %d sequence %d, want accepted %d", a.Kind, a.Seq, d.seq+1)
	}
	d.seq++
}

func (d *unit) release() protocol.Answer {
	r := d.change(protocol.KindRelease)
	r.Item = d.item
	a := d.send(r)
	d.seq++
	return a
}

func (b *bed) item(n uint32) *Item { return b.core.Catalog().Items[n] }

func (b *bed) uses(n uint32) uint64 { return b.item(n).Usage.Uses.Load() }
func (b *bed) held(n uint32) uint64 { return b.item(n).Usage.Held.Load() }

// tick lets time pass.
func (b *bed) tick(d time.Duration) {
	b.now = b.now.Add(d)
	b.batch(func() {})
}
