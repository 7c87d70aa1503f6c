package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"muster/admin"
	"muster/client"
	"muster/license"
)

// showcase is a world in which something goes on: items of several charge ways,
// some near their end, and devices that were used for a month. Every page of the
// portal has something to show; the tests of accessibility and the screenshots
// in docs/img use it.
type showcase struct {
	*world
	projects []string
	device1  string // client UUID of the first device
}

const showcasePassword = "muster the devices"

func newShowcase(t *testing.T) *showcase {
	s := &showcase{world: newWorld(t)}
	s.account("admin", admin.RoleAdmin)
	s.account("eyes", admin.RoleViewer)
	s.project("Warehouse", s.licenseFile("100001", "200001", 1, s.items()...))
	s.project("Web shop", s.licenseFile("100002", "200001", 1, terms("shop", "DBR", "domain", "1", 300, license.Field{Name: "Domains", Value: "example.com"}),
		terms("scanner-app", "DBR", "page", "20000", 12, license.Field{Name: "Modules", Value: "core, ocr"})))
	s.call(http.MethodPut, "server/addresses", admin.NewAddresses{Addresses: []string{"tcp://licenses.example.lan:4808", "udp://licenses.example.lan:4808"}}, nil)
	shared := []string{"100001/readers", "100001/floor", "100001/scans", "100001/gates"}
	s.call(http.MethodPatch, "projects/"+s.projects[0], admin.ProjectChange{Items: &shared}, nil)
	more := []string{"100002/shop", "100002/scanner-app", "100001/scans"}
	limit := uint64(20_000)
	s.call(http.MethodPatch, "projects/"+s.projects[1], admin.ProjectChange{Items: &more, Shares: &[]admin.Share{{Item: "100001/scans", Reserve: 5000, Cap: &limit}}}, nil)
	s.devices()
	return s
}

// items are those of the warehouse.
func (s *showcase) items() [][]license.Field {
	modules := license.Field{Name: "Modules", Value: "1D, QR, PDF417"}
	return [][]license.Field{
		terms("readers", "DBR", "device-yearly", "25", 300, modules, license.Field{Name: "Description", Value: "Handheld readers"}),
		terms("floor", "DBR", "concurrent-device", "6", 200, modules, license.Field{Name: "Description", Value: "Terminals on the floor"}),
		terms("scans", "DBR", "scan", "60000", 120, modules, license.Field{Name: "Description", Value: "Web and batch scans"}),
		terms("gates", "DCV", "server", "4", 25, license.Field{Name: "Description", Value: "Gate servers"}),
	}
}

// terms are an item that expires in so many days.
func terms(id, product, way, quota string, days int, more ...license.Field) []license.Field {
	return append([]license.Field{
		{Name: "ItemId", Value: id}, {Name: "Product", Value: product}, {Name: "ChargeWay", Value: way}, {Name: "Quota", Value: quota},
		{Name: "Start", Value: time.Now().AddDate(0, -2, 0).Format(time.DateOnly)},
		{Name: "Expiry", Value: time.Now().AddDate(0, 0, days).Format(time.DateOnly)},
	}, more...)
}

// licenseFile is a signed and activated license file.
func (w *world) licenseFile(id, organization string, revision uint32, items ...[]license.Field) []byte {
	w.t.Helper()
	now := time.Now().Unix()
	header := []license.Field{{Name: "LicenseId", Value: id}, {Name: "OrganizationID", Value: organization}, {Name: "Bindings", Value: "key"}}
	file, err := license.Draft(header, items, now)
	if err != nil {
		w.t.Fatal(err)
	}
	if file, err = license.Activate(file, []license.UUID{w.p.identity.Public.UUID()}, now); err != nil {
		w.t.Fatal(err)
	}
	file.Revision = revision
	text, err := file.Sign(w.vendor)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// call makes a request to the API with the machine's own token.
func (w *world) call(method, path string, in, out any) {
	w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	contentType := "application/json"
	if in == nil {
		body, contentType = nil, ""
	}
	w.send(method, path, contentType, body, out)
}

func (w *world) send(method, path, contentType string, body []byte, out any) {
	w.t.Helper()
	token, err := secretFile(w.p.path(tokenFile))
	if err != nil {
		w.t.Fatal(err)
	}
	c := &apiClient{base: w.p.url, token: token, http: apiHTTP}
	if err := c.send(w.t.Context(), method, "/api/v1/"+path, contentType, body, out); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) account(name string, role admin.Role) {
	w.t.Helper()
	w.call(http.MethodPut, "accounts/"+name, admin.AccountChange{Role: role, Password: showcasePassword}, nil)
}

// project imports a license file into a project of its own.
func (s *showcase) project(name string, text []byte) {
	s.t.Helper()
	var result admin.ImportResult
	s.send(http.MethodPost, "license-files?project=new&name="+url.QueryEscape(name), "text/plain", text, &result)
	s.projects = append(s.projects, result.Project)
}

func (s *showcase) key(project string) string {
	var key admin.LicenseKey
	s.call(http.MethodGet, "projects/"+project+"/key", nil, &key)
	parsed, err := license.ParseLicenseKey(key.LicenseKey)
	if err != nil {
		s.t.Fatal(err)
	}
	// Devices of the test reach the server where it is, not where the key says.
	parsed.Addresses = []license.Address{{Transport: "tcp", HostPort: s.p.front.Addr().String(), HandshakeKey: s.p.identity.Public.HandshakeKey}}
	return parsed.String()
}

// devices lets devices work for four weeks.
func (s *showcase) devices() {
	warehouse := s.key(s.projects[0])
	use := client.Use{Product: "DBR", Version: 11, Modules: []string{"QR"}}
	for i := range 22 {
		s.device(warehouse, use, license.DeviceYearly, i, 3)
	}
	for i := range 9 {
		s.device(warehouse, use, license.ConcurrentDevice, i, 20)
	}
	for i := range 3 {
		s.device(warehouse, use, license.Scan, i, 240)
		s.device(s.key(s.projects[1]), client.Use{Product: "DBR", Version: 11, Modules: []string{"ocr"}}, license.Page, i, 70)
	}
	for i := range 4 {
		s.device(warehouse, client.Use{Product: "DCV", Version: 3}, license.Server, i, 0)
	}
	for range 3 {
		c := s.client(warehouse, client.State{})
		if _, err := c.CheckIn(context.Background(), client.Use{Product: "DCV", Version: 3, ChargeWay: license.Server}); err == nil {
			s.t.Fatal("a fifth server was served")
		}
	}
}

// device is one device, with what it did on the days of four weeks.
func (s *showcase) device(key string, use client.Use, way license.ChargeWay, number, count int) {
	s.t.Helper()
	use.ChargeWay = way
	c := s.client(key, client.State{})
	if s.device1 == "" {
		s.device1 = c.State().UUID.String()
	}
	if _, err := c.CheckIn(context.Background(), use); err != nil {
		s.t.Fatal(fmt.Errorf("%s: %w", way, err))
	}
	if count == 0 {
		return
	}
	var counts []client.Count
	now := time.Now()
	for day := range 28 {
		at := now.AddDate(0, 0, -day)
		if weekday := at.Weekday(); weekday == time.Sunday || (weekday == time.Saturday || day%9 == 4) && number%3 > 0 || number > 10+(28-day)/2 {
			continue
		}
		if way == license.ConcurrentDevice { // all at the same time, more on some days
			if number > 4+day%5 {
				continue
			}
			at = at.Truncate(24 * time.Hour).Add(-14 * time.Hour)
		} else if day > 0 {
			at = at.Truncate(24 * time.Hour).Add(8*time.Hour + time.Duration((number*7+day*3)%9)*time.Hour + 30*time.Minute)
		}
		module := use.Modules[0]
		if module == "QR" && (number+day)%3 == 0 {
			module = "1D"
		}
		counts = append(counts, client.Count{Module: module, Count: uint32(count + (number*13+day*29)%(count+1)), At: at})
	}
	if err := c.Report(context.Background(), counts...); err != nil {
		s.t.Fatal(err)
	}
}
