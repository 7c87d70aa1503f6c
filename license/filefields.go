package license

import (
	"math"
	"strconv"
)

// textVersion is the LicenseTextVersion that this package writes, and the only one that it reads.
const textVersion = "2.0"

// headerFields is the grammar of the lines above LicenseItems.
var headerFields = []fieldRule[File]{
	textField("LicenseId", required, func(f *File) *string { return &f.LicenseID }),
	textField("Alias", optional, func(f *File) *string { return &f.Alias }),
	{
		name: "LicenseTextVersion", required: true,
		read:  func(*File, string) error { return nil }, // see checkTextVersion
		write: func(*File) []string { return one(textVersion, true) },
	},
	textField("OrganizationID", required, func(f *File) *string { return &f.OrganizationID }),
	{
		name: "LicenseStatus", required: true,
		read: func(f *File, s string) (err error) {
			f.Status, err = fromName[Status](statusNames, s, "status")
			return err
		},
		write: func(f *File) []string { return one(f.Status.String(), true) },
	},
	{
		name: "Revision", required: true,
		read: func(f *File, s string) error {
			n, err := parseCountUpTo(s, math.MaxUint32)
			f.Revision = uint32(n)
			return err
		},
		write: func(f *File) []string { return one(strconv.FormatUint(uint64(f.Revision), 10), true) },
	},
	{
		name: "Trial",
		read: func(f *File, s string) (err error) {
			f.Trial, err = fromName[Trial](trialNames, s, "trial")
			return err
		},
		write: func(f *File) []string { return one(f.Trial.String(), f.Trial != NotTrial) },
	},
	timeField("Issued", required, false, func(f *File) *int64 { return &f.Issued }),
	timeField("Activated", optional, false, func(f *File) *int64 { return &f.Activated }),
	{
		name: "ServerUUID", many: true,
		read: func(f *File, s string) error {
			u, err := ParseUUID(s)
			f.ServerUUIDs = append(f.ServerUUIDs, u)
			return err
		},
		write: func(f *File) (lines []string) {
			for _, u := range f.ServerUUIDs {
				lines = append(lines, u.String())
			}
			return lines
		},
	},
	listField("Bindings", func(f *File) *[]Binding { return &f.Bindings }, ParseBinding),
}

// checkTextVersion comes before all else: of a text in another version no field can be trusted to mean what it says.
func checkTextVersion(header section) *Error {
	for _, field := range header.fields {
		if field.Name == "LicenseTextVersion" && field.Value != textVersion {
			e := fault(UnsupportedVersion, field.Name, "this version of muster reads license text version %s, not %q; update muster or ask the vendor for a file in that version", textVersion, field.Value)
			e.Line = field.Line
			return e
		}
	}
	return nil
}

// assemble makes a file of its sections and lists every fault, in the order of the text.
func assemble(header section, items []section) (*File, []*Error) {
	f := new(File)
	if e := checkTextVersion(header); e != nil {
		return f, []*Error{e}
	}
	faults := readFields(headerFields, f, header)
	for i, from := range items {
		it, more := readItem(from)
		for _, e := range more {
			e.section = i + 1
		}
		f.Items = append(f.Items, it)
		faults = append(faults, more...)
	}
	semantic := unreported(f.check(), faults)
	for _, e := range semantic {
		at := header
		if e.section > 0 {
			at = items[e.section-1]
		}
		e.Line = at.lineOf(e.Field)
	}
	return f, append(faults, semantic...)
}
