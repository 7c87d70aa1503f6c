package sim

import (
	"crypto/rand"

	"muster/license"
)

// Vendor signs license files.
type Vendor struct{ Key license.PrivateKey }

// NewVendor makes a vendor with a fresh key.
func NewVendor(name string) (Vendor, error) {
	key, err := license.GenerateKey(name, rand.Reader)
	return Vendor{key}, err
}

// Ring holds the vendor's public key alone.
func (v Vendor) Ring() (*license.KeyRing, error) {
	ring := &license.KeyRing{}
	return ring, ring.Add(v.Key.Public())
}

// Terms are what a vendor writes into a license file.
type Terms struct {
	Header   []license.Field   // as [license.Draft] takes it
	Items    [][]license.Field // each with the fields of a license text
	Revision uint32            // 0: the first
	Servers  []license.UUID
	Issued   int64 // unix seconds
	// Activated is 0 when it is the moment of issue; a later revision repeats it.
	Activated int64
}

// Issue drafts, activates and signs a license file, and returns its text.
func (v Vendor) Issue(t Terms) ([]byte, error) {
	file, err := license.Draft(t.Header, t.Items, t.Issued)
	if err != nil {
		return nil, err
	}
	if t.Activated == 0 {
		t.Activated = t.Issued
	}
	if file, err = license.Activate(file, t.Servers, t.Activated); err != nil {
		return nil, err
	}
	file.Revision = max(1, t.Revision)
	return file.Sign(v.Key)
}
