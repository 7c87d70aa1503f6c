package portal

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/admin"
	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	localToken = "the-machines-own-token"
	password   = "correct horse battery"
)

// bed is the portal over the API over a real core; its ledger decides in place.
type bed struct {
	t        *testing.T
	vendor   license.PrivateKey
	identity license.ServerIdentity
	api      http.Handler
	portal   http.Handler // with the walls before it
	log      *bytes.Buffer

	mutex sync.Mutex // of the core
	core  *engine.Core
	now   time.Time
	// offset is by how much the machine's clock is ahead of now.
	offset  time.Duration
	diskLow bool

	recovering bool
	setupCode  string
	tag        uint32
}

// Do is the ledger.
func (b *bed) Do(_ context.Context, f func(*engine.Core) error) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.core.Begin(b.now.UnixNano(), nil)
	err := f(b.core)
	b.core.Close()
	b.core.Publish()
	return err
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, now: noon, setupCode: "open-sesame", log: &bytes.Buffer{}}
	var err error
	if b.vendor, err = license.GenerateKey("Acme Inc", rand.Reader); err != nil {
		t.Fatal(err)
	}
	ring := &license.KeyRing{}
	if err := ring.Add(b.vendor.Public()); err != nil {
		t.Fatal(err)
	}
	signing, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.identity = license.ServerIdentity{Mode: license.BindKey, SigningKey: signing, HandshakeKey: [32]byte{1, 2, 3}}
	b.core = engine.New(engine.Config{
		Server: b.identity, Trusted: ring, DevicesMax: 200, Alloc: func(n int) []byte { return make([]byte, n) },
	})
	if err := b.core.Start(0); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(b.log, nil))
	a := admin.New(admin.Config{
		Ledger: b, Tallies: b.core.Tallies,
		Catalog: func() *engine.Catalog {
			if b.recovering {
				return nil
			}
			return b.core.Catalog()
		},
		Ready: func() bool { return true }, Now: func() int64 { return b.now.UnixNano() },
		DiskLow:     func() bool { return b.diskLow },
		Backup:      func(w io.Writer) error { _, err := io.WriteString(w, "a backup"); return err }, // the real one is tested with the real server
		ClockOffset: func() time.Duration { return b.offset }, AcceptClock: func() int64 { b.now = b.now.Add(b.offset); b.offset = 0; return b.now.UnixNano() },
		Version: "test", Started: noon.Add(-2 * time.Hour), HandshakeKey: b.identity.HandshakeKey, Server: b.identity.UUID(), Mode: b.identity.Mode,
		DeviceAddr: func() string { return "[::]:4808" }, LocalToken: localToken,
		SetupCode:     func() string { return b.setupCode },
		SetupDone:     func() error { b.setupCode = ""; return nil },
		RotateTickets: func(bool) (uint32, error) { return 2, nil },
		Log:           log,
	})
	b.api = a.Handler()
	b.portal = a.Guarded(New(Config{API: b.api, Now: func() time.Time { return b.now }, Log: log}))
	t.Cleanup(func() {
		if text := b.log.String(); strings.Contains(text, "level=ERROR") {
			t.Errorf("the log has errors: %s", text)
		}
	})
	return b
}

// call makes a request to the API with the machine's own token.
func (b *bed) call(method, path string, in, out any) {
	b.t.Helper()
	data, err := json.Marshal(in)
	if err != nil {
		b.t.Fatal(err)
	}
	contentType := "application/json"
	if text, ok := in.([]byte); ok {
		data, contentType = text, "text/plain"
	}
	r := httptest.NewRequest(method, "http://10.0.0.5:48080/api/v1/"+path, bytes.NewReader(data))
	r.Header.Set("Authorization", "Bearer "+localToken)
	if in != nil {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	b.api.ServeHTTP(w, r)
	if w.Code >= 300 {
		b.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			b.t.Fatal(err)
		}
	}
}

// licenseText is a signed license file with an item of each of some charge ways.
func (b *bed) licenseText(id string, revision uint32, quota string, ways ...string) []byte {
	b.t.Helper()
	var items [][]license.Field
	for _, way := range ways {
		items = append(items, itemOf(way, way, quota))
	}
	return b.signed(id, revision, items)
}

func itemOf(id, way, quota string) []license.Field {
	return []license.Field{
		{Name: "ItemId", Value: id}, {Name: "Product", Value: "DBR"}, {Name: "ChargeWay", Value: way}, {Name: "Quota", Value: quota},
		{Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2027-12-31"},
	}
}

// signed is a license file with these items.
func (b *bed) signed(id string, revision uint32, items [][]license.Field) []byte {
	b.t.Helper()
	header := []license.Field{{Name: "LicenseId", Value: id}, {Name: "OrganizationID", Value: "2001"}, {Name: "Bindings", Value: "key"}}
	file, err := license.Draft(header, items, noon.Unix())
	if err != nil {
		b.t.Fatal(err)
	}
	if file, err = license.Activate(file, []license.UUID{b.identity.UUID()}, noon.Unix()); err != nil {
		b.t.Fatal(err)
	}
	file.Revision = revision
	text, err := file.Sign(b.vendor)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// imported imports license 1001 and returns its project.
func (b *bed) imported(ways ...string) string {
	b.t.Helper()
	if len(ways) == 0 {
		ways = []string{"scan", "device-yearly"}
	}
	var r admin.ImportResult
	b.call("POST", "license-files?project=new&name=Warehouse", b.licenseText("1001", 1, "100", ways...), &r)
	return r.Project
}

// visitor is somebody with a browser.
type visitor struct {
	*bed
	cookies map[string]string
}

func (b *bed) visitor() *visitor { return &visitor{b, map[string]string{}} }

// as is somebody who is logged in, under a name that is the role.
func (b *bed) as(role admin.Role) *visitor {
	b.t.Helper()
	b.call("PUT", "accounts/"+string(admin.RoleAdmin), admin.AccountChange{Role: admin.RoleAdmin, Password: password}, nil) // without one there is no other
	b.call("PUT", "accounts/"+string(role), admin.AccountChange{Role: role, Password: password}, nil)
	v := b.visitor()
	if got := v.post("/login", "name", string(role), "password", password); got.status != http.StatusSeeOther {
		b.t.Fatalf("login of %s: %d %s", role, got.status, got.body)
	}
	return v
}

// got is what a visitor gets to see.
type got struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// send makes a request and keeps the cookies of the answer.
func (v *visitor) send(r *http.Request) *got {
	v.t.Helper()
	r.RemoteAddr = "10.0.0.77:5555"
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	v.portal.ServeHTTP(w, r)
	answer := w.Result()
	for _, c := range answer.Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		} else {
			v.cookies[c.Name] = c.Value
		}
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return &got{v.t, answer.StatusCode, answer.Header, string(body)}
}

func (v *visitor) get(path string) *got {
	v.t.Helper()
	return v.send(httptest.NewRequest(http.MethodGet, "http://10.0.0.5:48080"+path, nil))
}

// page is a page that must be there.
func (v *visitor) page(path string) *got {
	v.t.Helper()
	g := v.get(path)
	if g.status != http.StatusOK {
		v.t.Fatalf("%s: %d, to %q\n%s", path, g.status, g.header.Get("Location"), g.body)
	}
	return g
}

// post sends a form of names and values.
func (v *visitor) post(path string, pairs ...string) *got {
	v.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, "http://10.0.0.5:48080"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return v.send(r)
}

// upload sends a license file, as a form with a file does.
func (v *visitor) upload(text []byte) *got {
	v.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "acme.lic")
	if err != nil {
		v.t.Fatal(err)
	}
	_, _ = part.Write(text) // to memory
	if err := form.Close(); err != nil {
		v.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "http://10.0.0.5:48080/items/import", &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return v.send(r)
}

// done sends a form that must be accepted, and returns the page that it leads to.
func (v *visitor) done(path string, pairs ...string) *got {
	v.t.Helper()
	g := v.post(path, pairs...)
	if g.status != http.StatusSeeOther {
		v.t.Fatalf("POST %s: %d\n%s", path, g.status, g.body)
	}
	base, err := url.Parse(path)
	if err != nil {
		v.t.Fatal(err)
	}
	to, err := base.Parse(g.header.Get("Location"))
	if err != nil {
		v.t.Fatal(err)
	}
	return v.page(to.String())
}

// has and lacks look at what a page says.
func (g *got) has(texts ...string) {
	g.t.Helper()
	for _, text := range texts {
		if !strings.Contains(g.body, text) {
			g.t.Errorf("%q is missing in\n%s", text, g.body)
		}
	}
}

func (g *got) lacks(texts ...string) {
	g.t.Helper()
	for _, text := range texts {
		if strings.Contains(g.body, text) {
			g.t.Errorf("%q stands in\n%s", text, g.body)
		}
	}
}

// device decides one request of a device in the core.
func (b *bed) device(project string, r protocol.Request) protocol.Answer {
	b.t.Helper()
	var answer protocol.Answer
	err := b.Do(context.Background(), func(c *engine.Core) error {
		p, ok := c.Catalog().Project(project)
		if !ok {
			return errors.New("no project " + project)
		}
		decide := func() protocol.Answer {
			ds := []engine.Decision{{Request: r, Project: p.Ordinal, Generation: p.Generation}}
			c.Decide(ds)
			return ds[0].Answer()
		}
		if answer = decide(); answer.Challenge != 0 { // it is asked to show a word
			in := *r.CheckIn
			in.Challenge, r.CheckIn = answer.Challenge, &in
			answer = decide()
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

// uses checks a device in, and lets it report a count unless that is 0.
func (b *bed) uses(project string, way license.ChargeWay, device byte, count uint32) protocol.Answer {
	b.t.Helper()
	b.tag++
	r := protocol.Request{Kind: protocol.KindCheckIn, ID: 1, UUID: [16]byte{device}, Tag: b.tag, CheckIn: &protocol.CheckIn{
		Product: []byte("DBR"), Version: 11, ChargeWay: uint8(way),
	}}
	a := b.device(project, r)
	if a.Kind != protocol.KindGranted || count == 0 {
		return a
	}
	b.tag++
	report := protocol.Request{
		Kind: protocol.KindReport, ID: 2, UUID: r.UUID, Stream: a.Stream, Token: a.Token, Seq: a.Seq + 1, Tag: b.tag, Item: a.Item,
		Lines: []protocol.Line{{Slot: uint32(b.now.Unix() / protocol.SlotSeconds), Count: count}},
	}
	if answer := b.device(project, report); answer.Kind != protocol.KindAccepted {
		b.t.Fatalf("report answered %d %v", answer.Kind, answer.Code)
	}
	return a
}

// deviceName is the client UUID of a device of tests.
func deviceName(device byte) string {
	return license.UUID{device}.String()
}
