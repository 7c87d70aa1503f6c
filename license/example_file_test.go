package license

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateLicense = flag.Bool("update-license", false, "sign testdata/example.lic anew and write the golden files that hang on it")

const (
	newYear2026 = 1767225600 // 2026-01-01T00:00:00Z
	newYear2027 = 1798761600
)

// acmeKey is the vendor key of the tests, always the same.
func acmeKey() PrivateKey { return keyFromSeed("Acme Inc", bytes.Repeat([]byte{7}, 32)) }

func ringOf(t testing.TB, keys ...PrivateKey) *KeyRing {
	t.Helper()
	ring := new(KeyRing)
	for _, k := range keys {
		if err := ring.Add(k.Public()); err != nil {
			t.Fatal(err)
		}
	}
	return ring
}

func mustUUID(t testing.TB, s string) UUID {
	t.Helper()
	u, err := ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// exampleFile is what testdata/example.lic says, unsigned: every kind of field at least once.
func exampleFile(t testing.TB) *File {
	scans := NewItem(Scan)
	scans.ID, scans.Description, scans.Product = "scan-2026", "Barcode reader, 1D and QR", "barcode-reader"
	scans.Versions, scans.Edition, scans.Deployment = []uint16{10, 11}, "mobile", "mobile"
	scans.Modules = []string{"1D", "QR"}
	scans.Quota, scans.Start, scans.Expiry = 100_000, newYear2026, newYear2027

	servers := NewItem(Server)
	servers.ID, servers.Product, servers.Quota = "server-2026", "barcode-server", 4
	servers.Start, servers.Expiry = newYear2026, newYear2027
	servers.Tolerance, servers.ActiveTime, servers.DependsOn = 25, 600, "scan-2026"
	servers.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}

	return &File{
		LicenseID: "ACME-2026-001", Alias: "DM_ACME-2026-001_Date20260102", OrganizationID: "100200300", Revision: 3,
		Status: Activated, Issued: newYear2026 + 3600, Activated: newYear2026 + day,
		ServerUUIDs: []UUID{mustUUID(t, "01234567-89AB-CDEF-0123-456789ABCDEF"), mustUUID(t, "FEDCBA98-7654-3210-FEDC-BA9876543210")},
		Bindings:    []Binding{BindKey, BindHardware},
		Items:       []Item{scans, servers},
	}
}

func mustSign(t testing.TB, f *File) []byte {
	t.Helper()
	text, err := f.Sign(acmeKey())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *updateLicense {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

// The annotated example is signed over its comments too, and says what exampleFile says. [FILE-1]
func TestExampleFile(t *testing.T) {
	data, err := os.ReadFile("testdata/example.lic")
	if err != nil {
		t.Fatal(err)
	}
	text, _, ok := bytes.Cut(data, []byte(beginLine))
	if !ok {
		t.Fatal("the example has no signature block")
	}
	f := exampleFile(t)
	signed, err := f.signText(acmeKey(), text)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "example.lic", signed)
	public, err := acmeKey().Public().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "acme.pub", public)

	parsed, err := Parse(signed, ringOf(t, acmeKey()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f, parsed, comparers); diff != "" {
		t.Errorf("the example says something else (-want +got):\n%s", diff)
	}
	again, err := parsed.MarshalText()
	if err != nil || !bytes.Equal(again, signed) {
		t.Errorf("a parsed file with comments is not written back byte by byte: %v", err)
	}
}

var comparers = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
