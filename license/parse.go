package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"slices"
)

// Parse reads a license file and believes nothing of it: form, fields and their relations, then the signing key, the
// signature over the text, and the certificate [FILE-1]. trusted holds the vendor keys to believe [FILE-5]. The error is
// an *Error about the first thing found wrong. A file may be New: before an import ask CheckImport.
//
// The fields are read before the signature is checked, so that a person who edited a file learns which line is wrong; no
// file is returned in either case.
func Parse(data []byte, trusted *KeyRing) (*File, error) {
	f, err := ParseUnverified(data)
	if err != nil {
		return nil, err
	}
	if err := f.verify(trusted); err != nil {
		return nil, err
	}
	return f, nil
}

// ParseUnverified is Parse without the check of any signature: for looking at a file, never for using it.
func ParseUnverified(data []byte) (*File, error) {
	text, bad := normalize(data)
	if bad != nil {
		return nil, bad
	}
	parts, bad := splitText(text)
	if bad != nil {
		return nil, bad
	}
	f, faults := assemble(parts.header, parts.items)
	if len(faults) > 0 {
		return nil, slices.MinFunc(faults, byPlace)
	}
	if bad := f.readBlock(parts.block); bad != nil {
		return nil, bad
	}
	f.SignedText = parts.signed
	return f, nil
}

func (f *File) readBlock(block section) *Error {
	f.KeyID = block.fields[0].Value
	if !validKeyID(f.KeyID) {
		e := fault(BadValue, "KeyId", "is 16 hexadecimal digits in lower case")
		e.Line = block.fields[0].Line
		return e
	}
	var values [3][]byte
	for i, size := range []int{ed25519.SignatureSize, len(Hash{}), ed25519.SignatureSize} {
		field := block.fields[i+1]
		value, err := decodeBase64(field.Value)
		if err != nil || len(value) != size {
			e := fault(BadValue, field.Name, "is not %d bytes in base64; the file is damaged, so ask the vendor for it again", size)
			e.Line = field.Line
			return e
		}
		values[i] = value
	}
	f.TextSignature, f.CertificateRoot, f.CertificateSignature = values[0], Hash(values[1]), values[2]
	return nil
}

// decodeBase64 takes each value in one form only: padded, and no stray bits at the end.
func decodeBase64(s string) ([]byte, error) { return base64.StdEncoding.Strict().DecodeString(s) }

// verify checks both signatures and fills in the vendor.
func (f *File) verify(trusted *KeyRing) error {
	key, ok := trusted.Lookup(f.KeyID)
	if !ok {
		return fault(UnknownKey, "KeyId", "the file is signed by key %s, which is not trusted here; add that vendor key, or ask the vendor which key signed the file", f.KeyID)
	}
	if !ed25519.Verify(key.Key, tagged(tagFileText, f.SignedText), f.TextSignature) {
		return fault(BadSignature, "TextSignature", "the file was changed after %s signed it; ask for the original, and send it as an attachment", key.Vendor)
	}
	_, tree := f.certificateTree()
	signed := certificateMessage(f.CertificateRoot, uint32(tree.Len()))
	if tree.Root() != f.CertificateRoot || !ed25519.Verify(key.Key, signed, f.CertificateSignature) {
		return fault(BadCertificate, "CertificateSignature", "the certificate does not fit the text of the file; ask %s for the file again", key.Vendor)
	}
	f.Vendor = key.Vendor
	return nil
}

// certificateMessage is what the vendor signs beside the text: tag ‖ root ‖ number of leaves (u32, big-endian).
func certificateMessage(root Hash, size uint32) []byte {
	return binary.BigEndian.AppendUint32(tagged(tagCertificate, root[:]), size)
}

// MarshalText is the file as it was parsed or signed, in normal form: line feeds, no byte order mark, nothing after the
// signature block. It does not look at fields that were changed since; Sign does.
func (f *File) MarshalText() ([]byte, error) {
	if len(f.SignedText) == 0 {
		return nil, fault(NotSigned, "", "license %s is not signed; sign it first", f.LicenseID)
	}
	text := slices.Clone(f.SignedText)
	add := func(line string) { text = append(append(text, line...), '\n') }
	encode := base64.StdEncoding.EncodeToString
	add(beginLine)
	add("KeyId: " + f.KeyID)
	add("TextSignature: " + encode(f.TextSignature))
	add("CertificateRoot: " + encode(f.CertificateRoot[:]))
	add("CertificateSignature: " + encode(f.CertificateSignature))
	add(endLine)
	return text, nil
}
