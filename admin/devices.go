package admin

import (
	"net/http"
	"time"

	"muster/engine"
	"muster/license"
)

func (a *Admin) deviceRoutes() []route {
	return []route{
		{
			method: "GET", path: "/api/v1/devices", scope: ScopeRead,
			query: []string{"search", "project", "item", "state", "after", "limit"}, handle: a.findDevices,
			doc: doc{"Find client UUIDs", nil, DevicePage{}, []int{200}},
		},
		{method: "GET", path: "/api/v1/devices/{uuid}", scope: ScopeRead, handle: a.showDevice,
			doc: doc{"Show a device: its applications and seats", nil, Device{}, []int{200}}},
		{method: "GET", path: "/api/v1/devices/{uuid}/history", scope: ScopeRead, query: []string{"days"}, handle: a.showHistory,
			doc: doc{"Show what the latest records say of a device", nil, RecordList{}, []int{200}}},
		{method: "POST", path: "/api/v1/devices/{uuid}/block", scope: ScopeWrite, handle: a.changeDevice("device.block", block),
			doc: doc{"Refuse a device with 161", nil, Device{}, []int{200}}},
		{method: "POST", path: "/api/v1/devices/{uuid}/unblock", scope: ScopeWrite, handle: a.changeDevice("device.unblock", unblock),
			doc: doc{"Serve a blocked device again", nil, Device{}, []int{200}}},
		{method: "POST", path: "/api/v1/devices/{uuid}/clear-clone", scope: ScopeWrite, handle: a.changeDevice("device.clear-clone", (*engine.Core).ClearClone),
			doc: doc{"Serve a device again after 151", nil, Device{}, []int{200}}},
		{method: "POST", path: "/api/v1/devices/{uuid}/free-seat", scope: ScopeWrite, bodyMax: textMax, handle: a.freeSeat,
			doc: doc{"Free a seat by hand, under the cap of its item", SeatToFree{}, Device{}, []int{200}}},
	}
}

// Device is what is known of a client UUID.
type Device struct {
	UUID    license.UUID `json:"uuid"`
	Blocked bool         `json:"blocked"` // answered 161 [DEV-5]
	Streams []Stream     `json:"streams"`
	Seats   []Seat       `json:"seats"` // held and ended ones
}

// Stream is one of the applications that share a client UUID [CLI-9].
type Stream struct {
	Number    uint32    `json:"number"`
	Project   string    `json:"project"`   // id of the one last used
	Changes   uint32    `json:"changes"`   // check-ins, reports and releases since the check-in that began it
	FirstSeen time.Time `json:"firstSeen"` // day
	LastSeen  time.Time `json:"lastSeen"`
	Clone     bool      `json:"clone"`    // answered 151 until cleared [CLI-5]
	Forgiven  bool      `json:"forgiven"` // a restored backup was, once
	Retired   bool      `json:"retired"`  // gave way to a newer application
}

// Seat is a device's place on an item through a project; of scan and page a
// grant counts as a seat. A device that came through several projects has a
// place for each, and holds its seat on one of them.
type Seat struct {
	Item        string    `json:"item"`    // LicenseId/ItemId
	Project     string    `json:"project"` // id
	Held        bool      `json:"held"`    // now
	ActiveUntil time.Time `json:"activeUntil"`
	LastUse     time.Time `json:"lastUse,omitzero"`    // newest day that a report counted
	Instances   uint32    `json:"instances,omitempty"` // of concurrent-instance items
	Released    bool      `json:"released"`            // given back by the device [CLI-6]
	Freed       bool      `json:"freed"`               // by hand [DEV-4]
}

// SeatToFree says which seat of a device is freed by hand.
type SeatToFree struct {
	Item string `json:"item"` // LicenseId/ItemId
}

func block(c *engine.Core, uuid [16]byte) error   { return c.BlockDevice(uuid, true) }
func unblock(c *engine.Core, uuid [16]byte) error { return c.BlockDevice(uuid, false) }

func (a *Admin) showDevice(w http.ResponseWriter, r *http.Request) error {
	return a.answerDevice(w, r, "", func(*engine.Core, [16]byte) error { return nil })
}

func (a *Admin) changeDevice(what string, change func(*engine.Core, [16]byte) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error { return a.answerDevice(w, r, what, change) }
}

func (a *Admin) freeSeat(w http.ResponseWriter, r *http.Request) error {
	var in SeatToFree
	if err := readJSON(r, &in); err != nil {
		return err
	}
	return a.answerDevice(w, r, "device.free-seat", func(c *engine.Core, uuid [16]byte) error {
		if _, err := c.Device(uuid); err != nil { // what the path names comes first
			return err
		}
		item, err := itemNamed(c.Current(), in.Item, "item")
		if err != nil {
			return err
		}
		return c.FreeSeat(uuid, item.Ordinal)
	})
}

// answerDevice changes a device, under a name for the audit, and answers with
// what became of it. Devices are the decider's alone, so looking at one waits for
// it like a change.
func (a *Admin) answerDevice(w http.ResponseWriter, r *http.Request, what string, change func(*engine.Core, [16]byte) error) error {
	uuid, err := clientUUID(r)
	if err != nil {
		return err
	}
	var view Device
	err = a.edit(r.Context(), func(c *engine.Core) error {
		var before any // a UUID may be blocked before it was ever seen
		if device, err := c.Device(uuid); err == nil {
			before = deviceView(c.Current(), device)
		}
		if err := change(c, uuid); err != nil {
			return err
		}
		device, err := c.Device(uuid)
		if err != nil {
			return err
		}
		view = deviceView(c.Current(), device)
		if what == "" {
			return nil
		}
		return a.record(c, r, what, uuid.String(), before, view)
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, view)
}

// clientUUID is the device that a path names.
func clientUUID(r *http.Request) (license.UUID, error) {
	uuid, err := license.ParseUUID(r.PathValue("uuid"))
	if err != nil {
		return uuid, refusedField(http.StatusUnprocessableEntity, "invalid", "uuid", "client UUID %v", err)
	}
	return uuid, nil
}

func deviceView(catalog *engine.Catalog, d *engine.DeviceView) Device {
	view := Device{UUID: d.UUID, Blocked: d.Blocked, Streams: []Stream{}, Seats: []Seat{}}
	for _, s := range d.Streams {
		stream := Stream{
			Number: s.Number, Changes: s.Changes, FirstSeen: unixTime(s.FirstSeen), LastSeen: unixTime(s.LastSeen),
			Clone: s.Clone, Forgiven: s.Forgiven, Retired: s.Retired,
		}
		if p := numbered(catalog.Projects, s.Project); p != nil {
			stream.Project = p.ID
		}
		view.Streams = append(view.Streams, stream)
	}
	for _, s := range d.Seats {
		seat := Seat{
			Held: s.Held, ActiveUntil: unixTime(s.ActiveUntil),
			LastUse: unixTime(s.LastUse), Instances: s.Instances, Released: s.Released, Freed: s.Freed,
		}
		if p := numbered(catalog.Projects, s.Project); p != nil {
			seat.Project = p.ID
		}
		if i := numbered(catalog.Items, s.Item); i != nil {
			seat.Item = i.Name()
		}
		view.Seats = append(view.Seats, seat)
	}
	return view
}

// numbered is the object of an ordinal, nil if the catalog lacks it: the decider
// may be an import ahead of the published catalog.
func numbered[T any](objects []*T, ordinal uint32) *T {
	if int64(ordinal) < int64(len(objects)) {
		return objects[ordinal]
	}
	return nil
}
