package sim

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// Operations are divided over seeds; together with TestModel's two kinds of time
// they are a million. The race detector makes each about ten times dearer.
const (
	modelSeeds = 100 / raceFactor
	modelSteps = 10_000
)

// TestModel drives the engine and the naive model with the same random traffic,
// operator's actions, revisions, clocks and restarts: same answers, same counters.
// [SCAN-1] [SCAN-2] [PAGE-1] [DEV-1] [DEV-2] [DEV-3] [DEV-4] [DEV-5] [CDEV-1] [CDEV-2] [CDEV-3] [SRVR-1] [INST-1] [INST-2]
// [INST-3] [EXH-1] [EXH-2] [EXH-3] [GRANT-1] [SLOT-1] [PRJ-2] [PRJ-6] [PRJ-7] [FILE-3] [CLI-3] [CLI-6] [CLI-9] [ERR-1] [STAT-1] [STAT-3] [STAT-4]
func TestModel(t *testing.T) {
	for seed := range uint64(modelSeeds) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			newModel(t, seed).run(modelSteps)
		})
	}
}

// model is the engine and the naive model side by side.
type model struct {
	t        *testing.T
	r        *rand.Rand
	core     *engine.Core
	naive    *naive
	ring     *license.KeyRing
	vendor   license.PrivateKey
	signing  ed25519.PrivateKey
	server   license.ServerIdentity
	journal  []modelEntry
	saved    checkpoint
	revision uint32
	terms    map[string]map[string]string // fields by item id
	devices  []*modelDevice
	wall     int64
	jumps    bool // time goes on by weeks
	step     int
}

type modelEntry struct {
	index uint64
	time  int64
	body  []byte
}

// checkpoint is what the last complete pass copied.
type checkpoint struct {
	start   engine.CheckpointStart
	pages   map[engine.PageID]engine.Page
	objects map[engine.ObjectKey]engine.ObjectCopy
}

// modelDevice is one application on a device, under one license key.
type modelDevice struct {
	client  int
	uuid    [16]byte
	project string
	stream  uint32
	token   uint64
	seq     uint32
	granted map[string]int64 // until when, by item
	last    *protocol.Request
	answer  protocol.Answer // to last
}

var modelStart = time.Date(2026, 11, 23, 12, 1, 0, 0, time.UTC).Unix()

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		t: t, r: rand.New(rand.NewPCG(seed, 7)), naive: newNaive(), ring: &license.KeyRing{},
		wall: modelStart, jumps: seed%2 == 1, terms: modelTerms(),
		saved: checkpoint{pages: map[engine.PageID]engine.Page{}, objects: map[engine.ObjectKey]engine.ObjectCopy{}},
	}
	source := rand.NewChaCha8([32]byte{byte(seed)})
	m.vendor = must(license.GenerateKey("Acme Inc", source))
	m.signing = ed25519.NewKeyFromSeed(make([]byte, 32))
	m.server = license.ServerIdentity{Mode: license.BindKey, SigningKey: m.signing.Public().(ed25519.PublicKey), HandshakeKey: [32]byte{1}}
	if err := m.ring.Add(m.vendor.Public()); err != nil {
		t.Fatal(err)
	}
	m.restart()
	m.revise()
	m.edit(func(c *engine.Core) error {
		_, err := c.CreateProject("2001", "second", "Second")
		return err
	})
	for _, p := range m.core.Catalog().Projects[1:] {
		m.naive.projects[p.ID] = &naiveProject{id: p.ID, reserve: map[string]uint64{}, most: map[string]uint64{}}
		m.setItems(p.ID, false)
	}
	return m
}

// modelTerms are a few items of every charge way with small quotas, so that all
// limits are met often.
func modelTerms() map[string]map[string]string {
	item := func(product, way, quota string, more ...string) map[string]string {
		f := map[string]string{"Product": product, "ChargeWay": way, "Quota": quota, "Start": "2026-01-01", "Expiry": "2027-12-31"}
		for i := 0; i < len(more); i += 2 {
			f[more[i]] = more[i+1]
		}
		return f
	}
	return map[string]map[string]string{
		"scans":     item("A", "scan", "3000", "OfflineFor", "2d"),
		"pages":     item("A", "page", "500", "Expiry", "2026-12-20", "Grace", "2d"),
		"days":      item("B", "device-daily", "5"),
		"moredays":  item("B", "device-daily", "3", "Tolerance", "0"),
		"months":    item("B", "device-monthly", "4", "Tolerance", "30", "Expiry", "2027-02-01"),
		"years":     item("B", "device-yearly", "2", "Versions", "7"),
		"quarters":  item("C", "device-quarterly", "6", "Start", "2026-11-24"),
		"slots":     item("D", "concurrent-device", "2", "OveruseBudget", "20"),
		"instances": item("D", "concurrent-instance", "6", "OveruseBudget", "60", "Deployment", "server"),
		"servers":   item("E", "server", "2", "ActiveTime", "20m"),
	}
}

// revise signs and imports the license with the present terms.
func (m *model) revise() {
	m.revision++
	file := modelLicense(m.terms, m.revision, m.server.UUID())
	text := must(file.Sign(m.vendor))
	m.edit(func(c *engine.Core) error {
		_, err := c.ImportLicense(text, engine.ImportTarget{})
		return err
	})
	m.naive.revise(file)
}

// modelLicense is a revision of the one license, not signed yet.
func modelLicense(terms map[string]map[string]string, revision uint32, server license.UUID) *license.File {
	header := []license.Field{
		{Name: "LicenseId", Value: "1"}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"},
	}
	var items [][]license.Field
	for _, id := range sortedKeys(terms) {
		fields := []license.Field{{Name: "ItemId", Value: id}}
		for _, name := range sortedKeys(terms[id]) {
			fields = append(fields, license.Field{Name: name, Value: terms[id][name]})
		}
		items = append(items, fields)
	}
	file := must(license.Draft(header, items, modelStart))
	file.Revision = revision
	return must(license.Activate(file, []license.UUID{server}, modelStart))
}

// revise takes over the items of a license's newer revision.
func (m *naive) revise(file *license.File) {
	m.revision = file.Revision
	for name := range m.items {
		m.replaced[name] = true
	}
	for i := range file.Items {
		it := &file.Items[i]
		m.replaced["1/"+it.ID] = false
		before := m.items["1/"+it.ID]
		m.items["1/"+it.ID] = &naiveItem{
			name: "1/" + it.ID, product: it.Product, way: it.ChargeWay, quota: it.Quota, tolerance: it.TolerancePercent(),
			start: it.Start, expiry: it.Expiry, over: it.Expiry + it.Grace, offline: it.OfflineFor, lease: it.ActiveTime,
			budget: it.OveruseSlots(), revoked: it.Revoked, versions: min(1, len(it.Versions)) + min(1, len(it.Deployment)),
		}
		i := m.items["1/"+it.ID]
		if i.highest = i.limit(); before != nil {
			i.highest = max(i.highest, before.highest)
		}
	}
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// batch runs f as a batch of its own in the engine, at the same time in the model.
func (m *model) batch(f func()) {
	m.naive.at(m.wall)
	m.core.Begin(m.wall*1e9, nil)
	f()
	if body := m.core.Close(); body != nil {
		m.core.SignGrants(func(s []byte) []byte { return ed25519.Sign(m.signing, s) })
		m.journal = append(m.journal, modelEntry{m.core.Index(), m.core.Time(), slices.Clone(body)})
	}
	m.core.Publish()
}

func (m *model) edit(f func(*engine.Core) error) {
	m.t.Helper()
	var err error
	m.batch(func() { err = f(m.core) })
	if err != nil {
		m.t.Fatal(err)
	}
}

// restart makes the engine anew from the last checkpoint and the journal.
func (m *model) restart() {
	m.core = engine.New(engine.Config{
		Server: m.server, Trusted: m.ring, TokenKey: [16]byte{7}, Alloc: func(n int) []byte { return make([]byte, n) },
	})
	for table, rows := range m.saved.start.Rows {
		m.core.LoadRows(uint8(table), rows)
	}
	for id, p := range m.saved.pages {
		if err := m.core.LoadPage(id, &p); err != nil {
			m.t.Fatal(err)
		}
	}
	for key, o := range m.saved.objects {
		m.core.LoadObject(key, o.Index, o.Data)
	}
	last := m.saved.start.Index
	for _, e := range m.journal {
		if err := m.core.Replay(e.index, e.time, e.body); err != nil {
			m.t.Fatal(err)
		}
		last = e.index
	}
	if err := m.core.Start(last); err != nil {
		m.t.Fatal(err)
	}
}

// checkpoint copies all pages while traffic goes on.
func (m *model) checkpoint() {
	start := m.core.BeginCheckpoint()
	for _, o := range start.Objects {
		m.saved.objects[o.Key] = o
	}
	for done := false; !done; {
		var pages [3]engine.Page
		var ids [3]engine.PageID
		var n int
		n, done = m.core.CheckpointStep(pages[:], ids[:])
		for i := range n {
			m.saved.pages[ids[i]] = pages[i]
		}
		m.traffic()
	}
	m.saved.start = start
	m.journal = slices.DeleteFunc(m.journal, func(e modelEntry) bool { return e.index <= start.Index })
}

func (m *model) run(steps int) {
	for m.step = range steps {
		m.passTime()
		switch n := m.r.IntN(1000); {
		case n < 960:
			m.traffic()
		case n < 990:
			m.operator()
		case n < 994:
			m.change()
		case n < 997:
			m.checkpoint()
		default:
			m.restart()
			m.naive.now = m.core.Now() // batches without effects leave no trace of their time
		}
		if m.step%500 == 0 {
			m.compare()
		}
		if m.t.Failed() {
			m.t.Fatalf("step %d", m.step)
		}
	}
	m.restart()
	m.naive.now = m.core.Now()
	m.compare()
}

// passTime lets the wall clock go on, at times back or far ahead, or to the very
// second in which something begins or ends.
func (m *model) passTime() {
	switch n := m.r.IntN(1000); {
	case n < 480:
	case n < 500:
		m.wall = m.boundary()
	case n < 900:
		m.wall += m.r.Int64N(60)
	case n < 985:
		m.wall += m.r.Int64N(400)
	case n < 990:
		m.wall -= m.r.Int64N(2000)
	case n < 998 || !m.jumps:
		m.wall += m.r.Int64N(7200)
	case n < 999:
		m.wall += m.r.Int64N(3 * 86400)
	default:
		m.wall += m.r.Int64N(40 * 86400)
	}
}

// boundary is a second in the next two days at which a slot, a seat, an item or
// its grace ends.
func (m *model) boundary() int64 {
	seconds := []int64{(m.wall/180 + 1) * 180, (m.wall/3600 + 1) * 3600, (m.wall/86400 + 1) * 86400}
	for _, i := range m.naive.items {
		seconds = append(seconds, i.start, i.expiry, i.over)
	}
	for _, s := range m.naive.seats {
		seconds = append(seconds, s.until)
	}
	seconds = slices.DeleteFunc(seconds, func(s int64) bool { return s <= m.wall || s > m.wall+2*86400 })
	slices.Sort(seconds) // maps have no order, and a seed has to repeat
	return seconds[m.r.IntN(len(seconds))]
}

func (m *model) traffic() {
	if len(m.devices) < 25 || m.r.IntN(300) == 0 {
		m.newDevice()
	}
	d := m.devices[m.r.IntN(len(m.devices))]
	if d.last != nil && m.r.IntN(10) == 0 {
		m.resend(d)
		return
	}
	switch n := m.r.IntN(10); {
	case d.stream == 0 || n < 3:
		m.checkIn(d)
	case n < 9:
		m.report(d)
	default:
		m.release(d)
	}
}

// newDevice is an application on one of a dozen clients, under either license key.
func (m *model) newDevice() {
	projects := sortedKeys(m.naive.projects)
	client := m.r.IntN(12)
	m.devices = append(m.devices, &modelDevice{
		client: client, uuid: [16]byte{15: byte(client + 1)}, project: projects[m.r.IntN(len(projects))], granted: map[string]int64{},
	})
	if len(m.devices) > 40 {
		m.devices = m.devices[1:]
	}
}

// send decides one request in the engine; a check-in that is asked for a word shows it.
func (m *model) send(d *modelDevice, r *protocol.Request) protocol.Answer {
	p, _ := m.core.Catalog().Project(d.project)
	decide := func() protocol.Answer {
		ds := []engine.Decision{{Request: *r, Project: p.Ordinal, Generation: p.Generation}}
		m.batch(func() { m.core.Decide(ds) })
		return ds[0].Answer()
	}
	a := decide()
	if a.Kind == protocol.KindNoStream && a.Challenge != 0 && r.CheckIn != nil {
		r.CheckIn.Challenge = a.Challenge
		a = decide()
	}
	if a.Stream != 0 {
		d.stream, d.token, d.seq = a.Stream, a.Token, a.Seq
	} else if a.Kind == protocol.KindAccepted {
		d.seq = a.Seq
	}
	d.last, d.answer = r, a
	return a
}

func (m *model) request(d *modelDevice, kind uint8) *protocol.Request {
	r := &protocol.Request{Kind: kind, ID: 1, UUID: d.uuid, Stream: d.stream, Token: d.token, Tag: m.r.Uint32()}
	if d.stream != 0 {
		r.Seq = d.seq + 1
	}
	return r
}

func (m *model) checkIn(d *modelDevice) {
	product := string("ABCDEF"[m.r.IntN(6)])
	way := license.ChargeWay(0)
	if m.r.IntN(4) == 0 {
		way = license.ChargeWay(1 + m.r.IntN(10))
	}
	n := uint64(1 + m.r.IntN(8))
	r := m.request(d, protocol.KindCheckIn)
	r.CheckIn = &protocol.CheckIn{
		Product: []byte(product), Version: 7, Deployment: []byte("server"), ChargeWay: uint8(way), Instances: uint32(n),
	}
	a := m.send(d, r)
	m.checkVerdict(d, &a)
}

// checkVerdict holds the answer to a check-in against the model's.
func (m *model) checkVerdict(d *modelDevice, a *protocol.Answer) {
	if a.Kind == protocol.KindNoStream { // retired: this application begins anew
		d.stream, d.token, d.seq = 0, 0, 0
		return
	}
	in := d.last.CheckIn
	want := m.naive.checkIn(d.client, d.project, string(in.Product), license.ChargeWay(in.ChargeWay), uint64(in.Instances))
	got := naiveVerdict{code: a.Code, item: string(a.ItemName)}
	if a.Kind == protocol.KindGranted {
		g := m.grantOf(a)
		got.item, got.until = "1/"+g.ItemID, g.ActiveUntil
		d.granted[got.item] = g.ActiveUntil
	}
	if got != want {
		m.t.Errorf("client %d in %s asks for %s: %+v, want %+v", d.client, d.project, in.Product, got, want)
	}
}

func (m *model) grantOf(a *protocol.Answer) *license.Grant {
	g, err := license.ParseGrant(a.Grant[2 : 2+binary.BigEndian.Uint16(a.Grant)])
	if err != nil {
		m.t.Fatal(err)
	}
	return g
}

// report reports for an item that was granted, or for one that never was.
func (m *model) report(d *modelDevice) {
	items := sortedKeys(m.naive.items)
	name := items[m.r.IntN(len(items))]
	if _, granted := d.granted[name]; !granted && m.r.IntN(20) != 0 || m.forgotten(d, name) {
		return
	}
	r := m.request(d, protocol.KindReport)
	item, _ := m.core.Catalog().ItemByName(name)
	r.Item = item.Ordinal
	for range 1 + m.r.IntN(3) {
		slot := m.wall/180 - m.r.Int64N(3)
		switch m.r.IntN(20) {
		case 0:
			slot -= m.r.Int64N(15_000)
		case 1:
			slot += m.r.Int64N(4)
		case 2: // the oldest that counts in its own slot, and its neighbours
			slot = m.wall/180 - 30*480 + m.r.Int64N(3) - 1
		}
		r.Lines = append(r.Lines, protocol.Line{Slot: uint32(slot), Count: m.r.Uint32N(4)})
	}
	lines := slices.Clone(r.Lines) // the engine dates them
	a := m.send(d, r)
	if a.Kind == protocol.KindNoStream {
		d.stream, d.token, d.seq = 0, 0, 0
		return
	}
	if want := m.naive.report(d.client, d.project, name, lines); a.Code != want {
		m.t.Errorf("client %d in %s reports for %s: type %d %v, want %v", d.client, d.project, name, a.Kind, a.Code, want)
	}
}

// forgotten says that the client's last grant of an item under the device's
// license key ended more than 30 days ago: a device keeps no report that long,
// and the engine may have given the place away.
func (m *model) forgotten(d *modelDevice, item string) bool {
	old := func(g *naiveGrant) bool { return g != nil && g.until+30*86400 < max(m.wall, m.naive.now) }
	for project := range m.naive.projects {
		if old(m.naive.grants[naiveKey{d.client, item, project}]) {
			return true
		}
	}
	return false
}

func (m *model) release(d *modelDevice) {
	items := sortedKeys(d.granted)
	if len(items) == 0 {
		return
	}
	name := items[m.r.IntN(len(items))]
	item, _ := m.core.Catalog().ItemByName(name)
	r := m.request(d, protocol.KindRelease)
	r.Item = item.Ordinal
	if a := m.send(d, r); a.Kind == protocol.KindAccepted {
		m.naive.release(d.client, name)
	} else {
		d.stream, d.token, d.seq = 0, 0, 0
	}
}

// resend sends the last change again: nothing is counted, nothing is taken.
func (m *model) resend(d *modelDevice) {
	before := d.answer
	a := m.send(d, d.last)
	if d.last.Seq == 0 && before.Kind == protocol.KindRefused { // who has no stream asks anew
		m.checkVerdict(d, &a)
		return
	}
	d.answer = before
	switch {
	case a.Kind == before.Kind, a.Kind == protocol.KindAccepted, a.Kind == protocol.KindNoStream:
	case before.Kind == protocol.KindRefused && a.Kind == protocol.KindGranted: // what it holds by now
	case before.Kind == protocol.KindGranted && a.Kind == protocol.KindRefused: // blocked meanwhile
	default:
		m.t.Errorf("a resend is answered with type %d %v, first it was %d %v", a.Kind, a.Code, before.Kind, before.Code)
	}
}

// operator acts on one device or project.
func (m *model) operator() {
	if len(m.devices) == 0 {
		return
	}
	d := m.devices[m.r.IntN(len(m.devices))]
	if d.stream == 0 {
		return
	}
	switch m.r.IntN(4) {
	case 0:
		block := m.r.IntN(3) == 0
		m.edit(func(c *engine.Core) error { return c.BlockDevice(d.uuid, block) })
		m.naive.blocked[d.client] = block
	case 1:
		m.freeSeat(d)
	case 2:
		m.setItems(d.project, m.r.IntN(2) == 0)
	case 3:
		m.setShares(d.project)
	}
}

func (m *model) freeSeat(d *modelDevice) {
	items := sortedKeys(m.naive.items)
	name := items[m.r.IntN(len(items))]
	item, _ := m.core.Catalog().ItemByName(name)
	var err error
	m.batch(func() { err = m.core.FreeSeat(d.uuid, item.Ordinal) })
	if allowed := m.naive.free(d.client, name); allowed != (err == nil) {
		m.t.Errorf("freeing the seat of client %d on %s: %v, want allowed %v", d.client, name, err, allowed)
	}
}

// setItems gives a project a random part of the items, in a random order or in
// the default one.
func (m *model) setItems(project string, custom bool) {
	names := someItems(m.r, m.naive)
	m.edit(func(c *engine.Core) error {
		_, err := c.EditProject(project, itemsEdit(c, names, custom))
		return err
	})
	m.naive.setItems(project, names, custom)
}

func (m *model) setShares(project string) {
	shares := someShares(m.r, m.naive, project)
	var err error
	m.batch(func() { _, err = m.core.EditProject(project, sharesEdit(m.core, shares)) })
	if err == nil { // else the other project has reserved too much
		m.naive.setShares(project, shares)
	}
}

// change has the vendor issue a newer revision.
func (m *model) change() {
	changeTerms(m.r, m.terms, m.naive.now)
	m.revise()
}

// compare holds every counter against the model's.
func (m *model) compare() {
	m.batch(func() {}) // up to the present
	catalog := m.core.Catalog()
	for name, i := range m.naive.items {
		item, _ := catalog.ItemByName(name)
		totals := m.core.Totals(engine.Scope{Item: item.Ordinal})
		m.same(name+" uses", item.Usage.Uses.Load(), m.naive.uses[name])
		m.same(name+" overuse", totals.Overuse, m.naive.overuse[name])
		m.same(name+" undated", totals.Undated, m.naive.undated[name])
		for id, p := range m.naive.projects {
			project, _ := catalog.Project(id)
			if i.seated() {
				m.same(name+" held in "+p.id, item.Usage.Of(project.Ordinal).Held.Load(), m.naive.held(i, id))
			}
			m.same(name+" uses in "+p.id, item.Usage.Of(project.Ordinal).Uses.Load(), m.naive.usesIn[naiveKey{item: name, project: id}])
		}
		if i.seated() {
			m.same(name+" held", item.Usage.Held.Load(), m.naive.held(i, ""))
		}
	}
	for k, n := range m.naive.by {
		measure := map[string]engine.Measure{"uses": engine.Uses, "denials": engine.Denials, "authorizations": engine.Authorizations}[k.what]
		m.same(fmt.Sprint(k), m.series(k, measure), n)
	}
	for k, clients := range m.naive.days {
		m.same(fmt.Sprint(k), m.series(k, engine.Devices), uint64(len(clients)))
	}
	for k, n := range m.naive.peaks {
		m.same(fmt.Sprint(k), m.series(k, engine.Concurrency), n)
	}
	for k, clients := range m.naive.slots {
		if k.slot*180 > m.naive.now-34*86400 {
			s := m.scope(k.project, k.item)
			m.same(fmt.Sprint(k), m.core.Series(s, engine.Concurrency, engine.Slot, uint32(k.slot), uint32(k.slot))[0].Values[0], sum(clients))
		}
	}
}

func (m *model) scope(project, item string) (s engine.Scope) {
	if p, ok := m.core.Catalog().Project(project); ok {
		s.Project = p.Ordinal
	}
	if i, ok := m.core.Catalog().ItemByName(item); ok {
		s.Item = i.Ordinal
	}
	return s
}

// series adds up a day of a measure.
func (m *model) series(k naiveCount, measure engine.Measure) (n uint64) {
	for _, line := range m.core.Series(m.scope(k.project, k.item), measure, engine.Day, uint32(k.day), uint32(k.day)) {
		n += line.Values[0]
	}
	return n
}

func (m *model) same(what string, got, want uint64) {
	if got != want {
		m.t.Errorf("%s: %d, want %d", what, got, want)
	}
}
