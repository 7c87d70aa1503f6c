package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"muster/admin"
	"muster/bench"
	"muster/client"
	"muster/engine"
	"muster/license"
	"muster/machine"
	"muster/protocol"
	"muster/storage"
)

var (
	pagesDevices  = flag.Int("pages-devices", 2000, "devices of TestPagesUnderLoad")
	pagesProjects = flag.Int("pages-projects", 10, "their projects")
	pagesDays     = flag.Int("pages-days", 40, "days of history")
	pagesRounds   = flag.Int("pages-rounds", 3, "how often each page is asked for")
)

// history makes a data directory in which devices have worked for a long time.
// It goes through the core as check-ins and reports do, with the clock of then.
type history struct {
	store   *storage.Store
	id      *storage.Identity
	at      time.Time
	devices []pastDevice
	random  *mathrand.Rand
}

type pastDevice struct {
	uuid    protocol.UUID
	project *engine.Project
	stream  uint32
	token   uint64
	seq     uint32
	item    uint32
}

// makeHistory fills DIR/data and writes the vendor's key beside it. It returns
// the projects.
func makeHistory(t *testing.T, dir string) (projects []string) {
	vendor, err := license.GenerateKey("Demo Vendor", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := vendor.Public().MarshalText()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "vendor.pub"), public, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ring := &license.KeyRing{}
	if err := ring.Add(vendor.Public()); err != nil {
		t.Fatal(err)
	}
	data, err := storage.OpenDir(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	h := &history{at: time.Now().UTC().AddDate(0, 0, -*pagesDays).Truncate(24 * time.Hour), random: mathrand.New(mathrand.NewPCG(1, 2))}
	if h.id, err = data.LoadIdentity(license.BindKey, machine.Facts{}); err != nil {
		t.Fatal(err)
	}
	h.store, err = data.Open(storage.Options{
		Core: engine.Config{Server: h.id.Public, Trusted: ring, TokenKey: h.id.TokenKey, DevicesMax: 20_000_000},
		Log:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	list := h.setUp(t, vendor)
	for day := range *pagesDays {
		h.day(t, list, day)
		if (day+1)%100 == 0 {
			fmt.Printf("%d days of history\n", day+1)
		}
	}
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		projects = append(projects, p.ID)
	}
	return projects
}

// setUp imports a license and makes projects that share its items.
func (h *history) setUp(t *testing.T, vendor license.PrivateKey) []*engine.Project {
	header := []license.Field{{Name: "LicenseId", Value: "100001"}, {Name: "OrganizationID", Value: "200001"}, {Name: "Bindings", Value: "key"}}
	var items [][]license.Field
	for _, way := range []string{"device-yearly", "scan", "concurrent-device", "device-monthly"} {
		items = append(items, []license.Field{
			{Name: "ItemId", Value: way}, {Name: "Product", Value: "DBR"}, {Name: "ChargeWay", Value: way}, {Name: "Quota", Value: "1000000000"}, {Name: "Modules", Value: "1D, QR"},
			{Name: "Start", Value: "2020-01-01"}, {Name: "Expiry", Value: "2099-12-31"},
		})
	}
	file, err := license.Draft(header, items, h.at.Unix())
	if err == nil {
		file, err = license.Activate(file, []license.UUID{h.id.Public.UUID()}, h.at.Unix())
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := file.Sign(vendor)
	if err != nil {
		t.Fatal(err)
	}
	h.batch(t, func(c *engine.Core) error {
		r, err := c.ImportLicense(text, engine.ImportTarget{})
		if err != nil {
			return err
		}
		var ordinals []uint32
		for _, i := range r.Project.Items {
			ordinals = append(ordinals, i.Ordinal)
		}
		for n := range *pagesProjects - 1 {
			p, err := c.CreateProject("200001", "", fmt.Sprintf("Project %d", n+2))
			if err == nil {
				_, err = c.EditProject(p.ID, engine.ProjectEdit{Items: ordinals})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	var list []*engine.Project
	for _, p := range h.store.Core.Catalog().Projects {
		if p != nil {
			list = append(list, p)
		}
	}
	return list
}

// batch commits what f does, as the decider does.
func (h *history) batch(t *testing.T, f func(*engine.Core) error) {
	core := h.store.Core
	core.Begin(h.at.UnixNano(), h.store.Journal.Buffer())
	if err := f(core); err != nil {
		t.Fatal(err)
	}
	body := core.Close()
	core.SignGrants(func(statement []byte) []byte { return ed25519.Sign(h.id.SigningKey, statement) })
	if body != nil {
		if _, err := h.store.Journal.Append(engine.EntryKind, 0, core.Time(), body); err != nil {
			t.Fatal(err)
		}
	}
	core.Publish()
}

// day lets new devices come and some of all report, eight times a day.
func (h *history) day(t *testing.T, projects []*engine.Project, day int) {
	const times = 8
	first, last := day**pagesDevices / *pagesDays, (day+1)**pagesDevices / *pagesDays
	for n := range times {
		h.at = h.at.Add(24 * time.Hour / times)
		from, to := first+(last-first)*n/times, first+(last-first)*(n+1)/times
		for ; from < to; from += 1000 {
			h.checkIn(t, projects, from, min(from+1000, to))
		}
		h.report(t, 4*len(projects))
	}
}

func (h *history) checkIn(t *testing.T, projects []*engine.Project, from, to int) {
	ds := make([]engine.Decision, 0, to-from)
	for n := from; n < to; n++ {
		d := pastDevice{project: projects[n%len(projects)]}
		binary.BigEndian.PutUint64(d.uuid[:], h.random.Uint64())
		binary.BigEndian.PutUint64(d.uuid[8:], h.random.Uint64())
		h.devices = append(h.devices, d)
		way := []license.ChargeWay{license.DeviceYearly, license.Scan, license.ConcurrentDevice, license.DeviceMonthly}[h.random.IntN(4)]
		ds = append(ds, engine.Decision{Project: d.project.Ordinal, Generation: d.project.Generation, Request: protocol.Request{
			Kind: protocol.KindCheckIn, UUID: d.uuid, Tag: uint32(n), CheckIn: &protocol.CheckIn{Product: []byte("DBR"), Version: 1, ChargeWay: uint8(way)},
		}})
	}
	h.batch(t, func(c *engine.Core) error { c.Decide(ds); return nil })
	for i := range ds {
		a := ds[i].Answer()
		if a.Kind != protocol.KindGranted {
			t.Fatalf("check-in answered %d, code %v", a.Kind, a.Code)
		}
		d := &h.devices[from+i]
		d.stream, d.token, d.seq, d.item = a.Stream, a.Token, a.Seq, a.Item
	}
}

func (h *history) report(t *testing.T, n int) {
	if len(h.devices) == 0 {
		return
	}
	chosen := map[int]bool{} // one report of a device in a batch: the next needs the answer
	var ds []engine.Decision
	for range n {
		i := h.random.IntN(len(h.devices))
		if chosen[i] {
			continue
		}
		chosen[i] = true
		d := &h.devices[i]
		d.seq++
		slot := uint32(h.at.Unix()/protocol.SlotSeconds) - h.random.Uint32N(50)
		ds = append(ds, engine.Decision{Project: d.project.Ordinal, Generation: d.project.Generation, Request: protocol.Request{
			Kind: protocol.KindReport, UUID: d.uuid, Stream: d.stream, Token: d.token, Seq: d.seq, Tag: h.random.Uint32(), Item: d.item,
			Lines: []protocol.Line{{Slot: slot, Module: 1 + uint16(h.random.IntN(2)), Count: 1 + h.random.Uint32N(20)}},
		}})
	}
	h.batch(t, func(c *engine.Core) error { c.Decide(ds); return nil })
	for i := range ds {
		if a := ds[i].Answer(); a.Kind != protocol.KindAccepted {
			t.Fatalf("report answered %d, code %v", a.Kind, a.Code)
		}
	}
}

// TestPagesUnderLoad asks a real server with a long history for every kind of
// page and query while devices report, and prints how long each takes. "make pages"
// does it with a million devices, 100 projects and 400 days.
func TestPagesUnderLoad(t *testing.T) { // [STAT-1] [OPS-1]
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	dir := t.TempDir()
	projects := makeHistory(t, dir)
	server := &bench.Server{Dir: dir}
	o := bench.ServerOptions{Binary: built(t), CPU: -1, Stderr: os.Stderr}
	start := func(after string) {
		began := time.Now()
		if err := server.Restart(o); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("ready %v after %s, %d MiB\n", time.Since(began).Round(time.Millisecond), after, server.RSS()>>20)
	}
	start("a start from the journal alone")
	defer func() { server.Kill() }()

	b := &visitor{t: t, url: server.URL}
	b.logIn(server)
	var key admin.LicenseKey
	if err := json.Unmarshal(b.get("/api/v1/projects/"+projects[0]+"/key"), &key); err != nil {
		t.Fatal(err)
	}
	fleet, err := bench.NewFleet(ctx, key.LicenseKey, bench.Load{Devices: 500, Conns: 10, PerRecord: 1, Mix: bench.Renewing(10), Uses: []client.Use{{Product: "DBR", Version: 1}}, Module: "QR"})
	if err == nil {
		err = fleet.CheckIn(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	load, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- fleet.RunAt(load, 5000) }()
	b.measure(pagesOf(projects))
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	_, q := fleet.Latency().Quantiles(50, 99)
	fmt.Printf("%d requests of devices meanwhile, p50 %v, p99 %v\n", fleet.Told.Reports.Load()+fleet.Told.Granted.Load(), q[0], q[1])

	if err := server.Stop(5 * time.Minute); err != nil {
		t.Fatal(err)
	}
	start("a clean stop")
	if err := fleet.Reconnect(ctx); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(time.Second, server.Kill)
	if err := fleet.RunAt(ctx, 5000); err == nil {
		t.Fatal("the fleet did not notice that the server was killed")
	}
	<-server.Ended()
	start("kill -9 under load")
}

// pagesOf are the pages and queries, the heavy ones among them.
func pagesOf(projects []string) []string {
	p := projects[len(projects)/2]
	today := time.Now().UTC().Format(time.DateOnly)
	return []string{
		"/", "/items", "/projects", "/projects/" + p, "/statistics", "/statistics?project=" + p + "&days=90", "/statistics?days=all", "/statistics?measure=devices&days=all", "/statistics?measure=concurrency&days=all",
		"/statistics/day?day=" + today + "&project=" + p, "/devices", "/devices?project=" + p, "/audit", "/security", "/alerts",
		"/api/v1/statistics?measure=uses&days=400", "/api/v1/statistics?measure=uses&grain=hour&days=30", "/api/v1/statistics?measure=concurrency&days=400&project=" + p,
		"/api/v1/statistics?measure=denials&days=400", "/api/v1/devices?limit=100", "/api/v1/items", "/api/v1/projects", "/metrics",
	}
}

// visitor is a browser that is logged in.
type visitor struct {
	t      *testing.T
	url    string
	cookie *http.Cookie
}

// logIn makes an account with the machine's token, and a session of it.
func (v *visitor) logIn(server *bench.Server) {
	v.t.Helper()
	const password = "a long enough password"
	if r := runAPI(v.t, password+"\n", "account", "set", "visitor", "--role", "admin", "--data", server.DataDir()); r.code != exitOK {
		v.t.Fatal(r.stderr)
	}
	body, err := json.Marshal(admin.Login{Name: "visitor", Password: password})
	if err != nil {
		v.t.Fatal(err)
	}
	answer, err := http.Post(v.url+"/api/v1/session", "application/json", strings.NewReader(string(body)))
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	for _, c := range answer.Cookies() {
		if c.Name == admin.SessionCookie {
			v.cookie = c
		}
	}
	if v.cookie == nil {
		v.t.Fatalf("log in: %s", answer.Status)
	}
}

// get asks for a page that must come.
func (v *visitor) get(path string) []byte {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodGet, v.url+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	r.AddCookie(v.cookie)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		v.t.Errorf("GET %s: %s", path, errors.Join(err, errors.New(answer.Status)))
	}
	return data
}

func (v *visitor) measure(paths []string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "of %d\tp50\tp99\tmost\tkB\t\n", *pagesRounds)
	var all []time.Duration
	for _, path := range paths {
		var times []time.Duration
		size := 0
		for range *pagesRounds {
			began := time.Now()
			size = len(v.get(path))
			times = append(times, time.Since(began))
		}
		all = append(all, times...)
		show(w, path, times, size)
	}
	show(w, "all", all, 0)
	w.Flush()
}

func show(w io.Writer, name string, times []time.Duration, size int) {
	slices.Sort(times)
	at := func(percent int) time.Duration { return times[len(times)*percent/100].Round(10 * time.Microsecond) }
	fmt.Fprintf(w, "%s\t%v\t%v\t%v\t%d\t\n", name, at(50), at(99), times[len(times)-1].Round(10*time.Microsecond), size>>10)
}
