package license

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// ErrorKind tells apart what can be wrong with a license file, a key file, a certificate or a license key, so that an
// HTTP API can answer with a stable word. Its String is that word.
type ErrorKind uint8

// The kinds of error. NotActivated, WrongServer and WrongBinding come from CheckImport alone; AlreadyActivated,
// AliasFixed, UnknownItem, NoChange and TrialSpent from the vendor's side alone.
const (
	TooLarge           ErrorKind = iota + 1 // file over FileSizeMax, or a license key over its cap
	Syntax                                  // a line or a byte that does not belong to the format
	MissingField                            // a required field is not there
	DuplicateField                          // a field that may stand once stands twice
	UnknownField                            // a field that this version does not know
	BadValue                                // a field's value is not allowed
	DuplicateItem                           // two items with the same id
	UnsupportedVersion                      // written in a newer or unknown form
	NotSigned                               // no signature block
	UnknownKey                              // signed by a key that is not in the key ring
	BadSignature                            // the text was changed after it was signed
	BadCertificate                          // the certificate does not fit the text, or its signature or path is wrong
	BadChecksum                             // a license key with a typing error
	NotActivated                            // status New: cannot be imported
	WrongServer                             // activated for other servers
	WrongBinding                            // does not accept the server's binding mode
	AlreadyActivated                        // a second activation
	AliasFixed                              // alias change after activation
	UnknownItem                             // no item of that id in the file
	NoChange                                // a revision that changes nothing
	TrialSpent                              // a trial's one extension is used, or the file is no trial
	PassphraseNeeded                        // the private key is encrypted and no passphrase was given
	WrongPassphrase                         // the private key does not open with this passphrase
)

var errorKindNames = [...]string{
	TooLarge: "too-large", Syntax: "syntax", MissingField: "missing-field", DuplicateField: "duplicate-field",
	UnknownField: "unknown-field", BadValue: "bad-value", DuplicateItem: "duplicate-item",
	UnsupportedVersion: "unsupported-version", NotSigned: "not-signed", UnknownKey: "unknown-key",
	BadSignature: "bad-signature", BadCertificate: "bad-certificate", BadChecksum: "bad-checksum",
	NotActivated: "not-activated", WrongServer: "wrong-server", WrongBinding: "wrong-binding",
	AlreadyActivated: "already-activated", AliasFixed: "alias-fixed", UnknownItem: "unknown-item",
	NoChange: "no-change", TrialSpent: "trial-spent", PassphraseNeeded: "passphrase-needed",
	WrongPassphrase: "wrong-passphrase",
}

// String is the kind in lower case with hyphens, such as "missing-field".
func (k ErrorKind) String() string {
	if int(k) < len(errorKindNames) && errorKindNames[k] != "" {
		return errorKindNames[k]
	}
	return fmt.Sprintf("error-kind-%d", uint8(k))
}

// Error is the error of this package: what is wrong, where, and what can be done. It never holds a password or a
// private key.
type Error struct {
	Kind  ErrorKind
	Line  int    // line of the text, from 1; 0 when no line is meant
	Item  string // id of the item, when one is meant
	Field string // name of the field as the text has it, when one is meant
	Text  string // the sentence

	section int // 0 the header, n the nth item: how a fault finds its line
}

// Error joins the place and the sentence: "line 12: item pro: Quota: …".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Item != "" {
		fmt.Fprintf(&b, "item %s: ", e.Item)
	}
	if e.Field != "" {
		fmt.Fprintf(&b, "%s: ", e.Field)
	}
	b.WriteString(e.Text)
	return b.String()
}

// KindOf is the kind of the first *Error that err wraps, or 0 when it wraps none.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

func fault(kind ErrorKind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Text: fmt.Sprintf(format, args...)}
}

// joinFaults makes one error of several, in the order of the text, one a line.
func joinFaults(faults []*Error) error {
	errs := make([]error, len(faults))
	for i, f := range faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

func byPlace(a, b *Error) int {
	return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.Line, b.Line))
}
