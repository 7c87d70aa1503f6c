package portal

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/admin"
)

func (p *Portal) deviceRoutes() []route {
	return []route{
		{pattern: "GET /devices", handle: showDevices},
		{pattern: "GET /devices/{uuid}", handle: showDevice},
		{pattern: "POST /devices/{uuid}/block", handle: changeDevice("block", "The device is blocked: it gets error 161. What it still reports is counted.")},
		{pattern: "POST /devices/{uuid}/unblock", handle: changeDevice("unblock", "The device is served again.")},
		{pattern: "POST /devices/{uuid}/clear-clone", handle: changeDevice("clear-clone", "The clone is cleared: the device is served again.")},
		{pattern: "POST /devices/{uuid}/free-seat", handle: freeSeat},
	}
}

// devicesPage is what a search of devices found.
type devicesPage struct {
	Search, Project, Item, State string
	Projects                     []admin.Project
	Items                        []itemRow
	Rows                         []deviceRow
	Next                         string // query of the next page
	Problem                      string
	After                        bool // not the first page
}

// deviceRow is a device in a line.
type deviceRow struct {
	admin.Device
	Badges   []badge
	LastSeen time.Time
	Held     []admin.Seat
	Projects []string
}

func showDevices(x *exchange) error {
	q := x.r.URL.Query()
	data := devicesPage{
		Search: strings.TrimSpace(q.Get("search")), Project: q.Get("project"), Item: q.Get("item"), State: q.Get("state"), After: q.Get("after") != "",
	}
	var projects admin.ProjectList
	if err := x.api.get("projects", &projects); err != nil {
		return err
	}
	data.Projects = projects.Projects
	var err error
	if data.Items, err = x.items(); err != nil {
		return err
	}
	filter := []string{"search", data.Search, "project", data.Project, "item", data.Item, "state", data.State}
	var found admin.DevicePage
	err = x.api.get("devices"+asked(append(filter, "after", q.Get("after"), "limit", "50")...), &found)
	if p := problemIn(err); p != nil {
		data.Problem = p.Detail
	} else if err != nil {
		return err
	}
	for _, d := range found.Devices {
		data.Rows = append(data.Rows, deviceRowOf(d))
	}
	if found.Next != 0 {
		data.Next = asked(append(filter, "after", strconv.FormatUint(uint64(found.Next), 10))...)
	}
	return x.show("devices", "Devices", &data)
}

func deviceRowOf(d admin.Device) deviceRow {
	row := deviceRow{Device: d}
	if d.Blocked {
		row.Badges = append(row.Badges, badge{"bad", "blocked"})
	}
	clone := false
	for _, s := range d.Streams {
		clone = clone || s.Clone
		if s.LastSeen.After(row.LastSeen) {
			row.LastSeen = s.LastSeen
		}
		if s.Project != "" && !slices.Contains(row.Projects, s.Project) {
			row.Projects = append(row.Projects, s.Project)
		}
	}
	if clone {
		row.Badges = append(row.Badges, badge{"bad", "clone"})
	}
	for _, s := range d.Seats {
		if s.Held {
			row.Held = append(row.Held, s)
		}
	}
	if len(row.Held) > 0 {
		row.Badges = append(row.Badges, badge{"good", "holds a seat"})
	}
	if len(row.Badges) == 0 {
		row.Badges = []badge{{"idle", "no seat"}}
	}
	return row
}

// devicePage is one device.
type devicePage struct {
	Row     deviceRow
	Clone   bool
	History []admin.Record
	More    int // records that are not shown
}

func showDevice(x *exchange) error {
	var d admin.Device
	path := at("devices", x.r.PathValue("uuid"))
	if err := x.api.get(path, &d); err != nil {
		return err
	}
	data := devicePage{Row: deviceRowOf(d)}
	for _, s := range d.Streams {
		data.Clone = data.Clone || s.Clone
	}
	var history admin.RecordList
	if err := x.api.get(path+"/history", &history); err != nil {
		return err
	}
	data.History = history.Records[:min(len(history.Records), 100)]
	data.More = len(history.Records) - len(data.History)
	return x.show("device", "Device "+d.UUID.String(), &data)
}

// changeDevice makes a change that needs no more than the device.
func changeDevice(what, notice string) func(*exchange) error {
	return func(x *exchange) error {
		return x.submit(what, showDevice, func() error {
			path := at("devices", x.r.PathValue("uuid"))
			if err := x.api.change(http.MethodPost, path+"/"+what, nil, nil); err != nil {
				return err
			}
			return x.done(path, notice)
		})
	}
}

// freeSeat takes a seat from a device by hand [DEV-4].
func freeSeat(x *exchange) error {
	return x.submit("free-seat", showDevice, func() error {
		path, item := at("devices", x.r.PathValue("uuid")), x.r.PostForm.Get("item")
		if err := x.api.change(http.MethodPost, path+"/free-seat", admin.SeatToFree{Item: item}, nil); err != nil {
			return err
		}
		return x.done(path, "The seat on "+item+" is free. The device has to check in again, but may run on its grant while it is offline.")
	})
}
