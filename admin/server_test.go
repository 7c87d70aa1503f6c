package admin

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/license"
)

const addresses = "/api/v1/server/addresses"

func TestServerView(t *testing.T) { // [SRV-1] [OPS-1]
	b := newBed(t)
	b.scans(b.imported(), 1)
	var s Server
	b.call(localToken, "GET", "/api/v1/server", noBody, ok, &s)
	want := Server{
		UUID: b.identity.UUID().String(), Binding: "key", Version: "test", State: "serving", Ready: true, Started: noon,
		DeviceAddress: "[::]:4808", HandshakeKey: "010203" + strings.Repeat("00", 29),
		Clock:     Clock{Time: noon},
		Addresses: Addresses{Addresses: []string{"tcp://10.0.0.5:4808"}, Default: true},
		Counts:    &Counts{LicenseFiles: 1, Items: 2, Projects: 1, Devices: 1, Streams: 1},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
}

func TestKey(t *testing.T) { // [PRJ-3] [PRJ-4]
	b := newBed(t)
	id := b.imported()
	var k LicenseKey
	b.call(localToken, "GET", projects+"/"+id+"/key", noBody, ok, &k)
	got, err := license.ParseLicenseKey(k.LicenseKey)
	if err != nil {
		t.Fatal(err)
	}
	want := license.LicenseKey{ProjectID: id, OrganizationID: "2001", Addresses: []license.Address{
		{Transport: "tcp", HostPort: "10.0.0.5:4808", HandshakeKey: b.identity.HandshakeKey},
	}}
	if diff := cmp.Diff(want, got); diff != "" || len(k.Warnings) != 0 {
		t.Errorf("%s, warnings %q", diff, k.Warnings)
	}
	b.call(localToken, "PUT", addresses, jsonBody(`{"addresses": ["tcp://licenses.example.com:4808", "tcp://[2001:db8::1]:4809"]}`), ok, nil)
	b.call(localToken, "PATCH", projects+"/"+id, jsonBody(`{"password": "hush"}`), ok, nil)
	b.call(localToken, "GET", projects+"/"+id+"/key", noBody, ok, &k)
	if got, err = license.ParseLicenseKey(k.LicenseKey); err != nil {
		t.Fatal(err)
	}
	if got.Password != "hush" || len(got.Addresses) != 2 || got.Addresses[1].HostPort != "[2001:db8::1]:4809" {
		t.Errorf("key %+v", got)
	}
	b.refused(localToken, "GET", projects+"/2001-0/key", noBody, 404, "not-found")
}

// What makes a key useless is said with it. [PRJ-4]
func TestKeyWarnings(t *testing.T) {
	b := newBed(t)
	id := b.imported()
	r := request(localToken, "GET", projects+"/"+id+"/key", noBody)
	for _, c := range []struct {
		name, host, devices, change, warning string
		days                                 int
	}{
		{"loopback name", "localhost:48080", ":4808", "", "own machine only", 0},
		{"loopback address", "[::1]:48080", ":4808", "", "own machine only", 0},
		{"device port", "10.0.0.5:48080", "127.0.0.1:4808", "", "--listen", 0},
		{"disabled", "10.0.0.5:48080", ":4808", `{"disabled": true}`, "162", 0},
		{"nothing in force", "10.0.0.5:48080", ":4808", `{"disabled": false}`, "no item", 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			b.deviceAddr, b.now = c.devices, noon.AddDate(0, 0, c.days)
			if c.change != "" {
				b.call(localToken, "PATCH", projects+"/"+id, jsonBody("%s", c.change), ok, nil)
			}
			r.Host = c.host
			var k LicenseKey
			b.answer(r, &k)
			if len(k.Warnings) != 1 || !strings.Contains(k.Warnings[0], c.warning) {
				t.Errorf("warnings %q, want one about %q", k.Warnings, c.warning)
			}
		})
	}
}

func TestKeyBeforePort(t *testing.T) {
	b := newBed(t)
	id := b.imported()
	b.deviceAddr = ""
	b.refused(localToken, "GET", projects+"/"+id+"/key", noBody, 503, "not-ready")
	b.call(localToken, "PUT", addresses, jsonBody(`{"addresses": ["tcp://10.0.0.5:4808"]}`), ok, nil)
	b.call(localToken, "GET", projects+"/"+id+"/key", noBody, ok, nil)
}

func TestAddresses(t *testing.T) { // [PRJ-4]
	b := newBed(t)
	var a Addresses
	b.call(localToken, "PUT", addresses, jsonBody(`{"addresses": ["tcp://a.example:1", "tcp://127.0.0.1:65535"]}`), ok, &a)
	if a.Default || !slices.Equal(a.Addresses, []string{"tcp://a.example:1", "tcp://127.0.0.1:65535"}) || len(a.Warnings) != 2 {
		t.Errorf("addresses %+v", a) // one warning of loopback, one that keys changed [PRJ-3]
	}
	a = Addresses{}
	b.call(localToken, "PUT", addresses, jsonBody(`{"addresses": []}`), ok, &a)
	if !a.Default || !slices.Equal(a.Addresses, []string{"tcp://10.0.0.5:4808"}) {
		t.Errorf("back to the default: %+v", a)
	}
	a = Addresses{}
	b.call(localToken, "PUT", addresses, jsonBody(`{"addresses": []}`), ok, &a)
	if len(a.Warnings) != 0 {
		t.Errorf("nothing changed: %q", a.Warnings)
	}
}

func TestAddressesRefused(t *testing.T) {
	b := newBed(t)
	b.refused(localToken, "PUT", addresses, jsonBody(`{}`), 422, "invalid")
	for _, address := range []string{
		"", "a.example:4808", "udp://a.example:4808", "https://a.example", "tcp://", "tcp://:4808", "tcp://a.example", "tcp://a.example:0",
		"tcp://a.example:65536", "tcp://a.example:port", "tcp://a.example:4808/", "tcp://a b:4808", "tcp://2001:db8::1:4808",
		"tcp://0.0.0.0:4808", "tcp://[::]:4808", "tcp://user@a.example:4808", "tcp://" + strings.Repeat("a", 254) + ":1",
	} {
		b.refused(localToken, "PUT", addresses, jsonBody(`{"addresses": [%q]}`, address), 422, "invalid-address")
	}
	b.refused(localToken, "PUT", addresses, jsonBody(`{"addresses": ["tcp://a:1", "tcp://a:1"]}`), 422, "invalid-address")
	b.refused(localToken, "PUT", addresses, jsonBody(`{"addresses": ["tcp://a:1"%s]}`, strings.Repeat(`, "tcp://b:1"`, 16)), 422, "invalid-address")
}

func TestVendorKeys(t *testing.T) { // [FILE-5]
	b := newBed(t)
	other := newBed(t).vendor
	public, err := other.Public().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var added AddedVendorKey
	b.call(localToken, "POST", "/api/v1/vendor-keys", text(public), created, &added)
	if !added.Added || added.ID != other.ID || added.Source != "added" {
		t.Errorf("added %+v", added)
	}
	b.call(localToken, "POST", "/api/v1/vendor-keys", text(public), ok, &added)
	if added.Added {
		t.Errorf("added twice: %+v", added)
	}
	var list VendorKeyList
	b.call(localToken, "GET", "/api/v1/vendor-keys", noBody, ok, &list)
	sources := map[string]string{}
	for _, k := range list.VendorKeys {
		sources[k.ID] = k.Source
	}
	if diff := cmp.Diff(map[string]string{other.ID: "added", b.vendor.ID: "configured"}, sources); diff != "" {
		t.Error(diff)
	}
	b.vendor = other
	b.imported() // what the new key signed is believed
	b.refused(localToken, "POST", "/api/v1/vendor-keys", text([]byte("no key")), 422, "syntax")
	b.refused(localToken, "POST", "/api/v1/vendor-keys", jsonBody(`{}`), 415, "unsupported-media-type")
}
