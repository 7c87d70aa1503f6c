package license

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"golang.org/x/crypto/argon2"
)

// PrivateKey is a vendor's signing key. It is kept offline; whoever has it can issue licenses.
type PrivateKey struct {
	ID     string // KeyID of its public half
	Vendor string // 1 to 64 printable characters
	Key    ed25519.PrivateKey
}

// GenerateKey makes a signing key from 32 bytes of random, which is crypto/rand.Reader outside of tests.
func GenerateKey(vendor string, random io.Reader) (PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return PrivateKey{}, fmt.Errorf("no randomness for a new vendor key: %w", err)
	}
	k := keyFromSeed(vendor, seed)
	return k, k.Public().check()
}

func keyFromSeed(vendor string, seed []byte) PrivateKey {
	key := ed25519.NewKeyFromSeed(seed)
	return PrivateKey{ID: KeyID(key.Public().(ed25519.PublicKey)), Vendor: vendor, Key: key}
}

// Public is the half to hand out.
func (k PrivateKey) Public() PublicKey {
	return PublicKey{ID: k.ID, Vendor: k.Vendor, Key: k.Key.Public().(ed25519.PublicKey)}
}

// LogValue keeps the key itself out of logs [CLI-8].
func (k PrivateKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("vendor", k.Vendor), slog.String("key_id", k.ID))
}

// String keeps the key itself out of messages [CLI-8].
func (k PrivateKey) String() string { return "vendor key " + k.ID + " of " + k.Vendor }

const (
	privateKeyTitle = "muster vendor private key"
	notEncrypted    = "none"
	saltSize        = 16

	// Bounds of what a key file may ask for, so that opening a strange one cannot take the machine down.
	argonTimeMax      = 64
	argonMemoryMaxKiB = 1 << 20
	argonThreadsMax   = 64
)

// argonCost is what trying one passphrase costs; it stands in the key file.
type argonCost struct {
	time, memoryKiB uint32
	threads         uint8
}

// The second recommended choice of RFC 9106, section 4.
var defaultCost = argonCost{time: 3, memoryKiB: 64 << 10, threads: 4}

const costForm = "argon2id time=%d memory=%dKiB threads=%d, aes-256-gcm"

func (c argonCost) String() string { return fmt.Sprintf(costForm, c.time, c.memoryKiB, c.threads) }

func parseCost(s string) (c argonCost, ok bool) {
	_, err := fmt.Sscanf(s, costForm, &c.time, &c.memoryKiB, &c.threads)
	inBounds := c.time >= 1 && c.time <= argonTimeMax && c.threads >= 1 && c.threads <= argonThreadsMax &&
		c.memoryKiB >= 8*uint32(c.threads) && c.memoryKiB <= argonMemoryMaxKiB
	return c, err == nil && inBounds && c.String() == s
}

// Marshal is the file in which a signing key is kept (mode 0600), encrypted unless the passphrase is empty:
//
//	muster vendor private key
//	Vendor: Acme Inc
//	KeyId: 0f1e2d3c4b5a6978
//	Encryption: none, or the costs of Argon2id, which makes the AES-256-GCM key
//	Salt: 16 bytes in base64, or none
//	PrivateKey: the 32-byte Ed25519 seed in base64; encrypted: nonce (12) ‖ sealed seed (48)
//
// The lines above PrivateKey are the additional data of the seal, so they cannot be altered either.
func (k PrivateKey) Marshal(passphrase []byte, random io.Reader) ([]byte, error) {
	if err := k.Public().check(); err != nil {
		return nil, err
	}
	encode := base64.StdEncoding.EncodeToString
	head := privateKeyTitle + "\nVendor: " + k.Vendor + "\nKeyId: " + k.ID + "\nEncryption: "
	if len(passphrase) == 0 {
		return []byte(head + notEncrypted + "\nSalt: none\nPrivateKey: " + encode(k.Key.Seed()) + "\n"), nil
	}
	salt := make([]byte, saltSize)
	nonce := make([]byte, 12)
	for _, b := range [][]byte{salt, nonce} {
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, fmt.Errorf("no randomness to encrypt the vendor key: %w", err)
		}
	}
	head += defaultCost.String() + "\nSalt: " + encode(salt) + "\n"
	sealed := passphraseSeal(passphrase, salt, defaultCost).Seal(nonce, nonce, k.Key.Seed(), []byte(head))
	return []byte(head + "PrivateKey: " + encode(sealed) + "\n"), nil
}

// ParsePrivateKey reads the form of Marshal. An encrypted key without a passphrase fails with PassphraseNeeded, with a
// wrong one (or with an altered file) with WrongPassphrase.
func ParsePrivateKey(text, passphrase []byte) (PrivateKey, error) {
	lines, bad := splitKeyFile(text, privateKeyTitle, "Vendor", "KeyId", "Encryption", "Salt", "PrivateKey")
	if bad != nil {
		return PrivateKey{}, bad
	}
	seed, err := decodeBase64(lines[4].Value)
	if err != nil {
		return PrivateKey{}, badLine(lines[4], "is not base64; the key file is damaged, so take it from your backup")
	}
	if lines[2].Value != notEncrypted {
		if seed, err = openSeed(lines, seed, passphrase); err != nil {
			return PrivateKey{}, err
		}
	}
	if len(seed) != ed25519.SeedSize {
		return PrivateKey{}, badLine(lines[4], "is not %d bytes long; the key file is damaged, so take it from your backup", ed25519.SeedSize)
	}
	k := keyFromSeed(lines[0].Value, seed)
	if k.ID != lines[1].Value {
		return PrivateKey{}, badLine(lines[1], "%q is not the id of this key, which is %s; the key file was altered, so take it from your backup", lines[1].Value, k.ID)
	}
	return k, k.Public().check()
}

func openSeed(lines []Field, sealed, passphrase []byte) ([]byte, error) {
	cost, ok := parseCost(lines[2].Value)
	if !ok {
		return nil, badLine(lines[2], "is none of the encryptions that this version of muster knows; update muster")
	}
	salt, err := decodeBase64(lines[3].Value)
	if err != nil || len(salt) != saltSize || len(sealed) < 12 {
		return nil, badLine(lines[3], "salt or key has the wrong length; the key file is damaged, so take it from your backup")
	}
	if len(passphrase) == 0 {
		return nil, fault(PassphraseNeeded, "", "the vendor key %s is encrypted; give its passphrase", lines[1].Value)
	}
	var head strings.Builder
	head.WriteString(privateKeyTitle + "\n")
	for _, line := range lines[:4] {
		head.WriteString(line.Name + ": " + line.Value + "\n")
	}
	seed, err := passphraseSeal(passphrase, salt, cost).Open(nil, sealed[:12], sealed[12:], []byte(head.String()))
	if err != nil {
		return nil, fault(WrongPassphrase, "", "the vendor key %s does not open: the passphrase is wrong, or the key file was altered", lines[1].Value)
	}
	return seed, nil
}

func passphraseSeal(passphrase, salt []byte, cost argonCost) cipher.AEAD {
	block, err := aes.NewCipher(argon2.IDKey(passphrase, salt, cost.time, cost.memoryKiB, cost.threads, 32))
	if err != nil {
		panic("license: 32 bytes are an AES-256 key: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("license: AES has a GCM mode: " + err.Error())
	}
	return aead
}
