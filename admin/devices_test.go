package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/license"
	"muster/protocol"
)

const devices = "/api/v1/devices/"

// yearly is a check-in of device n that takes a seat on 1001/device-yearly.
func yearly(n byte) protocol.Request {
	return protocol.Request{Kind: protocol.KindCheckIn, ID: 1, UUID: [16]byte{0: 0xAB, 15: n}, Tag: 1, CheckIn: &protocol.CheckIn{
		Product: []byte("DBR"), Version: 11, ChargeWay: uint8(license.DeviceYearly),
	}}
}

// seated checks device n in for a seat on 1001/device-yearly and returns its UUID.
func (b *bed) seated(project string, n byte) string {
	b.t.Helper()
	r := yearly(n)
	if a := b.device(project, r); a.Kind != protocol.KindGranted {
		b.t.Fatalf("check-in answered %d %v", a.Kind, a.Code)
	}
	return license.UUID(r.UUID).String()
}

func TestShowDevice(t *testing.T) { // [CLI-9] [DEV-1]
	b := newBed(t)
	project := b.imported()
	uuid := b.seated(project, 1)
	var got Device
	b.call(localToken, "GET", devices+uuid, noBody, ok, &got)
	want := Device{
		UUID:    license.UUID{0: 0xAB, 15: 1},
		Streams: []Stream{{Number: got.Streams[0].Number, Project: project, FirstSeen: noon.Truncate(24 * time.Hour), LastSeen: noon}},
		Seats:   []Seat{{Item: "1001/device-yearly", Project: project, Held: true, ActiveUntil: noon.Add(365 * 24 * time.Hour)}},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.Streams[0].Number == 0 {
		t.Error(diff)
	}
	var lower Device
	b.call(localToken, "GET", devices+strings.ToLower(uuid), noBody, ok, &lower)
	if diff := cmp.Diff(want, lower); diff != "" {
		t.Errorf("in lower case: %s", diff)
	}
	b.scans(project, 5)
	b.call(localToken, "GET", devices+license.UUID{9}.String(), noBody, ok, &got)
	if s := got.Seats[0]; s.Item != "1001/scan" || s.Project != project || !s.LastUse.Equal(noon.Truncate(24*time.Hour)) || got.Streams[0].Changes != 1 {
		t.Errorf("after a report %+v", got)
	}
	b.now = b.now.Add(400 * 24 * time.Hour)
	b.call(localToken, "GET", devices+uuid, noBody, ok, &got)
	if got.Seats[0].Held { // [DEV-2]
		t.Errorf("the seat is held after its active time: %+v", got)
	}
}

func TestBlockDevice(t *testing.T) { // [DEV-5]
	b := newBed(t)
	project := b.imported()
	uuid := b.seated(project, 1)
	again := yearly(1)
	again.Tag = 2
	var d Device
	for range 2 { // the second time changes nothing
		b.call(localToken, "POST", devices+uuid+"/block", noBody, ok, &d)
		if a := b.device(project, again); !d.Blocked || a.Code != protocol.ClientBlocked {
			t.Errorf("blocked: %+v, check-in answered %v", d, a.Code)
		}
	}
	b.call(localToken, "POST", devices+uuid+"/unblock", noBody, ok, &d)
	if a := b.device(project, again); d.Blocked || a.Kind != protocol.KindGranted {
		t.Errorf("unblocked: %+v, check-in answered %v", d, a.Code)
	}
}

func TestClearClone(t *testing.T) { // [CLI-5]
	b := newBed(t)
	project := b.imported()
	a := b.device(project, yearly(1))
	next := yearly(1)
	next.Stream, next.Token, next.Seq, next.Tag = a.Stream, a.Token, 1, 9
	b.device(project, next)
	uuid := license.UUID(next.UUID).String()
	lost := func(tag uint32) Device { // a copy of the device asks for its place in the stream again
		r := yearly(1)
		r.Stream, r.Token, r.Tag = a.Stream, a.Token, tag
		b.device(project, r)
		var d Device
		b.call(localToken, "GET", devices+uuid, noBody, ok, &d)
		return d
	}
	if s := lost(2).Streams[0]; !s.Forgiven || s.Clone {
		t.Errorf("restored once: %+v", s)
	}
	if s := lost(3).Streams[0]; !s.Clone {
		t.Errorf("a second copy: %+v", s)
	}
	var d Device
	b.call(localToken, "POST", devices+uuid+"/clear-clone", noBody, ok, &d)
	if s := d.Streams[0]; s.Clone || s.Forgiven {
		t.Errorf("cleared: %+v", s)
	}
}

func TestFreeSeat(t *testing.T) { // [DEV-4]
	b := newBed(t)
	project := b.imported()
	seat := jsonBody(`{"item": "1001/device-yearly"}`)
	var d Device
	for n := range byte(10) { // a tenth of the quota of 100
		b.call(localToken, "POST", devices+b.seated(project, n)+"/free-seat", seat, ok, &d)
		if s := d.Seats[0]; s.Held || !s.Freed || s.Released {
			t.Errorf("freed: %+v", s)
		}
	}
	p := b.refused(localToken, "POST", devices+d.UUID.String()+"/free-seat", seat, 409, "conflict")
	if !strings.Contains(p.Detail, "holds no seat") {
		t.Errorf("freed twice: %q", p.Detail)
	}
	p = b.refused(localToken, "POST", devices+b.seated(project, 10)+"/free-seat", seat, 409, "conflict")
	if !strings.Contains(p.Detail, "its license allows 10") {
		t.Errorf("beyond the cap: %q", p.Detail)
	}
}

func TestDeviceRefused(t *testing.T) {
	b := newBed(t)
	project := b.imported()
	known := b.seated(project, 1)
	b.scans(project, 1)
	scanning := license.UUID{9}.String()
	never := license.UUID{8}.String()
	for _, c := range []struct {
		method, target string
		in             body
		status         int
		kind           string
	}{
		{"GET", never, noBody, 404, "not-found"},
		{"POST", never + "/block", noBody, 404, "not-found"},
		{"POST", never + "/unblock", noBody, 404, "not-found"},
		{"POST", never + "/clear-clone", noBody, 404, "not-found"},
		{"POST", never + "/free-seat", jsonBody(`{"item": "1001/none"}`), 404, "not-found"},
		{"GET", "nonsense", noBody, 422, "invalid"},
		{"GET", known + "0", noBody, 422, "invalid"},
		{"GET", strings.ReplaceAll(known, "-", ""), noBody, 422, "invalid"},
		{"GET", strings.Replace(known, "A", "G", 1), noBody, 422, "invalid"},
		{"POST", "nonsense/block", noBody, 422, "invalid"},
		{"POST", known + "/free-seat", jsonBody(`{}`), 422, "unknown-item"},
		{"POST", known + "/free-seat", jsonBody(`{"item": "1001/none"}`), 422, "unknown-item"},
		{"POST", known + "/free-seat", jsonBody(`{"items": "1001/scan"}`), 400, "unknown-field"},
		{"POST", known + "/free-seat", noBody, 415, "unsupported-media-type"},
		{"POST", known + "/free-seat", jsonBody(`{"item": "1001/scan"}`), 409, "conflict"},   // it has none there
		{"POST", scanning + "/free-seat", jsonBody(`{"item": "1001/scan"}`), 422, "invalid"}, // scans take no seat
		{"POST", known + "/free-seat?force=1", jsonBody(`{"item": "1001/scan"}`), 400, "unknown-parameter"},
	} {
		b.refused(localToken, c.method, devices+c.target, c.in, c.status, c.kind)
	}
	if p := b.refused(localToken, "GET", devices+"nonsense", noBody, 422, "invalid"); p.Field != "uuid" || !strings.Contains(p.Detail, `"nonsense"`) {
		t.Errorf("problem %+v", p)
	}
	b.recovering = true
	b.refused(localToken, "GET", devices+known, noBody, 503, "not-ready")
}
