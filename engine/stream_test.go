package engine

import (
	"fmt"
	"testing"
	"time"

	"muster/protocol"
)

func TestReportCountsOnce(t *testing.T) { // [CLI-3]
	b := newBed(t)
	p := b.imported("1", []string{})
	d := b.device(p)
	d.mustCheckIn()
	first := d.reportRequest(4)
	for i := range 5 {
		if a := d.send(first); a.Kind != protocol.KindAccepted || a.Seq != 1 {
			t.Fatalf("sending %d: type %d sequence %d", i, a.Kind, a.Seq)
		}
	}
	d.seq = 1
	d.report(2)
	if a := d.send(first); a.Kind != protocol.KindAccepted || a.Seq != 2 {
		t.Errorf("an old report: type %d sequence %d, want accepted 2", a.Kind, a.Seq)
	}
	if b.uses(1) != 6 {
		t.Errorf("%d scans, want 6", b.uses(1))
	}
}

func TestGapIsNamed(t *testing.T) { // [CLI-3]
	b := newBed(t)
	p := b.imported("1", []string{})
	d := b.device(p)
	d.mustCheckIn()
	r := d.reportRequest(1)
	r.Seq = 3
	if a := d.send(r); a.Kind != protocol.KindOutOfStep || a.Seq != 1 {
		t.Errorf("type %d sequence %d, want out of step, 1 expected", a.Kind, a.Seq)
	}
	if b.uses(1) != 0 {
		t.Error("a report out of step was counted")
	}
}

func TestForeignTokenIsRefused(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{})
	d, thief := b.device(p), b.device(p)
	d.mustCheckIn()
	thief.mustCheckIn()
	r := d.reportRequest(50)
	r.Token = thief.token
	if a := d.send(r); a.Kind != protocol.KindNoStream {
		t.Errorf("another device's token: type %d, want no stream", a.Kind)
	}
	r = thief.reportRequest(50)
	r.Stream, r.Token = d.stream, d.token
	if a := thief.send(r); a.Kind != protocol.KindNoStream {
		t.Errorf("another device's stream: type %d, want no stream", a.Kind)
	}
	if b.uses(1) != 0 {
		t.Error("a forged report was counted")
	}
}

func TestReportForItemNeverGranted(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"ItemId", "mine"}, []string{"ItemId", "other", "Product", "DLS"})
	d := b.device(p)
	d.mustCheckIn()
	r := d.reportRequest(9)
	r.Item = 3 - d.item
	if a := d.send(r); a.Kind != protocol.KindRefused || a.Code != protocol.InvalidItem || a.Seq != 1 {
		t.Errorf("type %d code %v sequence %d, want refused 113, sequence taken", a.Kind, a.Code, a.Seq)
	}
	if b.uses(1)+b.uses(2) != 0 {
		t.Error("it was counted")
	}
}

func TestFirstCheckInResent(t *testing.T) { // [CLI-9]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly"})
	d := b.device(p)
	r := d.change(protocol.KindCheckIn)
	r.CheckIn = want("DBR")
	first, again := d.send(r), d.send(r)
	if again.Kind != protocol.KindGranted || again.Stream != first.Stream {
		t.Errorf("resent: type %d stream %d, want a grant of stream %d", again.Kind, again.Stream, first.Stream)
	}
	if b.core.Devices() != 1 || b.held(1) != 1 {
		t.Errorf("%d rows, %d seats; want 1 and 1", b.core.Devices(), b.held(1))
	}
}

func TestStreamsShareASeat(t *testing.T) { // [CLI-9]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly", "Quota", "1", "Tolerance", "0"})
	var apps []*unit
	for range StreamsMax {
		app := b.device(p)
		if len(apps) > 0 {
			app.uuid = apps[0].uuid
		}
		app.mustCheckIn()
		app.report(1)
		apps = append(apps, app)
		b.tick(time.Second)
	}
	if b.held(1) != 1 || b.uses(1) != StreamsMax {
		t.Errorf("%d seats, %d uses; want 1 and %d", b.held(1), b.uses(1), StreamsMax)
	}
	ninth := b.device(p)
	ninth.uuid = apps[0].uuid
	ninth.mustCheckIn()
	ninth.report(1)
	if a := apps[0].send(apps[0].reportRequest(1)); a.Kind != protocol.KindNoStream {
		t.Errorf("the retired stream is answered %d, want no stream", a.Kind)
	}
	if a := apps[1].send(apps[1].reportRequest(1)); a.Kind != protocol.KindAccepted {
		t.Errorf("another stream is answered %d, want accepted", a.Kind)
	}
}

// TestRetiredStreamKnowsWhatItCounted: the answer to a report is lost, then
// eight other applications push the stream out. Coming back, it learns that the
// report was counted. [CLI-3] [CLI-9]
func TestRetiredStreamKnowsWhatItCounted(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly"})
	first := b.device(p)
	first.mustCheckIn()
	inDoubt := first.reportRequest(5)
	first.send(inDoubt) // the answer is lost
	for range StreamsMax {
		b.tick(time.Second)
		other := b.device(p)
		other.uuid = first.uuid
		other.mustCheckIn()
	}
	if a := first.send(inDoubt); a.Kind != protocol.KindNoStream {
		t.Fatalf("retired: answered %d, want no stream", a.Kind)
	}
	ask := first.change(protocol.KindCheckIn)
	ask.Seq, ask.CheckIn = 0, want("DBR")
	for sending := range 3 { // its answers are lost, too
		a := first.send(ask)
		if a.Kind != protocol.KindGranted || a.Stream != first.stream || a.Token != first.token || a.Seq != 1 {
			t.Fatalf("sending %d: type %d stream %d sequence %d; want the old stream and token, at 1", sending, a.Kind, a.Stream, a.Seq)
		}
	}
	if a := first.send(inDoubt); a.Kind != protocol.KindAccepted {
		t.Errorf("the report in doubt: type %d, want accepted", a.Kind)
	}
	first.seq = 1
	first.report(2)
	if b.uses(1) != 7 {
		t.Errorf("%d uses, want 7", b.uses(1))
	}
}

// TestStreamRowsAreBounded makes many more applications than a UUID may have.
func TestStreamRowsAreBounded(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{})
	first := b.device(p)
	for range 3 * StreamRowsMax {
		b.tick(time.Second)
		app := b.device(p)
		app.uuid = first.uuid
		app.mustCheckIn()
		app.report(1)
	}
	if n := b.core.Devices(); n != StreamRowsMax {
		t.Errorf("%d rows, want %d", n, StreamRowsMax)
	}
	cl, _ := b.core.client(&first.uuid)
	if v := b.core.survey(cl); v.live != StreamsMax {
		t.Errorf("%d live streams, want %d", v.live, StreamsMax)
	}
}

// lost is the check-in of a device that asks for its place.
func (d *unit) lost() protocol.Answer {
	r := d.change(protocol.KindCheckIn)
	r.Seq, r.CheckIn = 0, want("DBR")
	a := d.send(r)
	d.take(a)
	return a
}

func TestRestoredDeviceIsForgivenOnce(t *testing.T) { // [CLI-5]
	b := newBed(t)
	p := b.imported("1", []string{})
	d := b.device(p)
	d.mustCheckIn()
	backup := *d
	d.report(1)
	d.report(1)
	restored := backup
	if a := restored.send(restored.reportRequest(1)); a.Kind != protocol.KindAccepted || a.Seq != 2 {
		t.Errorf("type %d sequence %d; a restored device must learn that the stream is at 2", a.Kind, a.Seq)
	}
	if a := restored.lost(); a.Kind != protocol.KindGranted || a.Stream != d.stream || a.Seq != 2 || a.Token == d.token {
		t.Fatalf("type %d stream %d sequence %d, want a grant on the old stream with a new token", a.Kind, a.Stream, a.Seq)
	}
	restored.report(1)
	if b.uses(1) != 3 {
		t.Errorf("%d uses, want 3", b.uses(1))
	}
	second := restored
	restored.report(1)
	if a := second.lost(); a.Kind != protocol.KindRefused || a.Code != protocol.Clone {
		t.Errorf("restored a second time: type %d code %v, want 151", a.Kind, a.Code)
	}
}

func TestInterleavedCopiesAreClones(t *testing.T) { // [CLI-5]
	b := newBed(t)
	p := b.imported("1", []string{})
	d := b.device(p)
	d.mustCheckIn()
	copied := *d
	d.report(1)
	if a := copied.send(copied.reportRequest(1)); a.Kind != protocol.KindNoStream {
		t.Fatalf("the same number with another tag: type %d, want no stream", a.Kind)
	}
	if a := copied.lost(); a.Kind != protocol.KindGranted {
		t.Fatalf("the first time: type %d %v, want to be forgiven", a.Kind, a.Code)
	}
	if a := d.lost(); a.Kind != protocol.KindRefused || a.Code != protocol.Clone {
		t.Errorf("the original comes back: type %d %v, want 151", a.Kind, a.Code)
	}
	if a := copied.checkIn(want("DBR")); a.Code != protocol.Clone {
		t.Errorf("the copy checks in: %v, want 151", a.Code)
	}
}

func TestForgivenCheckInResent(t *testing.T) { // [CLI-5]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-yearly"})
	d := b.device(p)
	d.mustCheckIn()
	d.report(1)
	r := d.change(protocol.KindCheckIn)
	r.Seq, r.CheckIn = 0, want("DBR")
	first, again := d.send(r), d.send(r)
	if again.Kind != protocol.KindGranted || again.Token != first.Token {
		t.Errorf("resent: type %d %v, want the same answer", again.Kind, again.Code)
	}
}

// TestForgivenCheckInResentLate: the answer that forgave was lost, and the device
// comes back when the grant in it is over: it is honest, and learns its token.
// The other copy, with the old token, is still found. What was recorded of it
// has no effect when it is played again.
func TestForgivenCheckInResentLate(t *testing.T) { // [CLI-5]
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "scan", "OfflineFor", "7d"})
	d := b.device(p)
	d.mustCheckIn()
	d.report(1)
	other := *d
	var sent []protocol.Request
	b.onSend = func(r protocol.Request) { sent = append(sent, r) }
	r := d.change(protocol.KindCheckIn)
	r.Seq, r.CheckIn = 0, want("DBR")
	lost := d.send(r)
	for range 2 { // the second answer is lost, too
		b.tick(8 * 24 * time.Hour)
		a := d.send(r)
		if a.Kind != protocol.KindGranted || a.Token != lost.Token || a.Token == d.token || a.Seq != 1 {
			t.Fatalf("8 days later: type %d %v", a.Kind, a.Code)
		}
		d.take(a)
		d.token = other.token
	}
	b.onSend = nil
	b.tick(8 * 24 * time.Hour) // the grant is over, the device is not back yet
	for range 3 {
		for _, recorded := range sent {
			_ = d.sendOnce(recorded)
		}
	}
	if b.held(1) != 0 || b.uses(1) != 1 {
		t.Errorf("played again: %d held, %d uses", b.held(1), b.uses(1))
	}
	d.token = lost.Token
	d.report(1)
	if a := other.lost(); a.Kind != protocol.KindRefused || a.Code != protocol.Clone {
		t.Errorf("the other copy: type %d %v, want 151", a.Kind, a.Code)
	}
}

func TestTableFullIsBusy(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"Quota", "100000"})
	for range devicesMax {
		b.device(p).mustCheckIn()
	}
	if a := b.device(p).checkIn(want("DBR")); a.Kind != protocol.KindBusy || a.RetryAfter == 0 {
		t.Errorf("type %d, want busy", a.Kind)
	}
}

// TestSeatsFullIsBusy: a client with a seat on as many items as may be is busy
// for one more, and nothing of that was decided.
func TestSeatsFullIsBusy(t *testing.T) {
	b := newBed(t)
	var items [][]string
	for i := range SeatsMax + 1 {
		items = append(items, []string{"Product", fmt.Sprint("P", i)})
	}
	p := b.imported("1", items...)
	d := b.device(p)
	for i := range SeatsMax {
		if a := d.checkIn(want(fmt.Sprint("P", i))); a.Kind != protocol.KindGranted {
			t.Fatalf("item %d: type %d %v", i, a.Kind, a.Code)
		}
	}
	ask := want(fmt.Sprint("P", SeatsMax))
	before := len(b.journal)
	if a := d.checkIn(ask); a.Kind != protocol.KindBusy || len(b.journal) != before {
		t.Errorf("one more: type %d, %d effects written; want busy and none", a.Kind, len(b.journal)-before)
	}
	b.tick((LateSeconds + 10*86400) * time.Second) // the seats are idle
	if a := d.checkIn(ask); a.Kind != protocol.KindGranted {
		t.Errorf("after 40 days: type %d %v", a.Kind, a.Code)
	}
}
