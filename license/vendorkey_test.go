package license

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPublicKeyText(t *testing.T) {
	k := acmeKey().Public()
	text, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{text, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), bytes.TrimSpace(text)} {
		got, err := ParsePublicKey(form)
		if diff := cmp.Diff(k, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	}
	replaced := func(old, replacement string) []byte {
		return bytes.Replace(text, []byte(old), []byte(replacement), 1)
	}
	for name, test := range map[string]struct {
		text []byte
		kind ErrorKind
	}{
		"another file":      {[]byte("LicenseId: x\n"), Syntax},
		"private key":       {replaced(publicKeyTitle, privateKeyTitle), Syntax},
		"no vendor":         {replaced("Vendor: Acme Inc\n", ""), Syntax},
		"cut short":         {replaced("PublicKey", ""), Syntax},
		"without its key":   {text[:bytes.Index(text, []byte("PublicKey"))], MissingField},
		"id of another key": {replaced(k.ID, "0000000000000000"), BadValue},
		"key changed":       {replaced("PublicKey: 6", "PublicKey: 7"), BadValue},
		"key too short":     {replaced("PublicKey: 6kps", "PublicKey: "), BadValue},
		"something behind":  {append(bytes.Clone(text), "more: x\n"...), Syntax},
		"vendor empty":      {replaced("Acme Inc", ""), BadValue},
		"too large":         {append(bytes.Clone(text), make([]byte, keyFileMax)...), TooLarge},
		"binary":            {[]byte{0, 1, 2}, Syntax},
	} {
		if _, err := ParsePublicKey(test.text); KindOf(err) != test.kind {
			t.Errorf("%s: %v, want %s", name, err, test.kind)
		}
	}
}

// [FILE-5]
func TestKeyRing(t *testing.T) {
	older, newer := acmeKey(), keyFromSeed("Acme Inc", make([]byte, 32))
	other := keyFromSeed("Aaa Ltd", bytes.Repeat([]byte{1}, 32))
	ring := ringOf(t, older, newer, other, older)
	var vendors []string
	for _, k := range ring.List() {
		vendors = append(vendors, k.Vendor)
	}
	if strings.Join(vendors, ",") != "Aaa Ltd,Acme Inc,Acme Inc" {
		t.Errorf("%v", vendors)
	}
	renamed := older.Public()
	renamed.Vendor = "Acme Holding"
	if err := ring.Add(renamed); KindOf(err) != BadValue {
		t.Errorf("%v: a trusted key changed its vendor", err)
	}
	if err := ring.Add(PublicKey{Vendor: "x"}); err == nil {
		t.Error("an empty key is trusted")
	}
	if (*KeyRing)(nil).List() != nil {
		t.Error("nil trusts somebody")
	}
}

// [FILE-4]
func TestPrivateKeyText(t *testing.T) {
	k, err := GenerateKey("Acme Inc", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, passphrase := range []string{"", "correct horse"} {
		text, err := k.Marshal([]byte(passphrase), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePrivateKey(text, []byte(passphrase))
		if diff := cmp.Diff(k, got); err != nil || diff != "" {
			t.Errorf("passphrase %q: %v %s", passphrase, err, diff)
		}
	}
	if _, err := GenerateKey("", rand.Reader); KindOf(err) != BadValue {
		t.Errorf("%v: a vendor without name has a key", err)
	}
	if _, err := GenerateKey("x", strings.NewReader("short")); err == nil {
		t.Error("a key was made without randomness")
	}
}

func TestPrivateKeyFaults(t *testing.T) {
	text, err := acmeKey().Marshal([]byte("correct horse"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := acmeKey().Marshal(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	replaced := func(text []byte, old, replacement string) []byte {
		return bytes.Replace(text, []byte(old), []byte(replacement), 1)
	}
	for name, test := range map[string]struct {
		text       []byte
		passphrase string
		kind       ErrorKind
	}{
		"no passphrase":     {text, "", PassphraseNeeded},
		"wrong passphrase":  {text, "correct horsf", WrongPassphrase},
		"vendor altered":    {replaced(text, "Acme Inc", "Acme Ltd"), "correct horse", WrongPassphrase},
		"unbounded memory":  {replaced(text, "memory=65536", "memory=4194304"), "correct horse", BadValue},
		"no passes":         {replaced(text, "time=3", "time=0"), "correct horse", BadValue},
		"other encryption":  {replaced(text, "argon2id", "scrypt"), "correct horse", BadValue},
		"salt cut":          {replaced(text, "Salt: ", "Salt: AAAA"), "correct horse", BadValue},
		"public key":        {replaced(plain, privateKeyTitle, publicKeyTitle), "", Syntax},
		"seed cut":          {replaced(plain, "PrivateKey: BwcH", "PrivateKey: "), "", BadValue},
		"seed not base64":   {replaced(plain, "PrivateKey: BwcH", "PrivateKey: *"), "", BadValue},
		"id of another key": {replaced(plain, acmeKey().ID, "0000000000000000"), "", BadValue},
	} {
		if _, err := ParsePrivateKey(test.text, []byte(test.passphrase)); KindOf(err) != test.kind {
			t.Errorf("%s: %v, want %s", name, err, test.kind)
		}
	}
}

// [CLI-8] Neither log nor message shows a private key.
func TestPrivateKeyIsNotShown(t *testing.T) {
	k := acmeKey()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("signed", "key", k)
	shown := log.String() + fmt.Sprintf("%v %s", k, k)
	if seed := fmt.Sprint([]byte(k.Key.Seed())); strings.Contains(shown, seed[1:20]) || !strings.Contains(shown, k.ID) {
		t.Errorf("shown: %s", shown)
	}
}
