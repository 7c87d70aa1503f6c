package admin

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"muster/engine"
)

func (a *Admin) serverRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/server", scope: ScopeRead, handle: a.showServer,
			doc: doc{"Show the server", nil, Server{}, []int{200}}},
		{method: "PUT", path: "/api/v1/server/addresses", scope: ScopeWrite, bodyMax: textMax, handle: a.setAddresses,
			doc: doc{"Set the addresses in license keys", NewAddresses{}, Addresses{}, []int{200}}},
		{method: "POST", path: "/api/v1/server/ticket-keys", scope: ScopeWrite, bodyMax: textMax, handle: a.rotateTickets,
			doc: doc{"Make a new key for devices' sessions", TicketRotation{}, TicketKey{}, []int{200}}},
		{method: "POST", path: "/api/v1/server/clock", scope: ScopeWrite, handle: a.acceptClock,
			doc: doc{"Follow the machine's clock again after it jumped", nil, Clock{}, []int{200}}},
	}
}

// Server is what there is to say about the server itself [OPS-1].
type Server struct {
	UUID          string    `json:"uuid"`    // what a vendor activates a license for [SRV-1]
	Binding       string    `json:"binding"` // hardware or key [SRV-2]
	Version       string    `json:"version"`
	State         string    `json:"state"` // starting, serving, or not serving
	Ready         bool      `json:"ready"` // devices are served
	Started       time.Time `json:"started"`
	DeviceAddress string    `json:"deviceAddress"` // host:port where devices are served
	HandshakeKey  string    `json:"handshakeKey"`  // hexadecimal, 32 bytes
	Moved         bool      `json:"moved"`         // it woke on another machine: licenses bound to the old UUID are suspended
	DiskLow       bool      `json:"diskLow"`       // the disk is nearly full: devices are not served
	Clock         Clock     `json:"clock"`
	Addresses     Addresses `json:"addresses"`
	Counts        *Counts   `json:"counts,omitempty"` // missing while the server does not serve
}

// Clock is the time that everything is decided by.
type Clock struct {
	Time time.Time `json:"time"`
	// OffsetSeconds is by how much the machine's clock is ahead, negative: behind,
	// while it jumped by more than an hour and is not followed; else 0.
	OffsetSeconds int64 `json:"offsetSeconds"`
}

// Counts says how much a server has.
type Counts struct {
	LicenseFiles int    `json:"licenseFiles"`
	Items        int    `json:"items"`
	Projects     int    `json:"projects"`
	Devices      uint32 `json:"devices"` // client UUIDs
	Streams      uint32 `json:"streams"` // applications on them [CLI-9]
}

func (a *Admin) showServer(w http.ResponseWriter, r *http.Request) error {
	answer := Server{
		UUID: a.Server.String(), Binding: a.Mode.String(), Version: a.Version,
		State: a.state(), Ready: a.isReady(), Started: a.Started.UTC().Truncate(time.Second),
		DeviceAddress: a.DeviceAddr(), HandshakeKey: hex.EncodeToString(a.HandshakeKey[:]), Moved: a.Moved,
		DiskLow: a.DiskLow(), Clock: a.clock(),
	}
	catalog := a.Catalog()
	answer.Addresses = a.addressesOf(catalog, r)
	if catalog != nil && answer.Ready { // at a stop the rest is still answered
		counts, err := a.counts(r.Context(), catalog)
		if err != nil {
			return err
		}
		answer.Counts = counts
	}
	return writeJSON(w, http.StatusOK, answer)
}

// TicketRotation asks for a new ticket key.
type TicketRotation struct {
	EndSessions bool `json:"endSessions"` // forget the older keys: every device makes a new handshake
}

// TicketKey is the key that new tickets are made with; the key itself is never shown.
type TicketKey struct {
	Epoch uint32 `json:"epoch"` // counts up
}

func (a *Admin) rotateTickets(w http.ResponseWriter, r *http.Request) error {
	var in TicketRotation
	if err := readJSON(r, &in); err != nil {
		return err
	}
	epoch, err := a.RotateTickets(in.EndSessions)
	if err != nil {
		return err
	}
	err = a.edit(r.Context(), func(c *engine.Core) error {
		return a.record(c, r, "server.ticket-keys", "server", nil, struct {
			TicketKey
			TicketRotation
		}{TicketKey{epoch}, in})
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, TicketKey{Epoch: epoch})
}

func (a *Admin) clock() Clock {
	return Clock{Time: time.Unix(0, a.Now()).UTC().Truncate(time.Second), OffsetSeconds: int64(a.ClockOffset().Round(time.Second) / time.Second)}
}

// acceptClock takes the machine's clock over, also one that is behind what was
// decided by before.
func (a *Admin) acceptClock(w http.ResponseWriter, r *http.Request) error {
	err := a.edit(r.Context(), func(c *engine.Core) error {
		before := a.clock()
		if err := c.SetBack(a.AcceptClock()); err != nil {
			return err
		}
		return a.record(c, r, "server.clock", "server", before, a.clock())
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, a.clock())
}

func (a *Admin) state() string {
	switch {
	case a.Catalog() == nil:
		return "starting"
	case !a.Ready():
		return "not serving"
	}
	return "serving"
}

func (a *Admin) counts(ctx context.Context, catalog *engine.Catalog) (*Counts, error) {
	n := &Counts{LicenseFiles: len(catalog.Licenses)}
	for _, item := range catalog.Items {
		if item != nil {
			n.Items++
		}
	}
	for _, p := range catalog.Projects {
		if p != nil {
			n.Projects++
		}
	}
	err := a.edit(ctx, func(c *engine.Core) error { // the table is the decider's
		n.Devices, n.Streams = c.Clients(), c.Devices()
		return nil
	})
	return n, err
}
