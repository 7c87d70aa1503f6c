package protocol

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// The handshake is one HPKE message in base mode (RFC 9180: X25519, HKDF-SHA256,
// AES-128-GCM) to the handshake key that the license key names, and a reply
// keyed from its exporter as in RFC 9458 §4.4. Who can answer holds the
// server's private key; the session password travels sealed.
const (
	helloInfo       = "muster hello v1"
	helloExport     = "muster hello reply v1"
	helloEncBytes   = 32
	helloNonceBytes = 16
	helloKeyBytes   = 16
	// MaxHello bounds what follows a Hello's header, in bytes: two ids, a password
	// and room to grow.
	MaxHello = 2048
)

// ErrHello means that a Hello or its reply does not open: another server's key,
// or altered bytes.
var ErrHello = errors.New("handshake: does not open (made for another server's key, or altered)")

// Hello asks for a ticket. Project or Organization names what for [CLI-1].
type Hello struct {
	Project      string
	Organization string
	Password     string
	UUID         []byte // client UUID, so that a refusal can be recorded [STAT-4]; may be empty
}

// HelloReply carries the ticket and its keys, or a refusal.
type HelloReply struct {
	Code     Code
	Ticket   []byte // 24 bytes
	Up, Down []byte // 16 bytes each
	Time     uint64 // server's clock, unix milliseconds
}

// suite returns the KDF and AEAD of the handshake.
func suite() (hpke.KDF, hpke.AEAD) { return hpke.HKDFSHA256(), hpke.AES128GCM() }

// HandshakeKey is the server's X25519 key pair for handshakes.
type HandshakeKey struct {
	private hpke.PrivateKey
	public  [32]byte
}

// NewHandshakeKey makes the pair from its 32 private bytes.
func NewHandshakeKey(private []byte) (*HandshakeKey, error) {
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("handshake key: %w", err)
	}
	p, err := hpke.NewDHKEMPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("handshake key: %w", err)
	}
	return &HandshakeKey{private: p, public: [32]byte(key.PublicKey().Bytes())}, nil
}

// Public returns the 32 bytes that license keys carry [PRJ-3].
func (k *HandshakeKey) Public() [32]byte { return k.public }

// PendingHello is the client's side of a handshake under way.
type PendingHello struct {
	sender *hpke.Sender
	enc    []byte
}

// AppendHello appends a Hello record for the server with the given handshake key.
func AppendHello(dst []byte, server [32]byte, h *Hello) ([]byte, *PendingHello, error) {
	pub, err := ecdh.X25519().NewPublicKey(server[:])
	if err != nil {
		return dst, nil, fmt.Errorf("handshake: the license key's server key: %w", err)
	}
	kemKey, err := hpke.NewDHKEMPublicKey(pub)
	if err != nil {
		return dst, nil, fmt.Errorf("handshake: the license key's server key: %w", err)
	}
	kdf, aead := suite()
	enc, sender, err := hpke.NewSender(kemKey, kdf, aead, []byte(helloInfo))
	if err != nil {
		return dst, nil, fmt.Errorf("handshake: %w", err)
	}
	plain, err := marshal(h)
	if err != nil {
		return dst, nil, fmt.Errorf("handshake: encode: %w", err)
	}
	sealed, err := sender.Seal(nil, plain)
	if err != nil {
		return dst, nil, fmt.Errorf("handshake: %w", err)
	}
	return appendRecord(dst, TypeHello, enc, sealed), &PendingHello{sender, enc}, nil
}

// marshal encodes a struct as a msgpack array of its fields.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.UseArrayEncodedStructs(true)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func appendRecord(dst []byte, kind byte, parts ...[]byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, HeaderBytes)...)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	putHeader(dst[start:], kind, len(dst)-start-HeaderBytes)
	return dst
}

// AnsweredHello is the server's side: an opened Hello that awaits its reply.
type AnsweredHello struct {
	Hello
	recipient *hpke.Recipient
	enc       []byte
}

// OpenHello opens a whole Hello record. It costs two scalar multiplications:
// call it on a worker, never on an event loop.
func OpenHello(key *HandshakeKey, rec []byte) (*AnsweredHello, error) {
	body := rec[HeaderBytes:]
	if len(body) > MaxHello {
		return nil, fmt.Errorf("handshake: %d bytes, at most %d are accepted: %w", len(body), MaxHello, ErrLength)
	}
	kdf, aead := suite()
	enc := bytes.Clone(body[:helloEncBytes])
	recipient, err := hpke.NewRecipient(enc, key.private, kdf, aead, []byte(helloInfo))
	if err != nil {
		return nil, ErrHello
	}
	plain, err := recipient.Open(nil, body[helloEncBytes:])
	if err != nil {
		return nil, ErrHello
	}
	a := &AnsweredHello{recipient: recipient, enc: enc}
	return a, decodeHello(plain, &a.Hello)
}

func decodeHello(plain []byte, h *Hello) error {
	c := cursor{b: plain}
	fields := c.array("hello")
	h.Project = string(c.blob(MaxString, "project"))
	h.Organization = string(c.blob(MaxString, "organization"))
	h.Password = string(c.blob(MaxString, "password"))
	h.UUID = c.blob(16, "client uuid")
	if len(h.UUID) != 0 && len(h.UUID) != 16 {
		c.fail("client uuid")
	}
	return c.endHandshake(fields, 4, "hello")
}

// endHandshake ends the decoding of a handshake's one array: fields beyond those
// known are passed over, bytes behind the array are a fault.
func (c *cursor) endHandshake(fields, known int, name string) error {
	if fields < known {
		c.fail(name)
	}
	c.skip(fields-known, "trailing fields")
	if c.fault == "" && c.at < len(c.b) {
		c.fail(name)
	}
	if c.fault != "" {
		return &MalformedError{Field: c.fault}
	}
	return nil
}

// AppendReply appends the HelloReply record.
func (a *AnsweredHello) AppendReply(dst []byte, reply *HelloReply) ([]byte, error) {
	secret, err := a.recipient.Export(helloExport, helloKeyBytes)
	if err != nil {
		return dst, fmt.Errorf("handshake: export: %w", err)
	}
	plain, err := marshal(reply)
	if err != nil {
		return dst, fmt.Errorf("handshake: encode reply: %w", err)
	}
	nonce := make([]byte, helloNonceBytes)
	rand.Read(nonce)
	gcm, gcmNonce, err := replyCipher(secret, a.enc, nonce)
	if err != nil {
		return dst, err
	}
	return appendRecord(dst, TypeHelloReply, nonce, gcm.Seal(nil, gcmNonce, plain, nil)), nil
}

// OpenReply opens a whole HelloReply record.
func (p *PendingHello) OpenReply(rec []byte) (*HelloReply, error) {
	body := rec[HeaderBytes:]
	secret, err := p.sender.Export(helloExport, helloKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("handshake: export: %w", err)
	}
	gcm, gcmNonce, err := replyCipher(secret, p.enc, body[:helloNonceBytes])
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, gcmNonce, body[helloNonceBytes:], nil)
	if err != nil {
		return nil, ErrHello
	}
	return decodeHelloReply(plain)
}

func decodeHelloReply(plain []byte) (*HelloReply, error) {
	c := cursor{b: plain}
	fields := c.array("hello reply")
	r := &HelloReply{Code: Code(c.uint16("code"))}
	r.Ticket = c.secret(r.Code, TicketBytes, "ticket")
	r.Up, r.Down = c.secret(r.Code, helloKeyBytes, "up key"), c.secret(r.Code, helloKeyBytes, "down key")
	r.Time = c.uint("time")
	if err := c.endHandshake(fields, 5, "hello reply"); err != nil {
		return nil, err
	}
	return r, nil
}

// secret reads a ticket or key of size bytes, which only a refusal may lack.
func (c *cursor) secret(code Code, size int, field string) []byte {
	b := c.blob(size, field)
	if code == OK && len(b) != size {
		c.fail(field)
	}
	return b
}

// replyCipher keys the reply as RFC 9458 §4.4 does.
func replyCipher(secret, enc, nonce []byte) (cipher.AEAD, []byte, error) {
	salt := append(bytes.Clone(enc), nonce...)
	prk, err := hkdf.Extract(sha256.New, secret, salt)
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: reply key: %w", err)
	}
	key, err := hkdf.Expand(sha256.New, prk, "key", helloKeyBytes)
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: reply key: %w", err)
	}
	gcmNonce, err := hkdf.Expand(sha256.New, prk, "nonce", NonceBytes)
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: reply nonce: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, nil, fmt.Errorf("handshake: reply key: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	return gcm, gcmNonce, err
}

// Session makes the client's session from a successful reply.
func (r *HelloReply) Session() *Session {
	return NewClientSession(Ticket(r.Ticket), Keys{Up: [16]byte(r.Up), Down: [16]byte(r.Down)})
}
