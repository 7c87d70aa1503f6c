package sim

import (
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/cryptotest"
	"time"

	"muster/engine"
	"muster/engine/server"
	"muster/license"
	"muster/protocol"
	"muster/storage"
	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

var (
	simSeeds = flag.Uint64("seeds", 40, "seeds that TestSimulation runs")
	simFirst = flag.Uint64("seed", 0, "the first of them")
)

// TestSimulation runs the real client, decider's cycle, engine, journal,
// checkpoints and recovery over a simulated network, disk and clock, in one
// goroutine. After each crash and at the end: what was acknowledged is there,
// nothing is there twice, and the naive model says the same. [CLI-3]
func TestSimulation(t *testing.T) {
	began, total := time.Now(), simTally{}
	for n := range *simSeeds {
		seed := *simFirst + n
		var tally simTally
		var err error
		if !t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed) // tags and nonces too: the seed is all that differs
			tally, err = runSimulation(seed)
		}) || err != nil {
			t.Fatalf("after %d seeds and %v: seed %d: %v\nreproduce: go test ./sim -count=1 -run '^TestSimulation$' -seed %d -seeds 1",
				n+1, time.Since(began).Round(time.Millisecond), seed, err, seed)
		}
		total.add(tally)
		if (n+1)%100 == 0 {
			fmt.Printf("%d seeds, %.0f a second: %v\n", n+1, float64(n+1)/time.Since(began).Seconds(), total)
		}
	}
	t.Logf("%d seeds, %.0f a second: %v", *simSeeds, float64(*simSeeds)/time.Since(began).Seconds(), total)
	if *simSeeds >= 20 && (total.crashes == 0 || total.passes == 0 || total.resent == 0 || total.edits == 0 || total.flips == 0) {
		t.Error("the simulation has lost its edge")
	}
}

// simTally says how much happened.
type simTally struct{ crashes, passes, decided, resent, edits, kills, flips, refused int }

func (a *simTally) add(b simTally) {
	a.crashes, a.passes, a.decided, a.resent = a.crashes+b.crashes, a.passes+b.passes, a.decided+b.decided, a.resent+b.resent
	a.edits += b.edits
	a.kills, a.flips, a.refused = a.kills+b.kills, a.flips+b.flips, a.refused+b.refused
}

func (a simTally) String() string {
	return fmt.Sprintf("%d server crashes, %d device kills, %d checkpoints, %d changes of devices, %d resent, %d operator's edits, %d flipped bits of which %d refused the start",
		a.crashes, a.kills, a.passes, a.decided, a.resent, a.edits, a.flips, a.refused)
}

// simulation is one seed's world.
type simulation struct {
	simTally
	r    *rand.Rand
	now  int64 // server's wall clock, unix nanoseconds
	step int
	err  error

	ring    *license.KeyRing
	key     string // license key
	signing ed25519.PrivateKey
	config  engine.Config

	disks   simMachine
	store   *storage.Store
	cycle   *server.Cycle
	writer  <-chan func()
	inbox   []simPacket
	network []simEvent
	devices []*simDevice

	terms    map[string]map[string]string // of the license's last revision
	revision uint32

	draining bool
	calm     bool // no faults any more

	history []simOp // what was decided, to make the model anew after a crash
	naive   *naive
	seen    map[simChange]bool
	durable uint64 // journal index that was acknowledged last
}

type simPacket struct {
	from *simDevice
	wire []byte
}

type simEvent struct {
	at int // step
	do func()
}

// simOp is a change of the naive model in a journal entry.
type simOp struct {
	entry uint64
	do    func(*naive)
}

// simChange names a change of a device, however often it is sent.
type simChange struct {
	uuid [16]byte
	tag  uint32
}

const simSteps = 500

// simVendor signs the one license of all seeds.
var simVendor = sync.OnceValue(func() license.PrivateKey {
	return must(license.GenerateKey("Acme Inc", rand.NewChaCha8([32]byte{})))
})

var simLicense = sync.OnceValue(func() []byte {
	return must(modelLicense(modelTerms(), 1, simIdentity().UUID()).Sign(simVendor()))
})

func simIdentity() license.ServerIdentity {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	return license.ServerIdentity{Mode: license.BindKey, SigningKey: key.Public().(ed25519.PublicKey), HandshakeKey: [32]byte{1}}
}

// runSimulation runs a seed.
func runSimulation(seed uint64) (simTally, error) {
	s := &simulation{
		r: rand.New(rand.NewPCG(seed, 0x73696d)), now: modelStart * 1e9, ring: &license.KeyRing{},
		signing: ed25519.NewKeyFromSeed(make([]byte, 32)), disks: simMachine{simdisk.New(), simdisk.New()},
		terms: modelTerms(), revision: 1,
	}
	if err := s.ring.Add(simVendor().Public()); err != nil {
		return s.simTally, err
	}
	s.config = engine.Config{Server: simIdentity(), Trusted: s.ring, TokenKey: [16]byte{7}, DevicesMax: 1000}
	s.remodel()
	s.recover()
	s.setUp()
	for s.step = 0; s.step < simSteps && s.err == nil; s.step++ {
		s.tick()
	}
	s.finish()
	s.end()
	for _, d := range s.devices {
		d.end()
	}
	return s.simTally, s.err
}

func (s *simulation) fail(format string, a ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("step %d: %w", s.step, fmt.Errorf(format, a...))
	}
}

func (s *simulation) setUp() {
	var p, second *engine.Project
	run := &simEdit{s, func(c *engine.Core) (err error) {
		if _, err = c.ImportLicense(simLicense(), engine.ImportTarget{}); err == nil {
			second, err = c.CreateProject("2001", "second", "Second")
		}
		p = c.Current().Projects[1]
		return err
	}}
	if err := s.cycle.Run([]server.Work{run}); err != nil || s.err != nil {
		s.fail("import: %w", err)
		return
	}
	s.durable = s.cycle.Core().Index()
	s.key = license.LicenseKey{
		ProjectID: p.ID, OrganizationID: "2001",
		Addresses: []license.Address{{Transport: "tcp", HostPort: "sim:1", HandshakeKey: [32]byte{1}}},
	}.String()
	s.record(func(m *naive) {
		m.revise(modelLicense(modelTerms(), 1, simIdentity().UUID()))
		for _, p := range []*engine.Project{p, second} {
			m.projects[p.ID] = &naiveProject{id: p.ID, name: p.Name, reserve: map[string]uint64{}, most: map[string]uint64{}}
		}
		m.projects[p.ID].items = sortedKeys(m.items)
	})
	for n := range 12 {
		d := &simDevice{sim: s, number: n % 9, product: string("ABDE"[s.r.IntN(4)]), sent: map[uint32]simReport{}, acked: map[uint32]bool{}, disk: simFiles{}}
		d.uuid[15] = byte(n%9 + 1)
		d.start()
		s.devices = append(s.devices, d)
	}
}

// record applies a decision to the model, and keeps it for a model made anew.
func (s *simulation) record(do func(*naive)) {
	now := s.cycle.Core().Now()
	op := simOp{s.cycle.Core().Index(), func(m *naive) { m.at(now); do(m) }}
	s.history = append(s.history, op)
	op.do(s.naive)
}

// remodel makes the model anew from the history.
func (s *simulation) remodel() {
	s.naive, s.seen = newNaive(), map[simChange]bool{}
	for _, op := range s.history {
		op.do(s.naive)
	}
}

// recover starts the server on what is on its disks.
func (s *simulation) recover() {
	store, err := s.open(s.disks, func(work <-chan func()) { s.writer = work })
	if err != nil {
		s.fail("the server does not start: %w", err)
		return
	}
	s.store, s.inbox = store, nil
	last := store.Journal.LastIndex()
	if last < s.durable {
		s.fail("journal entry %d was acknowledged, the journal ends with %d", s.durable, last)
	}
	s.durable = last // an entry in doubt is durable now
	s.history = slices.DeleteFunc(s.history, func(op simOp) bool { return op.entry > last })
	s.remodel()
	s.cycle = server.NewCycle(server.DeciderConfig{
		Core: store.Core, Journal: &simJournal{store.Journal, s}, Checkpoint: store.Checkpoint, CheckpointIndex: store.CheckpointIndex,
		Sign: func(b []byte) []byte { return ed25519.Sign(s.signing, b) }, Now: func() int64 { return s.now },
	})
	s.compareRecovered(store.Core)
	s.ledgers(store.Core)
}

// compareRecovered compares at the time of the last entry: an empty batch takes
// out what has ended by then.
func (s *simulation) compareRecovered(c *engine.Core) {
	c.Begin(c.Time(), nil)
	if len(c.Close()) > 0 {
		s.fail("time that does not pass has effects")
	}
	c.Publish()
	s.compare(c)
}

// simJournal lets the checkpoint's writer go on while an entry is on its way, as
// it does on a goroutine of its own.
type simJournal struct {
	*journal.Journal
	sim *simulation
}

func (j *simJournal) Append(kind uint8, term uint64, time int64, body []byte) (uint64, error) {
	j.sim.write(j.sim.r.IntN(3))
	if _, err := j.sim.disks.state.List(); err != nil {
		return 0, err // the power is off for both
	}
	return j.Journal.Append(kind, term, time, body)
}

const simSegment = 24 << 10

func (s *simulation) open(disks simMachine, writer func(<-chan func())) (*storage.Store, error) {
	m, err := disks.media(writer)
	if err != nil {
		return nil, err
	}
	config := s.config
	config.Alloc = func(n int) []byte { return make([]byte, n) }
	return storage.Recover(m, storage.Options{Core: config, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), SegmentBytes: simSegment})
}

// tick is one step of the world.
func (s *simulation) tick() {
	s.passTime()
	s.deliver()
	for _, d := range s.devices {
		switch {
		case d.process.killed || !s.calm && s.r.IntN(150) == 0:
			s.kills++
			d.kill()
		case s.r.IntN(3) == 0 || s.draining:
			d.next()
		}
		if s.r.IntN(120) == 0 {
			d.cutOff = s.step + s.r.IntN(100)
		}
	}
	if s.r.IntN(3) > 0 {
		s.runCycle()
	}
	s.write(s.r.IntN(3))
	if !s.calm && s.err == nil {
		s.misfortune()
	}
}

func (s *simulation) passTime() {
	switch s.r.IntN(50) {
	case 0:
		s.now += s.r.Int64N(7200e9)
	case 1:
		s.now -= s.r.Int64N(600e9)
	default:
		s.now += s.r.Int64N(20e9)
	}
}

// misfortune sets faults that come later, or kills the server now.
func (s *simulation) misfortune() {
	disk := s.disks.journal
	if s.r.IntN(2) == 0 {
		disk = s.disks.state
	}
	switch n := s.r.IntN(120); {
	case n == 0:
		disk.PowerOffAt(1 + s.r.IntN(12))
	case n == 1:
		ops := []simdisk.Op{simdisk.OpCreate, simdisk.OpWrite, simdisk.OpSync, simdisk.OpRename, simdisk.OpRemove, simdisk.OpSyncDir}
		disk.FailAt(ops[s.r.IntN(len(ops))], 1+s.r.IntN(6), syscall.EIO)
	case n == 2:
		s.crash()
	}
}

// send gives a message to the network: it may be lost, come twice, late and
// overtaken.
func (s *simulation) send(d *simDevice, arrive func()) {
	copies := []int{0, 1, 1, 1, 1, 1, 1, 2}[s.r.IntN(8)]
	if s.calm {
		copies = 1
	} else if s.step < d.cutOff {
		return
	}
	for range copies {
		delay := 1 + s.r.IntN(3)
		if !s.calm && s.r.IntN(10) == 0 {
			delay += s.r.IntN(80)
		}
		s.network = append(s.network, simEvent{s.step + delay, arrive})
	}
}

func (s *simulation) deliver() {
	events := s.network
	s.network = nil
	for _, e := range events {
		if e.at > s.step {
			s.network = append(s.network, e)
		} else {
			e.do()
		}
	}
}

// simBatch is requests that are decided together.
type simBatch struct {
	sim       *simulation
	packets   []simPacket
	decisions []engine.Decision
	requests  []protocol.Request // as they came
}

// runCycle hands all that has arrived to the decider's cycle, in up to three batches.
func (s *simulation) runCycle() {
	var work []server.Work
	for range 3 {
		n := s.r.IntN(len(s.inbox) + 1)
		if n > 0 {
			b := &simBatch{sim: s, packets: s.inbox[:n]}
			s.inbox = s.inbox[n:]
			work = append(work, b)
		}
		if !s.draining && s.r.IntN(30) == 0 {
			work = append(work, s.edit())
		}
	}
	if err := s.cycle.Run(work); err != nil {
		if !expectedFault(err) {
			s.fail("cycle: %w", err)
		}
		s.crash()
		return
	}
	s.durable = s.cycle.Core().Index()
}

func expectedFault(err error) bool {
	return errors.Is(err, simdisk.ErrPowerOff) || errors.Is(err, syscall.EIO)
}

// Decide implements server.Work: it decides, and holds each verdict against the model's.
func (b *simBatch) Decide(y *server.Cycle) {
	project := b.sim.cycle.Core().Current().Projects[1]
	for _, p := range b.packets {
		var decoder protocol.Decoder
		var r protocol.Request
		if _, err := decoder.Request(p.wire, &r); err != nil {
			b.sim.fail("request: %w", err)
			return
		}
		b.decisions = append(b.decisions, engine.Decision{Request: r, Project: project.Ordinal, Generation: project.Generation})
		r.Lines = slices.Clone(r.Lines) // the core dates them in place
		b.requests = append(b.requests, r)
	}
	y.Decide(b.decisions)
	for i := range b.decisions {
		a := b.decisions[i].Answer()
		b.sim.judge(b.packets[i].from, &b.requests[i], &a, project.ID)
	}
}

// Answer implements server.Work: the answers leave.
func (b *simBatch) Answer() {
	for i := range b.decisions {
		a, d, r := b.decisions[i].Answer(), b.packets[i].from, &b.requests[i]
		wire := protocol.AppendAnswer(nil, &a)
		b.sim.send(d, func() {
			err := protocol.VisitAnswers(wire, new(protocol.Answer), func(a *protocol.Answer) {
				kept := *a
				kept.Grant, kept.Certificate, kept.ItemName = slices.Clone(a.Grant), slices.Clone(a.Certificate), slices.Clone(a.ItemName)
				d.receive(kept, r.Tag, r.Kind == protocol.KindReport)
			})
			if err != nil {
				b.sim.fail("answer: %w", err)
			}
		})
	}
}

// judge lets the model decide the same change, once.
func (s *simulation) judge(d *simDevice, r *protocol.Request, a *protocol.Answer, project string) {
	switch a.Kind {
	case protocol.KindGranted, protocol.KindRefused, protocol.KindAccepted:
	default:
		return // out of step, no place, a word to show: nothing is decided yet
	}
	change := simChange{r.UUID, r.Tag}
	if s.seen[change] {
		s.resent++
		return
	}
	s.decided++
	request, takes := *r, r.Seq != 0 || a.Kind == protocol.KindGranted
	want, item := protocol.OK, s.itemName(r.Item)
	s.record(func(m *naive) {
		if takes {
			s.seen[change] = true
		}
		switch request.Kind {
		case protocol.KindCheckIn:
			want = m.checkIn(d.number, project, string(request.CheckIn.Product), license.ChargeWay(request.CheckIn.ChargeWay), uint64(max(1, request.CheckIn.Instances))).code
		case protocol.KindReport:
			want = m.report(d.number, project, item, request.Lines)
		case protocol.KindRelease:
			m.release(d.number, item)
		}
	})
	if a.Code != want {
		s.fail("client %d, kind %d: answered %v, the model says %v", d.number, r.Kind, a.Code, want)
	}
}

// itemName is "" for no item, as a check-in has.
func (s *simulation) itemName(ordinal uint32) string {
	if ordinal == 0 {
		return ""
	}
	return s.cycle.Core().Current().Items[ordinal].Name()
}

// write runs some of what the checkpoint's writer has to do.
func (s *simulation) write(n int) {
	for range n {
		select {
		case f, ok := <-s.writer:
			if ok {
				f()
			}
		default:
			return
		}
	}
}

// crash ends the server as a power cut or a kill does, and starts it again.
func (s *simulation) crash() {
	s.crashes++
	s.end()
	if s.r.IntN(3) == 0 {
		s.disks = s.disks.each((*simdisk.Disk).Kill)
	} else {
		s.disks = s.disks.each(func(d *simdisk.Disk) *simdisk.Disk { return d.Crash(s.r) })
	}
	if s.err == nil && s.r.IntN(3) == 0 {
		s.flip()
	}
	if s.err == nil {
		s.recover()
	}
}

func (s *simulation) end() {
	if s.cycle == nil {
		return
	}
	s.passes += int(s.cycle.Stats.Passes.Load())
	s.cycle.Close()
	s.cycle = nil
}

// flip starts a server on a copy of the disks with one bit flipped: it refuses,
// or it has the right numbers. Only the very last entry may go for torn, see
// package journal.
func (s *simulation) flip() {
	s.flips++
	disks := s.disks.each(func(d *simdisk.Disk) *simdisk.Disk { return d.Clone().Crash(s.r) })
	disk := disks.journal
	if s.r.IntN(2) == 0 {
		disk = disks.state
	}
	names := must(disk.List())
	if len(names) == 0 {
		return
	}
	name := names[s.r.IntN(len(names))]
	if size := len(disk.Contents(name)); size > 0 {
		disk.Flip(name, s.r.IntN(8*size))
	}
	store, err := s.open(disks, func(<-chan func()) {})
	if err != nil {
		s.refused++
		return
	}
	last := store.Journal.LastIndex()
	if last+1 < s.durable || last < s.durable && store.Journal.Found.Torn.Bytes == 0 {
		s.fail("a flipped bit in %s: journal entry %d was acknowledged, %d is the last, and nothing is said", name, s.durable, last)
		return
	}
	history, naive, seen := s.history, s.naive, s.seen
	s.history = slices.DeleteFunc(slices.Clone(history), func(op simOp) bool { return op.entry > last })
	s.remodel()
	s.compareRecovered(store.Core)
	if s.err != nil {
		s.err = fmt.Errorf("a flipped bit in %s: %w", name, s.err)
	}
	s.history, s.naive, s.seen = history, naive, seen
}

// compare holds the counters and the catalog against the model's.
func (s *simulation) compare(c *engine.Core) {
	s.naive.at(c.Now())
	s.compareCatalog(c)
	for _, name := range sortedKeys(s.naive.items) {
		item, ok := c.Catalog().ItemByName(name)
		if !ok {
			s.fail("item %s is gone", name)
			continue
		}
		totals := c.Totals(engine.Scope{Item: item.Ordinal})
		s.same(name+" uses", item.Usage.Uses.Load(), s.naive.uses[name])
		s.same(name+" overuse", totals.Overuse, s.naive.overuse[name])
		if i := s.naive.items[name]; i.seated() {
			s.same(name+" held", item.Usage.Held.Load(), s.naive.held(i, ""))
			if i.period() > 0 && item.Usage.Held.Load() > i.highest {
				s.fail("%s: %d seats held, the limit is %d", name, item.Usage.Held.Load(), i.highest)
			}
		}
	}
}

func (s *simulation) ledgers(c *engine.Core) {
	for _, item := range c.Catalog().Items {
		if item != nil {
			s.ledger(item, item.Usage.Uses.Load())
		}
	}
}

func (s *simulation) same(what string, got, want uint64) {
	if got != want {
		s.fail("%s: %d, the model says %d", what, got, want)
	}
}

// ledger holds an item's uses against what the devices know: at least what was
// acknowledged, at most what was ever sent; at the end exactly that.
func (s *simulation) ledger(item *engine.Item, uses uint64) {
	var acked, sent uint64
	for _, d := range s.devices {
		for tag, r := range d.sent {
			if r.item != item.Ordinal {
				continue
			}
			sent += r.count
			if d.acked[tag] {
				acked += r.count
			}
		}
	}
	if uses < acked || uses > sent || s.draining && uses != sent {
		s.fail("%s: %d uses counted, %d acknowledged, %d sent", item.Name(), uses, acked, sent)
	}
}

// finish ends all faults, lets the devices send what they have, and compares:
// before and after a clean stop.
func (s *simulation) finish() {
	s.calm = true
	for _, disk := range []*simdisk.Disk{s.disks.journal, s.disks.state} {
		disk.PowerOffAt(1 << 30)
		for op := simdisk.OpCreate; op <= simdisk.OpSyncDir; op++ {
			disk.FailAt(op, 1<<30, nil)
		}
	}
	for n := range 800 {
		s.draining = s.draining || n > 20
		if s.err != nil || n > 21 && len(s.network) == 0 && !slices.ContainsFunc(s.devices, func(d *simDevice) bool { return !d.drained }) {
			break
		}
		s.tick()
		s.step++
	}
	if s.err != nil {
		return
	}
	for i, d := range s.devices {
		if !d.drained {
			s.fail("device %d can't send what it has", i)
			return
		}
	}
	for i, d := range s.devices {
		if err := d.kept(); err != nil {
			s.fail("device %d: %w", i, err)
		}
	}
	s.stop()
}

func (s *simulation) stop() {
	if err := s.cycle.Run(nil); err != nil {
		s.fail("cycle: %w", err)
		return
	}
	s.compare(s.cycle.Core())
	s.ledgers(s.cycle.Core())
	if err := s.cycle.Finish(func() { s.write(1) }); err != nil {
		s.fail("last checkpoint: %w", err)
		return
	}
	if err := s.store.Close(); err != nil {
		s.fail("close: %w", err)
		return
	}
	s.end()
	s.recover()
}
