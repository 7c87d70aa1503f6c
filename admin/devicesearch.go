package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"muster/engine"
	"muster/license"
)

// DevicePage is the answer to GET devices, in the order in which they first came.
type DevicePage struct {
	Devices []Device `json:"devices"`
	Next    uint32   `json:"next,omitempty"` // give it as "after" for more
}

const (
	devicesPage    = 50
	devicesPageMax = 500
)

// findDevices looks through the device table in steps, so that decisions go on.
func (a *Admin) findDevices(w http.ResponseWriter, r *http.Request) error {
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	filter, err := deviceFilter(catalog, r)
	if err != nil {
		return err
	}
	_, limit, err := pageOf(r, devicesPage, devicesPageMax)
	if err != nil {
		return err
	}
	after, err := cursorOf(r)
	if err != nil {
		return err
	}
	answer := DevicePage{Devices: []Device{}, Next: after}
	for first := true; first || answer.Next != 0 && uint64(len(answer.Devices)) < limit; first = false {
		err := a.edit(r.Context(), func(c *engine.Core) error {
			var found []engine.DeviceView
			found, answer.Next = c.FindDevices(filter, answer.Next, int(limit)-len(answer.Devices))
			for i := range found {
				answer.Devices = append(answer.Devices, deviceView(catalog, &found[i]))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, answer)
}

func deviceFilter(catalog *engine.Catalog, r *http.Request) (*engine.DeviceFilter, error) {
	q := r.URL.Query()
	f := &engine.DeviceFilter{Prefix: strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(q.Get("search")), "-", ""))}
	if len(f.Prefix) > 32 || strings.Trim(f.Prefix, "0123456789ABCDEF") != "" {
		return nil, badParameter("search", q.Get("search"), "a client UUID or how it begins: digits and letters from A to F")
	}
	scope, err := scopeOf(catalog, r)
	if err != nil {
		return nil, err
	}
	f.Project, f.Item = scope.Project, scope.Item
	switch state := q.Get("state"); state {
	case "":
	case "held":
		f.Held = true
	case "blocked":
		f.Blocked = true
	case "clone":
		f.Clone = true
	default:
		return nil, badParameter("state", state, "held, blocked or clone")
	}
	return f, nil
}

func uuidText(uuid [16]byte) string { return license.UUID(uuid).String() }

// historyDays is for how many days single records are kept.
const historyDays = 35

// showHistory is what the latest records of its projects say of a device. A busy
// project keeps about 1,000 of each kind and day, so it may be a part.
func (a *Admin) showHistory(w http.ResponseWriter, r *http.Request) error {
	uuid, err := clientUUID(r)
	if err != nil {
		return err
	}
	catalog, err := a.catalog()
	if err != nil {
		return err
	}
	days := uint64(historyDays)
	if text := r.URL.Query().Get("days"); text != "" {
		if days, err = strconv.ParseUint(text, 10, 16); err != nil || days == 0 || days > historyDays {
			return badParameter("days", text, "1 to 35")
		}
	}
	var device *engine.DeviceView
	err = a.edit(r.Context(), func(c *engine.Core) (err error) {
		device, err = c.Device(uuid)
		return err
	})
	if err != nil {
		return err
	}
	answer := RecordList{Records: []Record{}}
	today := uint32(a.now() / 86400)
	for _, project := range projectsOf(catalog, device) {
		for back := range uint32(days) {
			err := a.edit(r.Context(), func(c *engine.Core) error { // a day at a time: decisions go on
				for _, kind := range recordKinds {
					for _, rec := range c.DeviceRecords(kind, project.Ordinal, today-back, uuid) {
						answer.Records = append(answer.Records, recordView(catalog, project.ID, kind, &rec))
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(answer.Records, func(a, b Record) int { return b.Time.Compare(a.Time) })
	return writeJSON(w, http.StatusOK, answer)
}

// projectsOf are the projects that a device came through.
func projectsOf(catalog *engine.Catalog, d *engine.DeviceView) (projects []*engine.Project) {
	add := func(ordinal uint32) {
		if p := numbered(catalog.Projects, ordinal); p != nil && !slices.Contains(projects, p) {
			projects = append(projects, p)
		}
	}
	for _, s := range d.Streams {
		add(s.Project)
	}
	for _, s := range d.Seats {
		add(s.Project)
	}
	return projects
}
