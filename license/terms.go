package license

import (
	"encoding/binary"
	"math"
)

// termsVersion is the first byte of both leaf encodings. Frozen.
const termsVersion = 1

// LicenseTerms is leaf 0 of a certificate: whose license it is, and which servers may serve it. Its encoding, big-endian:
//
//	version         u8, 1
//	license id      string8 (u8 length, bytes)
//	revision        u32
//	organization id string8
//	servers         u8 count, then 16 bytes each
//	bindings        u8 count, then u8 each: 1 key, 2 hardware
type LicenseTerms struct {
	LicenseID, OrganizationID string
	Revision                  uint32
	ServerUUIDs               []UUID // none while the file is New: then no server can serve it
	Bindings                  []Binding
}

// ItemTerms is leaf i of a certificate, for item i from 1: what a device checks its grant against. Its encoding,
// big-endian:
//
//	version    u8, 1
//	item id    string8 (u8 length, bytes)
//	product    string8
//	versions   u8 count, then u16 each; none = any
//	edition    string8; empty = any
//	deployment string8; empty = any
//	modules    u8 count, then string8 each; none = all
//	charge way u8, the number of ChargeWay
//	start      i64, unix seconds
//	expiry     i64, unix seconds
//	grace      i64, seconds
//	quota      u64
//	flags      u8: bit 0 revoked, the others 0
type ItemTerms struct {
	ID, Product          string
	Versions             []uint16
	Edition, Deployment  string
	Modules              []string
	ChargeWay            ChargeWay
	Start, Expiry, Grace int64 // unix seconds, unix seconds, seconds
	Quota                uint64
	Revoked              bool
}

const flagRevoked = 1 << 0

func (f *File) terms() LicenseTerms {
	return LicenseTerms{
		LicenseID: f.LicenseID, OrganizationID: f.OrganizationID, Revision: f.Revision,
		ServerUUIDs: f.ServerUUIDs, Bindings: f.Bindings,
	}
}

func (it Item) terms() ItemTerms {
	return ItemTerms{
		ID: it.ID, Product: it.Product, Versions: it.Versions, Edition: it.Edition, Deployment: it.Deployment,
		Modules: it.Modules, ChargeWay: it.ChargeWay, Start: it.Start, Expiry: it.Expiry, Grace: it.Grace,
		Quota: it.Quota, Revoked: it.Revoked,
	}
}

func (t LicenseTerms) appendBinary(dst []byte) []byte {
	dst = append(dst, termsVersion)
	dst = appendString8(dst, t.LicenseID)
	dst = binary.BigEndian.AppendUint32(dst, t.Revision)
	dst = appendString8(dst, t.OrganizationID)
	dst = appendLength8(dst, len(t.ServerUUIDs))
	for _, u := range t.ServerUUIDs {
		dst = append(dst, u[:]...)
	}
	dst = appendLength8(dst, len(t.Bindings))
	for _, b := range t.Bindings {
		dst = append(dst, byte(b))
	}
	return dst
}

func parseLicenseTerms(data []byte) (LicenseTerms, error) {
	d := decoder{rest: data}
	d.version(termsVersion)
	t := LicenseTerms{LicenseID: d.string8("license id"), Revision: d.u32("revision"), OrganizationID: d.string8("organization id")}
	for range d.times("servers") {
		var u UUID
		copy(u[:], d.bytes("servers", len(u)))
		t.ServerUUIDs = append(t.ServerUUIDs, u)
	}
	for range d.times("bindings") {
		b := Binding(d.u8("bindings"))
		if b != BindKey && b != BindHardware {
			d.fail("bindings", "%d is not a binding mode", uint8(b))
		}
		t.Bindings = append(t.Bindings, b)
	}
	return t, d.end()
}

func (t ItemTerms) appendBinary(dst []byte) []byte {
	dst = append(dst, termsVersion)
	dst = appendString8(dst, t.ID)
	dst = appendString8(dst, t.Product)
	dst = appendLength8(dst, len(t.Versions))
	for _, v := range t.Versions {
		dst = binary.BigEndian.AppendUint16(dst, v)
	}
	dst = appendString8(dst, t.Edition)
	dst = appendString8(dst, t.Deployment)
	dst = appendLength8(dst, len(t.Modules))
	for _, m := range t.Modules {
		dst = appendString8(dst, m)
	}
	dst = append(dst, byte(t.ChargeWay))
	for _, v := range []uint64{uint64(t.Start), uint64(t.Expiry), uint64(t.Grace), t.Quota} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	var flags byte
	if t.Revoked {
		flags |= flagRevoked
	}
	return append(dst, flags)
}

func parseItemTerms(data []byte) (ItemTerms, error) {
	d := decoder{rest: data}
	d.version(termsVersion)
	t := ItemTerms{ID: d.string8("item id"), Product: d.string8("product")}
	for range d.times("versions") {
		t.Versions = append(t.Versions, d.u16("versions"))
	}
	t.Edition, t.Deployment = d.string8("edition"), d.string8("deployment")
	for range d.times("modules") {
		t.Modules = append(t.Modules, d.string8("modules"))
	}
	if t.ChargeWay = ChargeWay(d.u8("charge way")); !t.ChargeWay.valid() {
		d.fail("charge way", "%d is not a charge way that this version of muster knows", uint8(t.ChargeWay))
	}
	t.Start, t.Expiry, t.Grace = d.time("start"), d.time("expiry"), d.time("grace")
	t.Quota = d.u64("quota")
	flags := d.u8("flags")
	if flags&^flagRevoked != 0 {
		d.fail("flags", "has bits that this version of muster does not know; update muster")
	}
	t.Revoked = flags&flagRevoked != 0
	return t, d.end()
}

// time is an i64 that is neither negative nor so large that adding two of them could overflow.
func (d *decoder) time(field string) int64 {
	v := d.u64(field)
	if v > math.MaxInt64/4 {
		d.fail(field, "lies outside of all time")
		return 0
	}
	return int64(v)
}
