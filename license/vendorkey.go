package license

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// PublicKey is a vendor key as servers and applications hold it.
type PublicKey struct {
	ID     string // KeyID of Key
	Vendor string // 1 to 64 printable characters; all keys of one vendor have the same
	Key    ed25519.PublicKey
}

// KeyID is the name of a vendor key: the first 8 bytes of SHA-256(tag ‖ key) in lower-case hexadecimal.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(tagged(tagVendorKeyID, key))
	return hex.EncodeToString(sum[:8])
}

func validKeyID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 16 && s == strings.ToLower(s)
}

const (
	publicKeyTitle = "muster vendor key"
	keyFileMax     = 16 << 10 // bytes
)

// MarshalText is the file in which a public key travels:
//
//	muster vendor key
//	Vendor: Acme Inc
//	KeyId: 0f1e2d3c4b5a6978
//	PublicKey: 32 bytes in base64
func (k PublicKey) MarshalText() ([]byte, error) {
	if err := k.check(); err != nil {
		return nil, err
	}
	return []byte(publicKeyTitle + "\nVendor: " + k.Vendor + "\nKeyId: " + k.ID +
		"\nPublicKey: " + base64.StdEncoding.EncodeToString(k.Key) + "\n"), nil
}

// ParsePublicKey reads the form of MarshalText, and checks that the key id is that of the key.
func ParsePublicKey(text []byte) (PublicKey, error) {
	lines, bad := splitKeyFile(text, publicKeyTitle, "Vendor", "KeyId", "PublicKey")
	if bad != nil {
		return PublicKey{}, bad
	}
	key, err := decodeBase64(lines[2].Value)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return PublicKey{}, badLine(lines[2], "is not %d bytes in base64; get the key file from the vendor again", ed25519.PublicKeySize)
	}
	k := PublicKey{ID: lines[1].Value, Vendor: lines[0].Value, Key: key}
	if err := k.check(); err != nil {
		return PublicKey{}, err
	}
	return k, nil
}

func (k PublicKey) check() error {
	switch {
	case !printable(k.Vendor, 64):
		return fault(BadValue, "Vendor", "is one line of 1 to 64 printable characters, without blanks at its ends")
	case len(k.Key) != ed25519.PublicKeySize:
		return fault(BadValue, "PublicKey", "has %d bytes instead of %d", len(k.Key), ed25519.PublicKeySize)
	case k.ID != KeyID(k.Key):
		return fault(BadValue, "KeyId", "%q is not the id of this key, which is %s; the key file was altered, so get it from the vendor again", k.ID, KeyID(k.Key))
	}
	return nil
}

func badLine(line Field, format string, args ...any) *Error {
	e := fault(BadValue, line.Name, format, args...)
	e.Line = line.Line
	return e
}

// splitKeyFile takes apart a key file: its title, then the lines named, in that order and no others.
func splitKeyFile(text []byte, title string, names ...string) ([]Field, *Error) {
	if len(text) > keyFileMax {
		return nil, fault(TooLarge, "", "the key file has %d bytes; the limit is %d, so this is probably another file", len(text), keyFileMax)
	}
	text, bad := normalize(text)
	if bad != nil {
		bad.Text = "a byte that no key file has; the file is damaged or is not a key file"
		return nil, bad
	}
	lines := strings.Split(strings.TrimRight(string(text), " \n"), "\n")
	if lines[0] != title {
		return nil, &Error{Kind: Syntax, Line: 1, Text: "the file does not begin with \"" + title + "\"; choose the right key file"}
	}
	fields := make([]Field, len(names))
	for i, name := range names {
		if i+1 >= len(lines) {
			return nil, missing(name, "the key file is cut short")
		}
		field, bad := splitField(lines[i+1], i+2)
		if bad != nil {
			return nil, bad
		}
		if field.Name != name {
			return nil, &Error{Kind: Syntax, Line: i + 2, Text: "here stands \"" + name + ": …\" in a key file"}
		}
		fields[i] = field
	}
	if len(lines) > len(names)+1 {
		return nil, &Error{Kind: Syntax, Line: len(names) + 2, Text: "nothing may follow the last line of a key file"}
	}
	return fields, nil
}

// KeyRing is the vendor keys that a server or an application trusts; the key id of a file picks one [FILE-5]. The zero
// value and nil trust nobody. Lookup and List may be called from several goroutines once all keys are added.
type KeyRing struct {
	byID map[string]PublicKey
}

// Add trusts a key. Adding it a second time changes nothing; the same key under another vendor name is refused.
func (r *KeyRing) Add(k PublicKey) error {
	if err := k.check(); err != nil {
		return err
	}
	if before, ok := r.byID[k.ID]; ok && (before.Vendor != k.Vendor || !before.Key.Equal(k.Key)) {
		return fault(BadValue, "KeyId", "key %s is already trusted as %q; remove that one first", k.ID, before.Vendor)
	}
	if r.byID == nil {
		r.byID = make(map[string]PublicKey)
	}
	r.byID[k.ID] = k
	return nil
}

// Lookup is the key of an id, if it is trusted.
func (r *KeyRing) Lookup(id string) (PublicKey, bool) {
	if r == nil {
		return PublicKey{}, false
	}
	k, ok := r.byID[id]
	return k, ok
}

// List is all keys, by vendor and then by id.
func (r *KeyRing) List() []PublicKey {
	if r == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(r.byID), func(a, b PublicKey) int {
		return strings.Compare(a.Vendor+"\x00"+a.ID, b.Vendor+"\x00"+b.ID)
	})
}
