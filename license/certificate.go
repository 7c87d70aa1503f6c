package license

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
)

// Certificate is what a device gets of a license file with its first grant: the license's leaf, its item's leaf, and the
// proof that the vendor signed both [CLI-2]. With one item it is under 400 bytes. Its encoding, big-endian:
//
//	version      u8, 1
//	key id       8 bytes
//	size         u32, number of leaves: items + 1
//	item index   u32, the item's leaf: 1 for the first item
//	license      u16 length, bytes: LicenseTerms
//	item         u16 length, bytes: ItemTerms
//	license path u8 count, then 32 bytes each, from the leaf upwards
//	item path    u8 count, then 32 bytes each
//	signature    64 bytes: Ed25519 over "muster license certificate 1\x00" ‖ root (32) ‖ size (u32)
//
// The tree is that of RFC 6962: a leaf's hash is SHA-256(0x00 ‖ leaf), a node's SHA-256(0x01 ‖ left ‖ right).
type Certificate struct {
	KeyID                 string
	Size                  uint32 // leaves of the tree
	License               []byte // leaf 0, an encoded LicenseTerms
	Item                  []byte // leaf ItemIndex, an encoded ItemTerms
	ItemIndex             uint32 // 1..Size-1
	LicensePath, ItemPath []Hash
	Signature             []byte // 64 bytes
}

const (
	certificateVersion = 1
	keyIDSize          = 8
	pathMax            = 32
)

// certificateTree is the encoded leaves and their tree.
func (f *File) certificateTree() (leaves [][]byte, tree *Tree) {
	tree = new(Tree)
	leaves = append(leaves, f.terms().appendBinary(nil))
	for _, it := range f.Items {
		leaves = append(leaves, it.terms().appendBinary(nil))
	}
	for _, leaf := range leaves {
		tree.Add(LeafHash(leaf))
	}
	return leaves, tree
}

// Certificate is the certificate of Items[itemIndex] of a parsed or signed file [CLI-2]. It panics when there is no such
// item. It hashes all items: for many certificates of one file call Certificates, once.
func (f *File) Certificate(itemIndex int) Certificate {
	leaves, tree := f.certificateTree()
	return f.certificate(leaves, tree, itemIndex)
}

// Certificates is the certificates of all items, in their order.
func (f *File) Certificates() []Certificate {
	leaves, tree := f.certificateTree()
	all := make([]Certificate, len(f.Items))
	for i := range f.Items {
		all[i] = f.certificate(leaves, tree, i)
	}
	return all
}

func (f *File) certificate(leaves [][]byte, tree *Tree, itemIndex int) Certificate {
	leaf := itemIndex + 1
	return Certificate{
		KeyID: f.KeyID, Size: uint32(tree.Len()),
		License: leaves[0], Item: leaves[leaf], ItemIndex: uint32(leaf),
		LicensePath: tree.Path(0, nil), ItemPath: tree.Path(leaf, nil),
		Signature: slices.Clone(f.CertificateSignature),
	}
}

// AppendBinary appends the encoding of c to dst. It fails when a part of c has a length that the encoding cannot hold.
func (c Certificate) AppendBinary(dst []byte) ([]byte, error) {
	id, err := hex.DecodeString(c.KeyID)
	switch {
	case err != nil || !validKeyID(c.KeyID):
		return nil, fmt.Errorf("certificate: %q is not a key id", c.KeyID)
	case max(len(c.License), len(c.Item)) > math.MaxUint16:
		return nil, fmt.Errorf("certificate: a leaf has more than %d bytes", math.MaxUint16)
	case max(len(c.LicensePath), len(c.ItemPath)) > pathMax:
		return nil, fmt.Errorf("certificate: a path has more than %d hashes", pathMax)
	case len(c.Signature) != ed25519.SignatureSize:
		return nil, fmt.Errorf("certificate: a signature of %d bytes; sign the license file first", len(c.Signature))
	}
	dst = append(append(dst, certificateVersion), id...)
	dst = binary.BigEndian.AppendUint32(dst, c.Size)
	dst = binary.BigEndian.AppendUint32(dst, c.ItemIndex)
	for _, leaf := range [][]byte{c.License, c.Item} {
		dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(leaf))), leaf...)
	}
	for _, path := range [][]Hash{c.LicensePath, c.ItemPath} {
		dst = append(dst, byte(len(path)))
		for _, h := range path {
			dst = append(dst, h[:]...)
		}
	}
	return append(dst, c.Signature...), nil
}

// ParseCertificate reads the form of AppendBinary. The result keeps nothing of data and is not verified.
func ParseCertificate(data []byte) (Certificate, error) {
	d := decoder{rest: bytes.Clone(data)}
	d.version(certificateVersion)
	c := Certificate{KeyID: hex.EncodeToString(d.bytes("key id", keyIDSize))}
	c.Size, c.ItemIndex = d.u32("size"), d.u32("item index")
	c.License = d.bytes("license", int(d.u16("license")))
	c.Item = d.bytes("item", int(d.u16("item")))
	c.LicensePath = d.path("license path")
	c.ItemPath = d.path("item path")
	c.Signature = d.bytes("signature", ed25519.SignatureSize)
	if err := d.end(); err != nil {
		return Certificate{}, err
	}
	return c, nil
}

func (d *decoder) path(field string) (path []Hash) {
	n := int(d.u8(field))
	if n > pathMax {
		d.fail(field, "has %d hashes; at most %d are possible", n, pathMax)
		return nil
	}
	for range n {
		path = append(path, d.array32(field))
	}
	return path
}

// Verify checks that a trusted vendor signed both leaves as parts of one license, and only then reads them [CLI-2]. The
// kinds of error are UnknownKey and BadCertificate, and Syntax or UnsupportedVersion when a newer vendor signed what this
// version cannot read. What remains for the caller: the server's UUID is among ServerUUIDs, its mode among Bindings, and
// the grant is within the ItemTerms.
func (c Certificate) Verify(ring *KeyRing) (LicenseTerms, ItemTerms, error) {
	if err := c.verifySignature(ring); err != nil {
		return LicenseTerms{}, ItemTerms{}, err
	}
	terms, err := parseLicenseTerms(c.License)
	if err != nil {
		return LicenseTerms{}, ItemTerms{}, err
	}
	item, err := parseItemTerms(c.Item)
	if err != nil {
		return LicenseTerms{}, ItemTerms{}, err
	}
	return terms, item, nil
}

func (c Certificate) verifySignature(ring *KeyRing) error {
	key, ok := ring.Lookup(c.KeyID)
	if !ok {
		return fault(UnknownKey, "", "the certificate is signed by vendor key %s, which is not trusted here; build the application with that vendor key", c.KeyID)
	}
	if c.ItemIndex == 0 {
		return fault(BadCertificate, "", "the certificate shows the license's leaf as an item")
	}
	root, err := RootFromPath(LeafHash(c.License), 0, c.Size, c.LicensePath)
	if err != nil {
		return err
	}
	itemRoot, err := RootFromPath(LeafHash(c.Item), c.ItemIndex, c.Size, c.ItemPath)
	if err != nil {
		return err
	}
	if itemRoot != root || !ed25519.Verify(key.Key, certificateMessage(root, c.Size), c.Signature) {
		return fault(BadCertificate, "", "the certificate does not stand under the signature of %s; the server that sent it serves an altered license", key.Vendor)
	}
	return nil
}
