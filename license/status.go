package license

import (
	"fmt"
	"slices"
	"strings"
)

// Status is a license file's state [FILE-1].
type Status uint8

// A file is New until its vendor activates it for a server; only then can it be imported.
const (
	New Status = iota + 1
	Activated
)

// String is "New" or "Activated", as in the file.
func (s Status) String() string { return named(statusNames, s, "status") }

// Binding is how a server's identity is tied down [SRV-2]. The numbers are frozen: they stand in certificates and go
// into the server UUID.
type Binding uint8

// BindKey ties to the server's keys alone (containers, clusters); BindHardware also to the machine.
const (
	BindKey      Binding = 1
	BindHardware Binding = 2
)

// String is "key" or "hardware", as in the file.
func (b Binding) String() string { return named(bindingNames, b, "binding") }

// ParseBinding reads the form of String.
func ParseBinding(s string) (Binding, error) {
	return fromName[Binding](bindingNames, s, "binding mode")
}

// MarshalText is String as bytes.
func (b Binding) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is ParseBinding into b.
func (b *Binding) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBinding(string(text))
	return err
}

// Trial marks a trial license and remembers, under the signature, whether its one extension was given [FILE-4].
type Trial uint8

// NotTrial is an ordinary license; its file has no Trial line.
const (
	NotTrial      Trial = iota
	TrialFirst          // at most TrialDays long
	TrialExtended       // at most TrialDays + TrialExtensionDays long; cannot be extended again
)

// String is "first" or "extended", as in the file, and "none" for an ordinary license.
func (t Trial) String() string { return named(trialNames, t, "trial") }

var (
	statusNames  = []string{"", "New", "Activated"}
	bindingNames = []string{"", "key", "hardware"}
	trialNames   = []string{"none", "first", "extended"}
)

func named[T ~uint8](names []string, v T, kind string) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%s-%d", kind, uint8(v))
}

// fromName reads a name; the value 0 has none that may be written.
func fromName[T ~uint8](names []string, s, kind string) (T, error) {
	if i := slices.Index(names[1:], s); i >= 0 {
		return T(i + 1), nil
	}
	return 0, fmt.Errorf("%q is not a %s; choose one of %s", s, kind, strings.Join(names[1:], ", "))
}
