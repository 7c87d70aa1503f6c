package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"muster/protocol"
)

func (b *bed) daily(s Scope, m Measure, days ...int) (values []uint64) {
	for _, day := range days {
		at := Day.At(b.now.AddDate(0, 0, day).Unix())
		sum := uint64(0)
		for _, line := range b.core.Series(s, m, Day, at, at) {
			sum += line.Values[0]
		}
		values = append(values, sum)
	}
	return values
}

func (b *bed) wantDaily(what string, s Scope, m Measure, days []int, want ...uint64) {
	b.t.Helper()
	if got := b.daily(s, m, days...); !slices.Equal(got, want) {
		b.t.Errorf("%s on days %v: %v, want %v", what, days, got, want)
	}
}

// second makes another project of the organization with the same items.
func (b *bed) second(p *Project) *Project {
	b.t.Helper()
	var q *Project
	b.edit(func(c *Core) (err error) {
		if q, err = c.CreateProject(p.Organization, "", "Second"); err != nil {
			return err
		}
		var items []uint32
		for _, item := range p.Items {
			items = append(items, item.Ordinal)
		}
		q, err = c.EditProject(q.ID, ProjectEdit{Items: items})
		return err
	})
	return q
}

// TestDistinctDevicesADay: a device counts once a day for its item and for its
// project, however late, however often and through however many projects it reports.
func TestDistinctDevicesADay(t *testing.T) { // [STAT-1] [PRJ-2] [SLOT-1] [CLI-9]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Quota", "10"}, []string{"Product", "DLS"})
	q := b.second(p)
	both := b.device(p)
	both.mustCheckIn()
	other := b.device(q) // the same machine, another application and project
	other.uuid = both.uuid
	other.mustCheckIn()
	single := b.device(p)
	single.mustCheckIn()
	scans := b.device(p) // the same machine again, another item of the first project
	scans.uuid = both.uuid
	if a := scans.checkIn(want("DLS")); a.Kind != protocol.KindGranted {
		t.Fatal(a.Code)
	}
	for range 2 {
		for back := range uint32(3) {
			slot := b.slot() - back*slotsPerDay
			both.reportAt(slot, 1)
			if back < 2 {
				other.reportAt(slot, 1)
				scans.reportAt(slot-1, 1)
			}
		}
		single.reportAt(b.slot()-30*slotsPerDay, 1)
	}
	days := []int{0, -1, -2, -3, -30}
	b.wantDaily("item", Scope{Item: 1}, Devices, days, 1, 1, 1, 0, 1)
	b.wantDaily("first project", Scope{Project: p.Ordinal}, Devices, days, 1, 1, 1, 0, 1)
	b.wantDaily("second project", Scope{Project: q.Ordinal}, Devices, days, 1, 1, 0, 0, 0)
	b.wantDaily("item in the second project", Scope{q.Ordinal, 1}, Devices, days, 1, 1, 0, 0, 0)
	b.wantDaily("other item", Scope{Item: 2}, Devices, days, 1, 1, 0, 0, 0)
	b.wantDaily("uses of the project", Scope{Project: p.Ordinal}, Uses, days, 4, 4, 2, 0, 2)
	b.wantDaily("uses of the item", Scope{Item: 1}, Uses, days, 4, 4, 2, 0, 2)
	if b.held(1) != 2 {
		t.Errorf("%d seats held, want 2: the seat belongs to the client, across projects", b.held(1))
	}
	for s, want := range map[Scope]uint64{{Item: 1}: 2, {Project: p.Ordinal}: 2, {Project: q.Ordinal}: 1, {q.Ordinal, 1}: 1, {Item: 2}: 1} {
		if got := b.core.Totals(s).Devices; got != want {
			t.Errorf("%+v: %d devices ever, want %d", s, got, want)
		}
	}
}

func TestUsesByModuleAndHour(t *testing.T) { // [STAT-1] [SCAN-1]
	b := newBed(t)
	p := b.imported("1", []string{"Modules", "1D, QR", "Quota", "1000"})
	d := b.device(p)
	d.mustCheckIn()
	r := d.reportRequest(0)
	r.Lines = []protocol.Line{{Slot: b.slot(), Module: 1, Count: 3}, {Slot: b.slot(), Module: 2, Count: 5}, {Slot: b.slot() - 20, Module: 2, Count: 7}, {Slot: b.slot(), Module: 900, Count: 1}}
	d.send(r)
	hour := Hour.At(b.now.Unix())
	got := map[uint16][]uint64{}
	for _, line := range b.core.Series(Scope{Project: p.Ordinal}, Uses, Hour, hour-2, hour) {
		got[line.Module] = line.Values
	}
	want := map[uint16][]uint64{0: {0, 0, 1}, 1: {0, 0, 3}, 2: {0, 7, 5}}
	for module, values := range want {
		if !slices.Equal(got[module], values) {
			t.Errorf("module %d: %v by hour, want %v", module, got[module], values)
		}
	}
	if slots := b.core.Series(Scope{Item: 1}, Uses, Slot, b.slot()-20, b.slot()); len(slots) != 3 {
		t.Errorf("%d modules by slot, want 3: one that no license has counts as none in particular", len(slots))
	}
	if totals := b.core.Totals(Scope{Item: 1}); totals.Uses[2] != 12 || totals.Uses[0] != 1 || totals.Authorizations != 1 {
		t.Errorf("totals %+v", totals)
	}
}

func TestPeaks(t *testing.T) { // [STAT-1]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "10"}, []string{"ChargeWay", "concurrent-device", "Product", "DLS", "Quota", "5"})
	devices := []*unit{b.device(p), b.device(p), b.device(p)}
	for _, d := range devices {
		d.mustCheckIn()
	}
	devices[0].release()
	b.now = b.now.AddDate(0, 0, 0).Add(13 * time.Hour) // over midnight: two are held
	b.batch(func() {})
	b.wantDaily("seats", Scope{Item: 1}, Concurrency, []int{0, -1}, 2, 3)
	b.wantDaily("seats of the project", Scope{p.Ordinal, 1}, Concurrency, []int{0, -1}, 2, 3)
	for i := range uint32(3) {
		d := b.device(p)
		d.checkIn(want("DLS"))
		d.reportAt(b.slot()-i, 1)
		d.reportAt(b.slot()-2-i*20, 1)
	}
	b.wantDaily("devices in a slot", Scope{Item: 2}, Concurrency, []int{0}, 2)
	if got := b.core.Series(Scope{Item: 2}, Concurrency, Slot, b.slot()-2, b.slot())[0].Values; !slices.Equal(got, []uint64{2, 1, 1}) {
		t.Errorf("by slot %v, want [2 1 1]", got)
	}
}

func TestDenialsAreKept(t *testing.T) { // [STAT-4]
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "0", "Tolerance", "0"})
	d := b.device(p)
	d.refused(want("DBR"), protocol.LimitExceeded)
	d.refused(want("Other"), protocol.ProductMismatch)
	b.tick(24 * time.Hour)
	d.refused(want("DBR"), protocol.LimitExceeded)
	if got := b.core.Totals(Scope{Project: p.Ordinal}).Denials; got[protocol.LimitExceeded] != 2 || got[protocol.ProductMismatch] != 1 {
		t.Errorf("denials %v", got)
	}
	b.wantDaily("denials", Scope{Project: p.Ordinal}, Denials, []int{0, -1}, 1, 2)
	yesterday := b.core.Records(DenialRecords, p.Ordinal, uint32(b.now.Unix()/86400)-1)
	if len(yesterday) != 2 || yesterday[0].Code != protocol.ProductMismatch || yesterday[0].UUID != d.uuid || yesterday[1].Item != 1 {
		t.Errorf("yesterday's denials %+v", yesterday)
	}
}

// TestLatestRecords: at least the last 1,000 of a day are kept, and the days go
// after 35, when their pages are used again.
func TestLatestRecords(t *testing.T) { // [STAT-1]
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "100000"})
	d := b.device(p)
	d.mustCheckIn()
	today := func() uint32 { return uint32(b.now.Unix() / 86400) }
	for i := range 3000 {
		b.now = b.now.Add(time.Second)
		d.report(uint32(i))
	}
	check := func(day uint32) {
		t.Helper()
		got := b.core.Records(ReportRecords, p.Ordinal, day)
		if len(got) < 1000 {
			t.Fatalf("%d reports kept, want at least 1,000", len(got))
		}
		for i, r := range got {
			if r.Count != uint32(2999-i) || r.UUID != d.uuid || r.Item != 1 {
				t.Fatalf("report %d from the end: %+v", i, r)
			}
		}
	}
	first := today()
	check(first)
	b.recover()
	check(first)
	pages := b.core.details.rows
	for range 80 {
		b.tick(24 * time.Hour)
		d.report(1)
		if got := b.core.Records(ReportRecords, p.Ordinal, today()); len(got) != 1 {
			t.Fatalf("%d reports today, want 1", len(got))
		}
	}
	if got := b.core.Records(ReportRecords, p.Ordinal, first); len(got) != 0 {
		t.Errorf("%d reports kept after 80 days", len(got))
	}
	if grown := (b.core.details.rows - pages) / RowsPerPage; grown > detailDays+1 {
		t.Errorf("%d more pages after 80 days, want those of the days kept at most", grown)
	}
}

// TestCounterRowsAreUsedAgain lets 1,000 days pass: rows of slots and hours go
// to newer ones, rows of days stay.
func TestCounterRowsAreUsedAgain(t *testing.T) { // [STAT-1]
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "100000", "Expiry", "2037-01-01"})
	d := b.device(p)
	d.mustCheckIn()
	rows := map[int]uint32{}
	for day := range 1000 {
		b.tick(24 * time.Hour)
		d.report(1)
		rows[day] = b.core.counters.rows
	}
	series := uint32(4) // kept for ever: uses, and devices of the item, of the project and of both
	if grown, most := rows[999]-rows[500], series*(500/counterValues+1); grown > most {
		t.Errorf("%d more rows in the last 500 days, want at most the %d of their day series", grown, most)
	}
	first, last := Day.At(start.Unix()), Day.At(b.now.Unix())
	sum := uint64(0)
	for _, n := range b.core.Series(Scope{Item: 1}, Uses, Day, first, last)[0].Values {
		sum += n
	}
	if sum != 1000 {
		t.Errorf("%d uses by day, want 1,000", sum)
	}
	pages, held := b.state()
	b.recover()
	b.mustEqual(pages, held)
	if got := b.core.Series(Scope{Item: 1}, Uses, Slot, b.slot(), b.slot())[0].Values[0]; got != 1 {
		t.Errorf("%d in the last slot after recovery, want 1", got)
	}
}

// TestShares: reserve and cap of a project in an item that serves two. [PRJ-7]
func TestShares(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Quota", "10", "Tolerance", "0"}, []string{"Product", "DLS", "Quota", "10", "Tolerance", "0"})
	q := b.second(p)
	share := func(p *Project, shares ...Share) (err error) {
		b.batch(func() { _, err = b.core.EditProject(p.ID, ProjectEdit{Shares: shares}) })
		return err
	}
	three := uint64(3)
	if err := share(q, Share{Item: 1, Reserve: 4}, Share{Item: 2, Reserve: 4}); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		b.device(p).mustCheckIn()
	}
	b.device(p).refused(want("DBR"), protocol.LimitExceeded)
	for range 4 {
		b.device(q).mustCheckIn()
	}
	b.device(q).refused(want("DBR"), protocol.LimitExceeded)
	d := b.device(p)
	if a := d.checkIn(want("DLS")); a.Kind != protocol.KindGranted {
		t.Fatal(a.Code)
	}
	d.report(6)
	b.device(p).refused(want("DLS"), protocol.LimitExceeded) // six are used, four reserved
	other := b.device(q)
	if a := other.checkIn(want("DLS")); a.Kind != protocol.KindGranted {
		t.Errorf("the reserved scans: %v", a.Code)
	}
	if err := share(q, Share{Item: 2, Cap: &three}); err != nil {
		t.Fatal(err)
	}
	other.report(3)
	b.device(q).refused(want("DLS"), protocol.LimitExceeded) // the cap
	if a := b.device(p).checkIn(want("DLS")); a.Kind != protocol.KindGranted {
		t.Errorf("one scan is left for the others: %v", a.Code)
	}
	for _, bad := range [][]Share{
		{{Item: 1, Reserve: 11}}, {{Item: 1, Reserve: 4, Cap: &three}}, {{Item: 9}}, {{Item: 1}, {Item: 1}},
	} {
		if err := share(q, bad...); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestReplayedRequestsChangeNothing plays everything again that devices sent:
// first contacts, lost places, restored devices, retired streams. [CLI-3] [CLI-5]
func TestReplayedRequestsChangeNothing(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Quota", "100"})
	var sent []protocol.Request
	b.onSend = func(r protocol.Request) { sent = append(sent, r) }
	first := b.device(p)
	for i := range 12 { // more applications than may live
		app := b.device(p)
		app.uuid = first.uuid
		app.mustCheckIn()
		app.report(1)
		backup := *app
		app.report(1)
		if i%3 == 0 {
			backup.lost() // a restored backup
			backup.report(1)
			app = &backup
		}
		if i == 1 {
			first = app
		}
		b.tick(time.Second)
	}
	first.lost() // retired by now
	first.report(1)
	first.mustCheckIn()
	b.onSend = nil
	rng := rand.New(rand.NewPCG(1, 2))
	before, held := b.state()
	for range 5 {
		rng.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })
		for i := range sent {
			ds := []Decision{{Request: sent[i], Project: p.Ordinal, Generation: p.Generation}}
			b.core.Begin(b.now.UnixNano(), nil)
			b.core.Decide(ds)
			if len(b.core.body) > 0 && ds[0].Reply.Detail == nil {
				t.Fatalf("%+v had an effect", sent[i])
			}
			b.core.Close()
			b.core.Publish()
		}
	}
	after, heldAfter := b.state()
	if !slices.Equal(held, heldAfter) {
		t.Errorf("seats held %v, before %v", heldAfter, held)
	}
	for _, table := range []int{tableDevices, tableSeats, tableCounters, tableSlots, tableDetails} {
		if !slices.Equal(before[table], after[table]) {
			t.Errorf("table %d changed", table)
		}
	}
}

// TestCountersEqualTheJournal adds up the reports that stand in the journal, and
// wants the numbers that the counters have. [STAT-3]
func TestCountersEqualTheJournal(t *testing.T) {
	b := newBed(t)
	r := rand.New(rand.NewPCG(3, 4))
	p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "50"}, []string{"Product", "DLS", "Modules", "1D, QR", "Quota", "5000"}, []string{"Product", "DCV", "ChargeWay", "concurrent-device"})
	var devices []*unit
	for range 1000 {
		b.now = b.now.Add(time.Duration(r.IntN(200)) * time.Second)
		b.randomStep(r, p, &devices)
	}
	type key struct{ item, module, day uint32 }
	uses, total := map[key]uint64{}, map[uint32]uint64{}
	for _, e := range b.journal {
		for body := (&reader{b: e.body}); len(body.b) > 0; {
			if body.b[0] != effReport {
				b.skip(body)
				continue
			}
			body.u8()
			report := body.report(nil)
			for _, l := range report.lines {
				uses[key{report.item, uint32(l.Module), l.Slot / slotsPerDay}] += uint64(l.Count)
				total[report.item] += uint64(l.Count)
			}
		}
	}
	if len(uses) < 20 {
		t.Fatalf("%d sums: this test shows nothing", len(uses))
	}
	for k, want := range uses {
		got := uint64(0)
		for _, line := range b.core.Series(Scope{Item: k.item}, Uses, Day, k.day, k.day) {
			if uint32(line.Module) == k.module {
				got += line.Values[0]
			}
		}
		if got != want {
			t.Errorf("%+v: %d counted, the journal says %d", k, got, want)
		}
	}
	for item, want := range total {
		if b.uses(item) != want {
			t.Errorf("item %d: quota counts %d, the journal says %d", item, b.uses(item), want)
		}
	}
}

// skip passes over an effect that is no report.
func (b *bed) skip(r *reader) {
	b.t.Helper()
	kind := r.u8()
	switch kind {
	case effStep:
		r.step()
	case effSeat:
		r.u32()
		r.seat()
	case effStream:
		r.take(36)
	default:
		if b.core.decodeCounting(kind, r) == nil && b.core.decodeRare(kind, r) == nil {
			b.t.Fatalf("effect kind %d", kind)
		}
	}
	if r.short {
		b.t.Fatal("an effect is cut short")
	}
}

// However many steps a query takes, it reads the same.
func TestSeriesInSteps(t *testing.T) { // [STAT-3]
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "100000000", "Modules", "QR, PDF417, DataMatrix"})
	d := b.device(p)
	in := want("DBR")
	in.Modules = [][]byte{[]byte("QR")}
	if a := d.checkIn(in); a.Kind != protocol.KindGranted {
		t.Fatal(a.Code)
	}
	random := rand.New(rand.NewPCG(1, 1))
	sum := uint64(0)
	for range 200 {
		b.tick(time.Duration(random.IntN(5)) * time.Hour)
		r := d.reportRequest(0)
		n := 1 + random.Uint32N(9)
		r.Lines = []protocol.Line{{Slot: b.slot(), Module: uint16(random.Uint32N(4)), Count: n}}
		if a := d.send(r); a.Kind != protocol.KindAccepted {
			t.Fatal(a.Kind, a.Code)
		}
		d.seq++
		sum += uint64(n)
	}
	last := b.slot()
	q := NewSeriesQuery(Scope{Project: p.Ordinal}, Uses, Slot, last-30*480, last)
	steps := 1
	for ; !q.Step(b.core); steps++ {
	}
	got := uint64(0)
	for _, line := range q.Lines {
		for _, n := range line.Values {
			got += n
		}
	}
	if len(q.Lines) != 4 || got != sum || steps < 5 {
		t.Errorf("%d series with a sum of %d in %d steps, want %d", len(q.Lines), got, steps, sum)
	}
}

// TestFindDevices: in steps of any size every device that fits is found once.
func TestFindDevices(t *testing.T) { // [OPS-1]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Quota", "100"}, []string{"Product", "DLS"})
	q := b.second(p)
	for i := range 40 {
		d := b.device([]*Project{p, q}[i%2])
		d.uuid = [16]byte{0xAB, byte(i)}
		d.mustCheckIn()
		if i == 3 {
			d.release()
		}
		other := b.device(p) // another application of the device, for another product
		other.uuid = d.uuid
		if i%4 == 0 {
			if a := other.checkIn(want("DLS")); a.Kind != protocol.KindGranted {
				t.Fatal(a.Code)
			}
		}
	}
	b.edit(func(c *Core) error { return c.BlockDevice([16]byte{0xAB, 7}, true) })
	for name, row := range map[string]struct {
		filter DeviceFilter
		want   int
	}{
		"all": {DeviceFilter{}, 40}, "prefix": {DeviceFilter{Prefix: "AB1"}, 16}, "whole": {DeviceFilter{Prefix: "AB07"}, 1}, "no such": {DeviceFilter{Prefix: "AC"}, 0},
		"item": {DeviceFilter{Item: 2}, 10}, "project": {DeviceFilter{Project: q.Ordinal}, 20}, "held": {DeviceFilter{Item: 1, Held: true}, 39},
		"blocked": {DeviceFilter{Blocked: true}, 1}, "clone": {DeviceFilter{Clone: true}, 0}, "both": {DeviceFilter{Project: q.Ordinal, Item: 2}, 0},
	} {
		for _, limit := range []int{1, 3, 100} {
			seen := map[[16]byte]bool{}
			for from := uint32(0); ; {
				found, next := b.core.FindDevices(&row.filter, from, limit)
				for _, d := range found {
					if seen[d.UUID] {
						t.Errorf("%s: %x is found twice", name, d.UUID)
					}
					seen[d.UUID] = true
				}
				if from = next; next == 0 {
					break
				}
			}
			if len(seen) != row.want {
				t.Errorf("%s by %d: %d devices, want %d", name, limit, len(seen), row.want)
			}
		}
	}
}
