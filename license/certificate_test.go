package license

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func encodeCertificate(t testing.TB, c Certificate) []byte {
	t.Helper()
	data, err := c.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A device reads out of a certificate what the vendor signed, for each item, from small and large files. [CLI-2]
func TestCertificate(t *testing.T) {
	for _, items := range []int{1, 2, 3, 8, 33} {
		f := exampleFile(t)
		it := f.Items[0]
		f.Items = f.Items[:1]
		for n := 1; n < items; n++ {
			it.ID = "i" + hex.EncodeToString([]byte{byte(n)})
			f.Items = append(f.Items, it)
		}
		f.Items[items-1].Revoked = true
		mustSign(t, f)
		for i, c := range f.Certificates() {
			if diff := cmp.Diff(c, f.Certificate(i)); diff != "" {
				t.Errorf("Certificate and Certificates differ: %s", diff)
			}
			parsed, err := ParseCertificate(encodeCertificate(t, c))
			if err != nil {
				t.Fatal(err)
			}
			license, item, err := parsed.Verify(ringOf(t, acmeKey()))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.terms(), license); diff != "" {
				t.Errorf("license terms: %s", diff)
			}
			if diff := cmp.Diff(f.Items[i].terms(), item); diff != "" {
				t.Errorf("item terms: %s", diff)
			}
		}
	}
}

// With its paths a certificate of a small license stays under 700 bytes. [CLI-2]
func TestCertificateSize(t *testing.T) {
	f := exampleFile(t)
	mustSign(t, f)
	data := encodeCertificate(t, f.Certificate(0))
	if len(data) > 700 {
		t.Errorf("%d bytes", len(data))
	}
	golden(t, "certificate.hex", append([]byte(hex.EncodeToString(data)), '\n'))
}

// No changed byte of a certificate passes, wherever it stands. [CLI-2]
func TestCertificateEveryChangedByte(t *testing.T) {
	f := exampleFile(t)
	mustSign(t, f)
	data := encodeCertificate(t, f.Certificate(1))
	ring := ringOf(t, acmeKey())
	for i := range data {
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << bit
			c, err := ParseCertificate(changed)
			if err == nil {
				_, _, err = c.Verify(ring)
			}
			if err == nil {
				t.Fatalf("bit %d of byte %d was changed and nobody minded", bit, i)
			}
		}
	}
	for n := range data {
		if _, err := ParseCertificate(data[:n]); err == nil {
			t.Fatalf("the first %d bytes pass for a certificate", n)
		}
	}
	if _, err := ParseCertificate(append(data, 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
}

// A dishonest server may mix what the vendor signed; it does not fit together. [CLI-2]
func TestCertificateForgeries(t *testing.T) {
	f := exampleFile(t)
	mustSign(t, f)
	larger := exampleFile(t)
	larger.Items[0].Quota *= 10
	if _, err := larger.signText(keyFromSeed("Pirate", make([]byte, 32)), larger.unsignedText()); err != nil {
		t.Fatal(err)
	}
	good, forged := f.Certificate(0), larger.Certificate(0)
	tests := map[string]struct {
		change func(*Certificate)
		kind   ErrorKind
	}{
		"the pirate's own key": {func(c *Certificate) { *c = forged }, UnknownKey},
		"under the vendor's key id": {func(c *Certificate) {
			*c = forged
			c.KeyID = acmeKey().ID
		}, BadCertificate},
		"with the vendor's signature": {func(c *Certificate) {
			*c = forged
			c.KeyID, c.Signature = good.KeyID, good.Signature
		}, BadCertificate},
		"larger item in the license":  {func(c *Certificate) { c.Item, c.ItemPath = forged.Item, forged.ItemPath }, BadCertificate},
		"license as an item":          {func(c *Certificate) { c.Item, c.ItemPath, c.ItemIndex = c.License, c.LicensePath, 0 }, BadCertificate},
		"item as a license":           {func(c *Certificate) { c.License, c.LicensePath = c.Item, c.ItemPath }, BadCertificate},
		"another place":               {func(c *Certificate) { c.ItemIndex = 2 }, BadCertificate},
		"another size":                {func(c *Certificate) { c.Size = 2 }, BadCertificate},
		"text signature in its place": {func(c *Certificate) { c.Signature = f.TextSignature }, BadCertificate},
	}
	for name, test := range tests {
		c := good
		test.change(&c)
		if _, _, err := c.Verify(ringOf(t, acmeKey())); KindOf(err) != test.kind {
			t.Errorf("%s: %v, want %s", name, err, test.kind)
		}
	}
}

func TestCertificateAppendFaults(t *testing.T) {
	f := exampleFile(t)
	if _, err := f.Certificate(0).AppendBinary(nil); err == nil {
		t.Error("the certificate of an unsigned file is encoded")
	}
	mustSign(t, f)
	for _, change := range []func(*Certificate){
		func(c *Certificate) { c.KeyID = "0" }, func(c *Certificate) { c.Signature = nil },
		func(c *Certificate) { c.Item = make([]byte, 1<<16) }, func(c *Certificate) { c.ItemPath = make([]Hash, 33) },
	} {
		c := f.Certificate(0)
		change(&c)
		if _, err := c.AppendBinary(nil); err == nil {
			t.Errorf("%+v is encoded", c)
		}
	}
}

// What a vendor of a newer version signed is told as such.
func TestTermsFaults(t *testing.T) {
	f := exampleFile(t)
	item := f.Items[0].terms().appendBinary(nil)
	newer := append([]byte{2}, item[1:]...)
	if _, err := parseItemTerms(newer); KindOf(err) != UnsupportedVersion {
		t.Errorf("%v, want an unsupported version", err)
	}
	flags := append(bytes.Clone(item[:len(item)-1]), 0x80)
	if _, err := parseItemTerms(flags); KindOf(err) != Syntax {
		t.Errorf("%v, want a syntax error for an unknown flag", err)
	}
	for n := range item {
		if _, err := parseItemTerms(item[:n]); err == nil {
			t.Fatalf("the first %d bytes pass for an item", n)
		}
	}
	license := f.terms().appendBinary(nil)
	for n := range license {
		if _, err := parseLicenseTerms(license[:n]); err == nil {
			t.Fatalf("the first %d bytes pass for a license", n)
		}
	}
	license[len(license)-1] = 9
	if _, err := parseLicenseTerms(license); KindOf(err) != Syntax {
		t.Errorf("%v, want a syntax error for binding mode 9", err)
	}
}

// [SRV-1] The UUID commits to every part of the identity.
func TestServerIdentity(t *testing.T) {
	s := ServerIdentity{Mode: BindHardware, SigningKey: bytes.Repeat([]byte{1}, 32), HandshakeKey: [32]byte{2}, MachineDigest: [32]byte{3}}
	data := s.AppendBinary(nil)
	if len(data) != IdentitySize || IdentitySize != 97 {
		t.Errorf("%d bytes", len(data))
	}
	if got := s.UUID().String(); got != "1545951E-4F08-75EF-116D-DD21B06617A1" { // frozen
		t.Errorf("UUID %s", got)
	}
	seen := map[UUID]bool{s.UUID(): true}
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 0x40
		other, rest, err := ParseServerIdentity(append(changed, "rest"...))
		if i == 0 {
			if err == nil {
				t.Errorf("mode %d is accepted", changed[0])
			}
			continue
		}
		if err != nil || string(rest) != "rest" || seen[other.UUID()] {
			t.Fatalf("byte %d: %v, rest %q, UUID known: %t", i, err, rest, seen[other.UUID()])
		}
		seen[other.UUID()] = true
	}
	got, _, err := ParseServerIdentity(data)
	if diff := cmp.Diff(s, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// [SRV-2] A machine digest stands in hardware mode and only there.
func TestServerIdentityFaults(t *testing.T) {
	s := ServerIdentity{Mode: BindKey, SigningKey: make([]byte, 32), MachineDigest: [32]byte{3}}
	withDigest := s.AppendBinary(nil)
	s.Mode, s.MachineDigest = BindHardware, [32]byte{}
	withoutDigest := s.AppendBinary(nil)
	for _, bad := range [][]byte{nil, withDigest, withoutDigest, withDigest[:96]} {
		if _, _, err := ParseServerIdentity(bad); KindOf(err) != Syntax {
			t.Errorf("%v, want a syntax error", err)
		}
	}
}
