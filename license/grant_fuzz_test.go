package license

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"muster/internal/allocation"
)

// The saved seeds are made of the example batch; -update-license writes them anew.
func TestGrantSeeds(t *testing.T) {
	w := newGrantWorld(t)
	proof, err := w.proof.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	alone := newGrantWorld(t)
	alone.grants = alone.grants[2:3]
	alone.seal()
	for target, seeds := range map[string]map[string][]byte{
		"FuzzParseGrant":  {"example": w.leaves[2], "zero": new(Grant).AppendBinary(nil)},
		"FuzzParseProof":  {"example": proof},
		"FuzzVerifyGrant": {"of-five": w.signed(2), "alone": alone.signed(0), "another-device": w.signed(1)},
	} {
		for name, value := range seeds {
			golden(t, filepath.Join("fuzz", target, name), fmt.Appendf(nil, "go test fuzz v1\n[]byte(%q)\n", value))
		}
	}
}

// A leaf that is read is written as the same bytes: there is one form. [CLI-1]
func FuzzParseGrant(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		var g *Grant
		var err error
		allocation.Within(t, 4*len(data)+smallBytes, func() { g, err = ParseGrant(data) })
		if err != nil {
			if !errors.Is(err, ErrGrant) || g != nil {
				t.Fatalf("%v beside %v", g, err)
			}
			return
		}
		if again := g.AppendBinary(nil); !bytes.Equal(data, again) {
			t.Fatalf("%x is written %x", data, again)
		}
	})
}

// A proof that is read is written as the same bytes, and verifies no grant
// unless it is the vendor's. [CLI-2]
func FuzzParseProof(f *testing.F) {
	w := newGrantWorld(f)
	signed, ring := w.signed(2), ringOf(f, acmeKey())
	genuine, err := w.proof.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p *Proof
		var err error
		allocation.Within(t, 4*len(data)+smallBytes, func() { p, err = ParseProof(data) })
		if err != nil {
			return
		}
		again, err := p.AppendBinary(nil)
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("%x is written %x, %v", data, again, err)
		}
		if _, err := p.Verify(signed, grantClient, grantWanted, ring); err == nil && !bytes.Equal(data, genuine) {
			t.Fatal("a proof that the vendor did not sign verifies a grant")
		}
	})
}

// Nothing verifies but what the server signed for this device. [CLI-2]
func FuzzVerifyGrant(f *testing.F) {
	w := newGrantWorld(f)
	ring := ringOf(f, acmeKey())
	alone := newGrantWorld(f)
	alone.grants = alone.grants[2:3]
	alone.seal()
	genuine := [][]byte{w.signed(2), alone.signed(0)}
	f.Fuzz(func(t *testing.T, data []byte) {
		var g *Grant
		var err error
		allocation.Within(t, 4*len(data)+smallBytes, func() { g, err = w.proof.Verify(data, grantClient, grantWanted, ring) })
		switch known := bytes.Equal(data, genuine[0]) || bytes.Equal(data, genuine[1]); {
		case known && err != nil:
			t.Fatalf("a genuine grant: %v", err)
		case !known && (!errors.Is(err, ErrGrant) || g != nil):
			t.Fatalf("%x verifies: %v, %v", data, g, err)
		}
	})
}
