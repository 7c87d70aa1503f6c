package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Fact is a digest of one thing that identifies a machine; the zero value means
// that it could not be read.
type Fact [32]byte

// The facts, in this order [SRV-2].
const (
	MachineID = iota
	CPU
	BoardSerial
	MAC
	count
)

// MarshalText implements encoding.TextMarshaler, in hex.
func (f Fact) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, f[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Fact) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(f) {
		return fmt.Errorf("machine fact of %d hex digits, expected %d", len(text), 2*len(f))
	}
	_, err := hex.Decode(f[:], text)
	return err
}

// Facts are what was read of one machine.
type Facts [count]Fact

// Read reads this machine's facts.
func Read() Facts {
	raw := read()
	var f Facts
	for i, value := range raw {
		if value = strings.TrimSpace(value); value != "" {
			f[i] = sha256.Sum256([]byte("muster machine fact v1\x00" + string(rune('0'+i)) + value))
		}
	}
	return f
}

var names = [count]string{"machine-id", "CPU", "board serial", "MAC"}

// Known is how many facts could be read.
func (f Facts) Known() int { return count - len(f.Missing()) }

// Missing names the facts that could not be read.
func (f Facts) Missing() (missing []string) {
	for i, fact := range f {
		if fact == (Fact{}) {
			missing = append(missing, names[i])
		}
	}
	return missing
}

// Matching is how many facts are known and the same in both.
func (f Facts) Matching(other Facts) (n int) {
	for i := range f {
		if f[i] != (Fact{}) && f[i] == other[i] {
			n++
		}
	}
	return n
}

// Same says whether two readings are of one machine: all known facts but one
// are the same, and at least two of them [SRV-2]. A new network card kills nothing.
func (f Facts) Same(other Facts) bool {
	return f.Matching(other) >= max(f.Known()-1, 2)
}

// Digest commits to all facts.
func (f Facts) Digest() [32]byte {
	h := sha256.New()
	h.Write([]byte("muster machine v1\x00"))
	for i := range f {
		h.Write(f[i][:])
	}
	return [32]byte(h.Sum(nil))
}
