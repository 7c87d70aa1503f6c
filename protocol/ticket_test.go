package protocol

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
	"testing/cryptotest"
)

func TestTicketFields(t *testing.T) {
	ticket := MakeTicket(&exampleTicketKey, 0x01020304, 0x05060708, 0x090a, 0x0b0c, [8]byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18})
	if got := hex.EncodeToString(ticket[:20]); got != "0102030405060708090a0b0c1112131415161718" {
		t.Errorf("the ticket begins with %s", got)
	}
	if ticket.Epoch() != 0x01020304 || ticket.Expires() != 0x05060708 || ticket.Project() != 0x090a || ticket.PasswordGeneration() != 0x0b0c {
		t.Errorf("epoch %x, expires %x, project %x, password generation %x", ticket.Epoch(), ticket.Expires(), ticket.Project(), ticket.PasswordGeneration())
	}
}

// A ticket that was altered in any bit, or made under another key, is not genuine.
func TestTicketTag(t *testing.T) {
	if !exampleTicket.Genuine(&exampleTicketKey) {
		t.Error("the genuine one is refused")
	}
	if exampleTicket.Genuine(&[32]byte{1}) {
		t.Error("it is genuine under another key")
	}
	for bit := range TicketBytes * 8 {
		altered := exampleTicket
		altered[bit/8] ^= 1 << (bit % 8)
		if altered.Genuine(&exampleTicketKey) {
			t.Errorf("bit %d altered, and it is genuine", bit)
		}
	}
}

// The derivation that is written out on the stack is HKDF-Expand.
func TestDeriveKeysIsHKDF(t *testing.T) { // RFC 5869 §2.3
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var key [32]byte
		var ticket Ticket
		for i := range key {
			key[i] = byte(rng.Uint32())
		}
		for i := range ticket {
			ticket[i] = byte(rng.Uint32())
		}
		want, err := hkdf.Expand(sha256.New, key[:], ticketKeysInfo+string(ticket[:]), 32)
		if err != nil {
			t.Fatal(err)
		}
		got := DeriveKeys(&key, &ticket)
		if !bytes.Equal(got.Up[:], want[:16]) || !bytes.Equal(got.Down[:], want[16:]) {
			t.Fatalf("ticket %x under %x: %x and %x, want %x", ticket, key, got.Up, got.Down, want)
		}
	}
}

// Nonces are handed out once each, over the end of a block and over Freshen.
func TestNoncesDiffer(t *testing.T) {
	var n Nonces
	seen := map[[NonceBytes]byte]bool{}
	for i := range 5 * noncesPerBlock {
		if i%100 == 0 {
			n.Freshen(int64(i / 200))
		}
		nonce := *n.Next()
		if seen[nonce] {
			t.Fatalf("nonce %d, %x, was there before", i, nonce)
		}
		seen[nonce] = true
	}
}

// A copy of a running process repeats no nonce in another second than the one in
// which it was copied.
func TestFreshenParsCopies(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	var n Nonces
	n.Freshen(10)
	n.Next()
	duplicate := n
	if *n.Next() != *duplicate.Next() {
		t.Fatal("a copy within the second is expected to go on alike, or this test shows nothing")
	}
	n.Freshen(11)
	duplicate.Freshen(11)
	if *n.Next() == *duplicate.Next() {
		t.Error("the copy repeats nonces in the second after")
	}
}
