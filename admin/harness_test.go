package admin

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const localToken = "the-machines-own-token"

// bed is the API over a real core with a vendor; its ledger decides in place.
type bed struct {
	t        *testing.T
	vendor   license.PrivateKey
	identity license.ServerIdentity
	admin    *Admin
	handler  http.Handler
	log      *bytes.Buffer

	mutex sync.Mutex // of the core: the ledger is one goroutine at a time
	core  *engine.Core
	now   time.Time
	// offset is by how much the machine's clock is ahead of now.
	offset  time.Duration
	diskLow bool
	fail    error // what Do answers instead of working
	done    int   // changes that were made

	recovering, stopped bool
	setupCode           string
	setupFails          error
	deviceAddr          string
	lastReport          protocol.Request
}

// Do is the ledger.
func (b *bed) Do(_ context.Context, f func(*engine.Core) error) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.core.Begin(b.now.UnixNano(), nil)
	err := f(b.core)
	if b.core.Close() != nil {
		b.done++
	}
	b.core.Publish()
	return err
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, now: noon, setupCode: "open-sesame", deviceAddr: "[::]:4808", log: &bytes.Buffer{}}
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
		Server: b.identity, Trusted: ring, DevicesMax: 100, Alloc: func(n int) []byte { return make([]byte, n) },
	})
	if err := b.core.Start(0); err != nil {
		t.Fatal(err)
	}
	b.admin = New(b.config())
	b.handler = b.admin.Handler()
	return b
}

func (b *bed) config() Config {
	return Config{
		Ledger: b, Tallies: b.core.Tallies,
		Catalog: func() *engine.Catalog {
			if b.recovering {
				return nil
			}
			return b.core.Catalog()
		},
		Ready: func() bool { return !b.stopped }, Now: func() int64 { return b.now.UnixNano() },
		DiskLow:     func() bool { return b.diskLow },
		Backup:      func(w io.Writer) error { _, err := io.WriteString(w, "a backup"); return err }, // the real one is tested with the real server
		ClockOffset: func() time.Duration { return b.offset }, AcceptClock: func() int64 { b.now = b.now.Add(b.offset); b.offset = 0; return b.now.UnixNano() },
		Version: "test", Started: noon, HandshakeKey: b.identity.HandshakeKey, Server: b.identity.UUID(), Mode: b.identity.Mode,
		DeviceAddr: func() string { return b.deviceAddr }, Hosts: []string{"licenses.example.com"}, LocalToken: localToken, URL: "http://10.0.0.5:48080",
		SetupCode: func() string { return b.setupCode },
		SetupDone: func() error {
			if b.setupFails == nil {
				b.setupCode = ""
			}
			return b.setupFails
		},
		RotateTickets: func(bool) (uint32, error) { return 2, nil }, // the real keys are tested with the real server
		Log:           slog.New(slog.NewTextHandler(b.log, nil)),
	}
}

// licenseText is a signed license file; edits are applied to the activated file.
func (b *bed) licenseText(id, organization string, edits ...func(*license.File)) []byte {
	b.t.Helper()
	header := []license.Field{{Name: "LicenseId", Value: id}, {Name: "OrganizationID", Value: organization}, {Name: "Bindings", Value: "key"}}
	var items [][]license.Field
	for _, way := range []string{"scan", "device-yearly"} {
		items = append(items, []license.Field{
			{Name: "ItemId", Value: way}, {Name: "Product", Value: "DBR"}, {Name: "ChargeWay", Value: way}, {Name: "Quota", Value: "100"},
			{Name: "Start", Value: "2026-01-01"}, {Name: "Expiry", Value: "2027-12-31"},
		})
	}
	items[0] = append(items[0], license.Field{Name: "Modules", Value: "QR"})
	file, err := license.Draft(header, items, noon.Unix())
	if err != nil {
		b.t.Fatal(err)
	}
	if file, err = license.Activate(file, []license.UUID{b.identity.UUID()}, noon.Unix()); err != nil {
		b.t.Fatal(err)
	}
	for _, edit := range edits {
		edit(file)
	}
	text, err := file.Sign(b.vendor)
	if err != nil {
		b.t.Fatal(err)
	}
	return text
}

// imported imports license 1001 of organization 2001 and returns its project.
func (b *bed) imported() string {
	b.t.Helper()
	var r ImportResult
	b.call(localToken, "POST", "/api/v1/license-files", text(b.licenseText("1001", "2001")), http.StatusCreated, &r)
	return r.Project
}

// body is what a request carries.
type body struct {
	contentType string
	data        []byte
}

func text(data []byte) body { return body{"text/plain", data} }

func jsonBody(format string, args ...any) body {
	return body{"application/json", fmt.Appendf(nil, format, args...)}
}

var noBody = body{}

// request makes a request as a client on another machine does.
func request(token, method, target string, in body) *http.Request {
	r := httptest.NewRequest(method, "http://10.0.0.5:48080"+target, bytes.NewReader(in.data))
	r.RemoteAddr = "10.0.0.77:5555"
	if in.contentType != "" {
		r.Header.Set("Content-Type", in.contentType)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

func (b *bed) send(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	answer := w.Result()
	b.asDescribed(r, answer)
	return answer
}

// pattern is that of the route which serves a request.
func (b *bed) pattern(r *http.Request) string {
	mux := http.NewServeMux()
	for _, rt := range b.admin.routes() {
		mux.HandleFunc(rt.method+" "+rt.path, func(http.ResponseWriter, *http.Request) {})
	}
	_, pattern := mux.Handler(r)
	return pattern
}

// call makes a request that must be answered with a status, into out unless nil.
func (b *bed) call(token, method, target string, in body, status int, out any) {
	b.t.Helper()
	answer := b.send(request(token, method, target, in))
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer.StatusCode != status {
		b.t.Fatalf("%s %s: status %d, want %d: %s", method, target, answer.StatusCode, status, data)
	}
	if out == nil {
		return
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		b.t.Fatalf("%s %s: %v in %s", method, target, err, data)
	}
}

// answer sends a request that must succeed, into out.
func (b *bed) answer(r *http.Request, out any) {
	b.t.Helper()
	answer := b.send(r)
	if answer.StatusCode != http.StatusOK {
		b.t.Fatalf("%s %s: status %d", r.Method, r.URL, answer.StatusCode)
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
		b.t.Fatal(err)
	}
}

// problem is the problem that a request must be answered with.
func (b *bed) problem(r *http.Request) Problem {
	b.t.Helper()
	answer := b.send(r)
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	var p Problem
	if err := json.Unmarshal(data, &p); err != nil {
		b.t.Fatalf("%s %s: status %d, no problem document: %s", r.Method, r.URL, answer.StatusCode, data)
	}
	if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
		b.t.Errorf("%s %s: Content-Type %q", r.Method, r.URL, got)
	}
	if p.Status != answer.StatusCode || p.Title == "" || p.Detail == "" || !strings.HasPrefix(p.Type, ProblemPrefix) {
		b.t.Errorf("%s %s: status %d with problem %+v", r.Method, r.URL, answer.StatusCode, p)
	}
	return p
}

// ofField are the kinds of problems that are about a field of the request.
var ofField = []string{"invalid", "invalid-address", "unknown-item", "weak-password", "bad-parameter", "unknown-parameter", "unknown-field"}

// refused sends a request that must be refused with a status and a kind, and
// must change nothing.
func (b *bed) refused(token, method, target string, in body, status int, kind string) Problem {
	b.t.Helper()
	before := b.done
	p := b.problem(request(token, method, target, in))
	if p.Status != status || p.Kind() != kind {
		b.t.Errorf("%s %s: %d %s %q, want %d %s", method, target, p.Status, p.Kind(), p.Detail, status, kind)
	}
	if p.Field == "" && slices.Contains(ofField, kind) && !strings.Contains(p.Detail, "changes nothing") {
		b.t.Errorf("%s %s: %q names no field", method, target, p.Detail)
	}
	if b.done != before {
		b.t.Errorf("%s %s: refused, but something was written", method, target)
	}
	return p
}

// token makes a token of a scope.
func (b *bed) token(scope Scope) string {
	b.t.Helper()
	var made Token
	b.call(localToken, "POST", "/api/v1/tokens", jsonBody(`{"name": "of a test", "scope": %q}`, scope), http.StatusCreated, &made)
	return made.Secret
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

// scans checks a device in for QR and reports so many scans.
func (b *bed) scans(project string, count uint32) {
	b.t.Helper()
	r := protocol.Request{Kind: protocol.KindCheckIn, ID: 1, UUID: [16]byte{9}, Tag: 1, CheckIn: &protocol.CheckIn{
		Product: []byte("DBR"), Version: 11, Modules: [][]byte{[]byte("QR")}, ChargeWay: uint8(license.Scan),
	}}
	a := b.device(project, r)
	if a.Kind != protocol.KindGranted {
		b.t.Fatalf("check-in answered %d %v", a.Kind, a.Code)
	}
	b.lastReport = protocol.Request{Kind: protocol.KindReport, ID: 2, UUID: r.UUID, Stream: a.Stream, Token: a.Token, Seq: a.Seq, Tag: 2, Item: a.Item}
	b.report(project, b.lastReport, count)
}

// report sends the next report of a device, for the module QR.
func (b *bed) report(project string, last protocol.Request, count uint32) {
	b.t.Helper()
	last.Seq++
	last.Tag++
	last.Lines = []protocol.Line{{Slot: uint32(b.now.Unix() / protocol.SlotSeconds), Module: 1, Count: count}}
	if a := b.device(project, last); a.Kind != protocol.KindAccepted {
		b.t.Fatalf("report answered %d %v", a.Kind, a.Code)
	}
	b.lastReport = last
}
