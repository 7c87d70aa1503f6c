package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"muster/protocol"
)

// objectData is the catalog as it is stored.
func (b *bed) objectData() map[ObjectKey]string {
	data := map[ObjectKey]string{}
	for key, o := range b.core.objects {
		data[key] = string(o.data)
	}
	return data
}

// state is everything else that a restart must bring back.
func (b *bed) state() (pages [Tables][]Page, held []uint64) {
	for id := range uint8(Tables) {
		t := b.core.table(id)
		for n := range t.pages() {
			p := *t.page(uint32(n))
			p.Seal()
			pages[id] = append(pages[id], p)
		}
	}
	for _, st := range b.core.items {
		if st != nil {
			held = append(held, st.held)
		}
	}
	return pages, held
}

func (b *bed) mustEqual(pages [Tables][]Page, held []uint64) {
	b.t.Helper()
	gotPages, gotHeld := b.state()
	for id := range pages {
		if len(gotPages[id]) != len(pages[id]) {
			b.t.Fatalf("table %d has %d pages, want %d", id, len(gotPages[id]), len(pages[id]))
		}
		for n := range pages[id] {
			if gotPages[id][n] != pages[id][n] {
				b.t.Fatalf("table %d page %d differs after recovery", id, n)
			}
		}
	}
	if len(held) != len(gotHeld) {
		b.t.Fatalf("%d items, want %d", len(gotHeld), len(held))
	}
	for i := range held {
		if held[i] != gotHeld[i] {
			b.t.Errorf("item %d holds %d seats, want %d", i, gotHeld[i], held[i])
		}
	}
}

// A start reads ahead what reports will change: it has to know how long they are.
func TestReadsAheadOfReports(t *testing.T) {
	var body []byte
	for lines := range 4 {
		e := reportEffect{lines: make([]protocol.Line, lines)}
		body = e.append(body)
	}
	reports := len(body)
	body = (&linkEffect{}).append(body)
	if n := New(Config{}).prefetchReports(body); n != reports {
		t.Errorf("%d bytes are taken for reports, there are %d", n, reports)
	}
}

// TestRecoverAtAnyMoment drives random traffic with fuzzy checkpoints, stops at
// random moments, in the middle of a pass too, and wants the very same pages.
func TestRecoverAtAnyMoment(t *testing.T) {
	for seed := range uint64(20) {
		b := newBed(t)
		r := rand.New(rand.NewPCG(seed, 1))
		p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "150"}, []string{"Product", "DLS", "Quota", "5000"}, []string{"Product", "DCV", "ChargeWay", "concurrent-device", "Quota", "2"})
		var devices []*unit
		passing, done := false, CheckpointStart{}
		for step := range 1500 {
			b.now = b.now.Add(time.Duration(r.IntN(120)) * time.Second)
			b.randomStep(r, p, &devices)
			if r.IntN(60) == 0 {
				name := fmt.Sprint("renamed at ", step)
				b.edit(func(c *Core) error { _, err := c.EditProject(p.ID, ProjectEdit{Name: &name}); return err })
			}
			if r.IntN(300) == 0 {
				b.now = b.now.Add(-time.Duration(r.IntN(60*24)) * time.Hour)
				b.edit(func(c *Core) error { return c.SetBack(b.now.UnixNano()) })
			}
			if r.IntN(60) == 0 {
				name := fmt.Sprint("renamed at step ", step)
				b.edit(func(c *Core) error { _, err := c.EditProject(p.ID, ProjectEdit{Name: &name}); return err })
			}
			switch {
			case !passing && r.IntN(40) == 0:
				done, passing = b.beginCheckpoint(), true
			case passing && b.checkpointStep(1+r.IntN(2)):
				b.from, b.rows, passing = done.Index, done.Rows, false
			}
			if r.IntN(150) == 0 || step == 1499 {
				pages, held := b.state()
				objects := b.objectData()
				b.recover()
				b.mustEqual(pages, held)
				if !maps.Equal(objects, b.objectData()) {
					t.Fatal("the catalog differs after recovery")
				}
				passing = false
			}
		}
	}
}

func (b *bed) randomStep(r *rand.Rand, p *Project, devices *[]*unit) {
	if len(*devices) == 0 || r.IntN(5) == 0 {
		d := b.device(p)
		if len(*devices) > 0 && r.IntN(4) == 0 { // another application on the same machine
			d.uuid = (*devices)[r.IntN(len(*devices))].uuid
		}
		*devices = append(*devices, d)
	}
	d := (*devices)[r.IntN(len(*devices))]
	switch n := r.IntN(10); {
	case d.item == 0 || n < 3:
		d.checkIn(want([]string{"DBR", "DLS", "DCV"}[r.IntN(3)]))
	case n == 3:
		d.release()
	default:
		request := d.reportRequest(uint32(r.IntN(9)))
		request.Lines[0].Slot -= r.Uint32N(20_000) // late, at times too late
		if a := d.send(request); a.Kind == protocol.KindAccepted {
			d.seq = a.Seq
		}
	}
}

func TestUnknownEffectIsRefused(t *testing.T) {
	b := newBed(t)
	c := New(b.config())
	if err := c.Replay(1, 0, []byte{99}); err == nil {
		t.Error("an unknown effect was replayed")
	}
	for n := range 30 {
		if err := New(b.config()).Replay(1, 0, append([]byte{effReport}, make([]byte, n)...)); n < 30 && err == nil {
			t.Errorf("a report effect of %d bytes was replayed", n)
		}
	}
}

func TestPageCheck(t *testing.T) {
	var p Page
	id := PageID{Table: 1, Number: 7}
	p.header().table, p.header().number = 1, 7
	p.Seal()
	if _, err := p.Check(id); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Check(PageID{Table: 1, Number: 8}); err == nil {
		t.Error("a page in another's place passes")
	}
	for bit := range PageBytes * 8 {
		p[bit/8] ^= 1 << (bit % 8)
		if _, err := p.Check(id); err == nil {
			t.Fatalf("bit %d flipped and the page passes", bit)
		}
		p[bit/8] ^= 1 << (bit % 8)
	}
}
