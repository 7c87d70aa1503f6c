package license

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/allocation"
)

// fileBytes is what a license file of a few items costs to parse, whatever its length.
const fileBytes = 64 << 10

// Whatever parses has one normal form, and that form parses to the same file. [FILE-1]
func FuzzParseFile(f *testing.F) {
	example, err := os.ReadFile("testdata/example.lic")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add(mustSign(f, exampleFile(f)))
	f.Add(mustSign(f, exampleDraft(f)))
	f.Add([]byte("LicenseItems:\n- ItemId:\n" + beginLine + "\n" + endLine))
	ring := ringOf(f, acmeKey())
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		allocation.Within(t, 4*len(data)+fileBytes, func() { file, err = ParseUnverified(data) })
		if err != nil {
			if KindOf(err) == 0 {
				t.Fatalf("%v is not an *Error", err)
			}
			return
		}
		if _, err := Parse(data, ring); err != nil && KindOf(err) == 0 {
			t.Fatalf("%v is not an *Error", err)
		}
		signed := mustSign(t, file)
		again, err := Parse(signed, ring)
		if err != nil {
			t.Fatalf("what was signed does not parse: %v\n%s", err, signed)
		}
		if diff := cmp.Diff(file, again, comparers); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What is no license file costs no more than a few times its length, however long
// it is and whatever it looks like. [FILE-1]
func TestParsingAllocatesWithinBounds(t *testing.T) {
	for _, row := range []struct{ head, again string }{
		{"", "\n"}, {"", "\r"}, {"", "x"}, {"", "a:\n"}, {"", "a: b\n"}, {"", "- ItemId: a\n"}, {"", "# a\n"},
		{"LicenseItems:\n", "- ItemId: a\n"}, {"LicenseItems:\n", "- ItemId:\n  A: b\n"}, {"LicenseItems:\n- ItemId: a\n", "  B: c\n"},
		{"LicenseId: 1\n" + beginLine + "\n", "\n"}, {beginLine + "\nKeyId: 1\n", "a\n"},
	} {
		data := []byte(row.head + strings.Repeat(row.again, (FileSizeMax-len(row.head))/len(row.again)))
		allocation.Within(t, 4*len(data)+fileBytes, func() {
			if _, err := ParseUnverified(data); err == nil {
				t.Errorf("%q and many of %q are a license file", row.head, row.again)
			}
		})
	}
}

// smallBytes is what the parts of a license key, certificate or grant cost beside
// their contents.
const smallBytes = 8 << 10

// A license key that parses is the one string of that key. [PRJ-3]
func FuzzParseLicenseKey(f *testing.F) {
	f.Add(exampleKey().String())
	f.Add(summed([]byte{0, 0, 1, 'a', 0, 0}))
	f.Add("muster1")
	f.Fuzz(func(t *testing.T, s string) {
		// Random strings have no right checksum, so the bytes are also tried as a body of their own.
		for _, s := range []string{s, summed([]byte(s))} {
			var k LicenseKey
			var err error
			allocation.Within(t, 4*len(s)+smallBytes, func() { k, err = ParseLicenseKey(s) })
			if err != nil {
				if KindOf(err) == 0 {
					t.Fatalf("%v is not an *Error", err)
				}
				continue
			}
			if k.String() != strings.ToLower(strings.TrimSpace(s)) {
				t.Fatalf("%q is written %q", s, k.String())
			}
		}
	})
}

// A certificate that parses encodes to the same bytes; none that was not signed verifies. [CLI-2]
func FuzzParseCertificate(f *testing.F) {
	file := exampleFile(f)
	mustSign(f, file)
	f.Add(encodeCertificate(f, file.Certificate(0)))
	f.Add(encodeCertificate(f, file.Certificate(1)))
	text, err := os.ReadFile("testdata/certificate.hex")
	if err != nil {
		f.Fatal(err)
	}
	frozen, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frozen)
	ring := ringOf(f, acmeKey())
	f.Fuzz(func(t *testing.T, data []byte) {
		var c Certificate
		var err error
		allocation.Within(t, 4*len(data)+smallBytes, func() { c, err = ParseCertificate(data) })
		if err != nil {
			return
		}
		if again := encodeCertificate(t, c); !bytes.Equal(data, again) {
			t.Fatalf("%x is written %x", data, again)
		}
		signed := bytes.Equal(c.License, file.terms().appendBinary(nil))
		if _, _, err := c.Verify(ring); err == nil && !signed {
			t.Fatal("a certificate that the vendor did not sign verifies")
		}
		// The leaves are read only after the signature, so they are tried here by themselves.
		_, _ = parseLicenseTerms(c.License)
		_, _ = parseItemTerms(c.Item)
	})
}
