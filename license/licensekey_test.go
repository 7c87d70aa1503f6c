package license

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleKey() LicenseKey {
	main, standby := [32]byte{1}, [32]byte{2}
	return LicenseKey{
		ProjectID: "100200300-1", OrganizationID: "100200300", Password: "pä sswörd",
		Addresses: []Address{
			{Transport: "tcp", HostPort: "license.example:8443", HandshakeKey: main},
			{Transport: "udp", HostPort: "license.example:8443", HandshakeKey: main},
			{Transport: "https", HostPort: "[2001:db8::1]:443", Standby: true, HandshakeKey: standby},
		},
	}
}

// [PRJ-3] One word that a double click selects, and that says all there is to say.
func TestLicenseKey(t *testing.T) {
	bare := exampleKey()
	bare.ProjectID, bare.Password, bare.Addresses = "", "", bare.Addresses[:1]
	for _, k := range []LicenseKey{exampleKey(), bare} {
		s := k.String()
		if !regexp.MustCompile(`^muster1[a-z2-7]+$`).MatchString(s) {
			t.Errorf("%q is not one word", s)
		}
		for _, form := range []string{s, "  " + s + "\r\n", strings.ToUpper(s)} {
			got, err := ParseLicenseKey(form)
			if diff := cmp.Diff(k, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		}
	}
	golden(t, "licensekey.txt", []byte(exampleKey().String()+"\n"))
}

// [PRJ-3] Any typing error is told as one.
func TestLicenseKeyTypingErrors(t *testing.T) {
	s := exampleKey().String()
	for i := len(licenseKeyHead); i < len(s); i++ {
		for _, c := range []string{"a", "7", "z", "0", "", " ", "\n"} {
			typed := s[:i] + c + s[i+1:]
			if typed == s || strings.TrimSpace(typed) == s {
				continue
			}
			if _, err := ParseLicenseKey(typed); KindOf(err) != BadChecksum {
				t.Fatalf("character %d as %q: %v, want a bad checksum", i, c, err)
			}
		}
		if _, err := ParseLicenseKey(s[:i]); KindOf(err) != BadChecksum {
			t.Fatalf("cut after %d: %v, want a bad checksum", i, err)
		}
	}
}

func summed(body []byte) string {
	return licenseKeyHead + keyEncoding.EncodeToString(binary.BigEndian.AppendUint32(body, crc32.ChecksumIEEE(body)))
}

func TestLicenseKeyFaults(t *testing.T) {
	body := exampleKey().appendBinary(nil)
	body = body[:len(body)-4]
	flags := append([]byte{0x81}, body[1:]...)
	// No password, organization "a", two handshake keys of which one is in use, one address.
	unused := append([]byte{0, 0, 1, 'a', 2}, make([]byte, 64)...)
	unused = append(unused, 1, 1, 0, 3, 'h', ':', '1')
	for name, test := range map[string]struct {
		key  string
		kind ErrorKind
	}{
		"empty":             {"", Syntax},
		"another string":    {"https://license.example", Syntax},
		"newer prefix":      {"muster2" + exampleKey().String()[7:], UnsupportedVersion},
		"newer flag":        {summed(flags), UnsupportedVersion},
		"cut, sum right":    {summed(bytes.Clone(body[:20])), Syntax},
		"more, sum right":   {summed(append(bytes.Clone(body), 0)), Syntax},
		"keys without use":  {summed(unused), Syntax},
		"too large":         {licenseKeyHead + strings.Repeat("a", licenseKeyMax), TooLarge},
		"nothing but a sum": {summed(nil), Syntax},
	} {
		if _, err := ParseLicenseKey(test.key); KindOf(err) != test.kind {
			t.Errorf("%s: %v, want %s", name, err, test.kind)
		}
	}
}

// What no key can say has no string, and the reason does not hold the password. [CLI-8]
func TestLicenseKeyCheck(t *testing.T) {
	tests := map[string]func(*LicenseKey){
		"project of another organization": func(k *LicenseKey) { k.ProjectID = "9-1" }, // 122
		"project without suffix":          func(k *LicenseKey) { k.ProjectID = "100200300-" },
		"no organization":                 func(k *LicenseKey) { k.OrganizationID = "" },
		"long password":                   func(k *LicenseKey) { k.Password = strings.Repeat("secret", 30) },
		"password that is not text":       func(k *LicenseKey) { k.Password = "secret\xff" },
		"no address":                      func(k *LicenseKey) { k.Addresses = nil },
		"17 addresses":                    func(k *LicenseKey) { k.Addresses = make([]Address, 17) },
		"transport":                       func(k *LicenseKey) { k.Addresses[0].Transport = "quic" },
		"empty transport":                 func(k *LicenseKey) { k.Addresses[0].Transport = "" },
		"no port":                         func(k *LicenseKey) { k.Addresses[0].HostPort = "license.example" },
		"port 0":                          func(k *LicenseKey) { k.Addresses[0].HostPort = "license.example:0" },
		"named port":                      func(k *LicenseKey) { k.Addresses[0].HostPort = "license.example:https" },
		"no host":                         func(k *LicenseKey) { k.Addresses[0].HostPort = ":443" },
	}
	for name, change := range tests {
		k := exampleKey()
		change(&k)
		err := k.Check()
		if KindOf(err) != BadValue || k.String() != "" {
			t.Errorf("%s: %v, string %q", name, err, k.String())
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sswörd") {
			t.Errorf("%s: the password is in %q", name, err)
		}
	}
}

// [CLI-8] Logs carry no session password and no key.
func TestLicenseKeyLog(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "key", exampleKey())
	for _, secret := range []string{"sswörd", "muster1", fmt.Sprint(exampleKey().Addresses[0].HandshakeKey)} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s holds %q", log.String(), secret)
		}
	}
	if !strings.Contains(log.String(), "100200300-1") {
		t.Errorf("%s does not say which project", log.String())
	}
}
