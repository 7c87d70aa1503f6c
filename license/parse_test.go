package license

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// edited signs the example with one part of its text replaced, as a vendor with a careless tool would.
func edited(t testing.TB, old, replacement string) []byte {
	t.Helper()
	f := exampleFile(t)
	text := f.unsignedText()
	if bytes.Count(text, []byte(old)) == 0 {
		t.Fatalf("%q is not in the example", old)
	}
	signed, err := f.signText(acmeKey(), bytes.Replace(text, []byte(old), []byte(replacement), 1))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Each bad text is its own clear error, which names kind, line and field. [FILE-1]
func TestParseFaults(t *testing.T) {
	tests := []struct {
		name, old, replacement string
		kind                   ErrorKind
		line                   int
		field                  string
	}{
		{"header field missing", "Revision: 3\n", "", MissingField, 1, "Revision"},
		{"item field missing", "  Quota: 100000\n", "", MissingField, 14, "Quota"},
		{"item id missing", "- ItemId: scan-2026\n  D", "- D", Syntax, 14, ""},
		{"no items", "LicenseItems:\n- ItemId: scan-2026", "LicenseItems:\n", Syntax, 15, ""},
		{"alias missing when activated", "Alias: DM_ACME-2026-001_Date20260102\n", "", MissingField, 1, "Alias"},
		{"servers missing when activated", "ServerUUID: 01234567-89AB-CDEF-0123-456789ABCDEF\nServerUUID: FEDCBA98-7654-3210-FEDC-BA9876543210\n", "", MissingField, 1, "ServerUUID"},
		{"server twice", "FEDCBA98-7654-3210-FEDC-BA9876543210", "01234567-89ab-cdef-0123-456789abcdef", BadValue, 9, "ServerUUID"},
		{"servers while new", "Status: Activated\n", "Status: New\n", BadValue, 8, "Activated"},
		{"unknown header field", "Revision: 3", "Revision: 3\nColour: red", UnknownField, 7, "Colour"},
		{"unknown item field", "  Quota:", "  Price: 3\n  Quota:", UnknownField, 22, "Price"},
		{"field twice", "  Quota: 100000", "  Quota: 100000\n  Quota: 2", DuplicateField, 23, "Quota"},
		{"empty value", "Edition: mobile", "Edition:", BadValue, 18, "Edition"},
		{"duplicate item", "ItemId: server-2026", "ItemId: scan-2026", DuplicateItem, 28, "ItemId"},
		{"unknown text version", "Version: 2.0", "Version: 3.0", UnsupportedVersion, 3, "LicenseTextVersion"},
		{"status", "Status: Activated", "Status: activated", BadValue, 5, "LicenseStatus"},
		{"revision zero", "Revision: 3", "Revision: 0", BadValue, 6, "Revision"},
		{"uuid", "01234567-89AB", "0123456789AB", BadValue, 9, "ServerUUID"},
		{"binding", "key, hardware", "key, dongle", BadValue, 11, "Bindings"},
		{"binding twice", "key, hardware", "key, key", BadValue, 11, "Bindings"},
		{"license id", "LicenseId: ACME", "LicenseId: AC ME", BadValue, 1, "LicenseId"},
		{"charge way", "ChargeWay: scan", "ChargeWay: barter", BadValue, 21, "ChargeWay"},
		{"quota is no number", "Quota: 100000", "Quota: 1e5", BadValue, 22, "Quota"},
		{"quota too large", "Quota: 100000", "Quota: 1000000000000001", BadValue, 22, "Quota"},
		{"date", "Start: 2026-01-01T00:00:00Z", "Start: 01.01.2026", BadValue, 23, "Start"},
		{"fractions of a second", "Start: 2026-01-01T00:00:00Z", "Start: 2026-01-01T00:00:00.5Z", BadValue, 23, "Start"},
		{"expiry before start", "Expiry: 2027", "Expiry: 2025", BadValue, 24, "Expiry"},
		{"duration", "Grace: 7d", "Grace: 1w", BadValue, 25, "Grace"},
		{"no field", "  Quota:", "  Quota", Syntax, 22, ""},
		{"indented header", "Alias:", " Alias:", Syntax, 2, ""},
		{"item field without indentation", "  Quota:", "Quota:", Syntax, 22, ""},
		{"control character", "Barcode reader", "Barcode\treader", Syntax, 15, ""},
		{"not UTF-8", "Barcode reader", "Barcode\xffreader", Syntax, 15, ""},
		{"dependency that is not there", "DependsOn: scan-2026", "DependsOn: scan-2025", BadValue, 37, "DependsOn"},
		{"dependency on itself", "DependsOn: scan-2026", "DependsOn: server-2026", BadValue, 37, "DependsOn"},
		{"dependency on itself by license", "DependsOn: scan-2026", "DependsOn: ACME-2026-001/server-2026", BadValue, 37, "DependsOn"},
		{"network", "10.0.0.0/8", "10.1.0.0/8", BadValue, 38, "Networks"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := Parse(edited(t, test.old, test.replacement), ringOf(t, acmeKey()))
			e, ok := err.(*Error)
			if !ok || f != nil {
				t.Fatalf("file returned: %t, error: %v; want an *Error and no file", f != nil, err)
			}
			if e.Kind != test.kind || e.Line != test.line || e.Field != test.field {
				t.Errorf("%s at line %d, field %q; want %s at line %d, field %q\n%v", e.Kind, e.Line, e.Field, test.kind, test.line, test.field, e)
			}
		})
	}
}

// The form around the text has errors of its own. [FILE-1]
func TestParseFrameFaults(t *testing.T) {
	signed := mustSign(t, exampleFile(t))
	cut := func(at string) []byte { before, _, _ := bytes.Cut(signed, []byte(at)); return before }
	tests := []struct {
		name string
		data []byte
		kind ErrorKind
	}{
		{"empty", nil, NotSigned},
		{"no block", cut(beginLine), NotSigned},
		{"block cut short", cut("CertificateRoot"), Syntax},
		{"no end", cut(endLine), Syntax},
		{"text after the end", append(bytes.Clone(signed), "Quota: 5\n"...), Syntax},
		{"comment in the block", bytes.Replace(signed, []byte("TextSignature"), []byte("# x\nTextSignature"), 1), Syntax},
		{"short signature", bytes.Replace(signed, []byte("TextSignature: "), []byte("TextSignature: AAAA"), 1), BadValue},
		{"key id in upper case", bytes.Replace(signed, []byte("KeyId: "+acmeKey().ID), []byte("KeyId: "+strings.ToUpper(acmeKey().ID)), 1), BadValue},
		{"too large", append(bytes.Clone(signed), bytes.Repeat([]byte("\n"), FileSizeMax)...), TooLarge},
		{"another file", []byte("\x7fELF\x02\x01"), Syntax},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse(test.data, ringOf(t, acmeKey())); KindOf(err) != test.kind {
				t.Errorf("%v (%s), want %s", err, KindOf(err), test.kind)
			}
		})
	}
}

// Any changed byte is an error, whichever byte it is and whatever it becomes. [FILE-1]
func TestParseEveryChangedByte(t *testing.T) {
	signed := mustSign(t, exampleFile(t))
	ring := ringOf(t, acmeKey())
	for i := range signed {
		for _, mask := range []byte{1, 2, 0x10, 0x20, 0x80} {
			changed := bytes.Clone(signed)
			changed[i] ^= mask
			if _, err := Parse(changed, ring); err == nil {
				t.Fatalf("byte %d of %q became %q and nobody minded", i, signed[i], changed[i])
			}
		}
	}
	for i := range signed {
		if _, err := Parse(signed[:i], ring); err == nil && i < len(signed)-1 {
			t.Fatalf("the first %d bytes pass for the file", i)
		}
	}
}

// What a changed byte that leaves the form intact is told as. [FILE-1]
func TestParseBadSignature(t *testing.T) {
	signed := mustSign(t, exampleFile(t))
	changed := bytes.Replace(signed, []byte("Quota: 100000"), []byte("Quota: 900000"), 1)
	if _, err := Parse(changed, ringOf(t, acmeKey())); KindOf(err) != BadSignature {
		t.Errorf("%v, want a bad signature", err)
	}
	comment := append([]byte("# harmless\n"), signed...)
	if _, err := Parse(comment, ringOf(t, acmeKey())); KindOf(err) != BadSignature {
		t.Errorf("%v, want a bad signature: comments are signed too", err)
	}
}

// A certificate of other terms under a right text is noticed, even when the vendor signed it. [CLI-2]
func TestParseBadCertificate(t *testing.T) {
	f, other := exampleFile(t), exampleFile(t)
	other.Items[0].Quota = 900_000
	mustSign(t, f)
	mustSign(t, other)
	f.CertificateRoot, f.CertificateSignature = other.CertificateRoot, other.CertificateSignature
	text, err := f.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse(text, ringOf(t, acmeKey())); KindOf(err) != BadCertificate {
		t.Errorf("%v, want a bad certificate", err)
	}
}

// The key id picks one of several trusted keys, and an unknown one is refused. [FILE-1] [FILE-5]
func TestParseKeys(t *testing.T) {
	rotated := keyFromSeed("Acme Inc", bytes.Repeat([]byte{8}, 32))
	stranger := keyFromSeed("Other Ltd", bytes.Repeat([]byte{9}, 32))
	signed := mustSign(t, exampleFile(t))
	f, err := Parse(signed, ringOf(t, stranger, rotated, acmeKey()))
	if err != nil {
		t.Fatal(err)
	}
	if f.KeyID != acmeKey().ID || f.Vendor != "Acme Inc" {
		t.Errorf("key %s of %q", f.KeyID, f.Vendor)
	}
	for _, ring := range []*KeyRing{nil, new(KeyRing), ringOf(t, rotated, stranger)} {
		if _, err := Parse(signed, ring); KindOf(err) != UnknownKey {
			t.Errorf("%v, want an unknown key", err)
		}
	}
	forged := bytes.Replace(signed, []byte(acmeKey().ID), []byte(rotated.ID), 1)
	if _, err := Parse(forged, ringOf(t, rotated)); KindOf(err) != BadSignature {
		t.Errorf("%v, want a bad signature under the other key's id", err)
	}
}

// Files travel by mail: byte order mark, line ends and blank lines at the end do no harm. [FILE-1]
func TestParseMail(t *testing.T) {
	f := exampleFile(t)
	signed := mustSign(t, f)
	crlf := bytes.ReplaceAll(signed, []byte("\n"), []byte("\r\n"))
	for name, data := range map[string][]byte{
		"CR LF": crlf, "CR": bytes.ReplaceAll(signed, []byte("\n"), []byte("\r")),
		"BOM and CR LF": append([]byte("\xef\xbb\xbf"), crlf...),
		"blank end":     append(bytes.Clone(signed), "\n \n"...),
		"no last LF":    bytes.TrimSuffix(signed, []byte("\n")),
	} {
		got, err := Parse(data, ringOf(t, acmeKey()))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(f, got, comparers); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	two := append([]byte("\xef\xbb\xbf\xef\xbb\xbf"), signed...)
	if _, err := Parse(two, ringOf(t, acmeKey())); KindOf(err) != Syntax {
		t.Errorf("%v, want a syntax error at a second byte order mark", err)
	}
}

// What Sign writes, Parse reads back as the same file, and writing that gives the same bytes. [FILE-1]
func TestSignParseRoundTrip(t *testing.T) {
	rich := exampleFile(t)
	for way := Scan; way <= ConcurrentInstance; way++ {
		it := NewItem(way)
		it.ID, it.Product, it.Quota, it.Start, it.Expiry = "way-"+way.String(), "p", QuotaMax, 0, timeMax
		it.Grace, it.OfflineFor, it.Tolerance, it.Revoked = 0, 90*60, 0, true
		it.FromFirstUse = way.countsDevices()
		if way.countsDevices() {
			it.FreeCap = 0
		}
		if way.hasOveruse() {
			it.OveruseBudget = 1000 * QuotaMax
		}
		if way == Domain {
			it.Domains, it.ExtraSuffixes = []string{"example.com", "xn--bcher-kva.example"}, []string{"force.com"}
		}
		if way == Page {
			it.Modules = pageModules
		}
		it.DependsOn = "OTHER/elsewhere"
		rich.Items = append(rich.Items, it)
	}
	draft := exampleFile(t)
	draft.Status, draft.Activated, draft.ServerUUIDs, draft.Alias, draft.Trial = New, 0, nil, "", TrialExtended
	draft.Items = draft.Items[1:]
	draft.Items[0].DependsOn, draft.Items[0].Expiry = "", newYear2026+38*day
	for _, f := range []*File{exampleFile(t), rich, draft} {
		signed := mustSign(t, f)
		got, err := Parse(signed, ringOf(t, acmeKey()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f, got, comparers); diff != "" {
			t.Errorf("(-signed +parsed):\n%s", diff)
		}
		if again, err := got.MarshalText(); err != nil || !bytes.Equal(signed, again) {
			t.Errorf("marshalled to other bytes: %v", err)
		}
		if !bytes.Equal(got.unsignedText(), got.SignedText) {
			t.Errorf("the text is not in normal form")
		}
	}
}

// [FILE-1] [SRV-2] An import wants an activated file, this server, and its binding mode.
func TestCheckImport(t *testing.T) {
	f := exampleFile(t)
	here, there := f.ServerUUIDs[1], mustUUID(t, "00000000-0000-0000-0000-000000000001")
	if err := f.CheckImport(here, BindHardware); err != nil {
		t.Error(err)
	}
	if err := f.CheckImport(there, BindKey); KindOf(err) != WrongServer || !strings.Contains(err.Error(), there.String()) {
		t.Errorf("%v, want the wrong server", err)
	}
	f.Bindings = []Binding{BindHardware}
	if err := f.CheckImport(here, BindKey); KindOf(err) != WrongBinding {
		t.Errorf("%v, want the wrong binding mode", err)
	}
	f.Status = New
	if err := f.CheckImport(here, BindHardware); KindOf(err) != NotActivated {
		t.Errorf("%v, want not activated", err)
	}
}

// A hostile text costs little: its lists and items are cut off before they are compared with each other.
func TestParseManyItems(t *testing.T) {
	for name, block := range map[string]string{
		"items":    "LicenseItems:\n" + strings.Repeat("- ItemId: a\n", 80_000),
		"servers":  strings.Repeat("ServerUUID: 01234567-89AB-CDEF-0123-456789ABCDEF\n", 20_000),
		"bindings": "Bindings: " + strings.Repeat("key,", 200_000) + "key\n",
	} {
		if _, err := Parse([]byte(block+beginLine+"\n"), nil); err == nil {
			t.Errorf("many %s were accepted", name)
		}
	}
}
