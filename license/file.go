package license

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Limits of a license file.
const (
	FileSizeMax = 1 << 20 // bytes
	ItemsMax    = 1000
	ServersMax  = 5 // main, standbys, cluster nodes

	TrialDays          = 30 // from an item's Start to the end of its grace [FILE-4]
	TrialExtensionDays = 15
	TrialQuotaMax      = 10_000
)

// File is a license file [FILE-1]. Draft, Activate and Revise make one for the vendor, Parse one that is signed.
type File struct {
	LicenseID      string // [A-Za-z0-9_-]{1,32}
	Alias          string // 1 to 100 printable characters; may be empty while New [FILE-2]
	OrganizationID string // [A-Za-z0-9_-]{1,32}
	Revision       uint32 // from 1; the higher one replaces the lower [FILE-3]
	Status         Status
	Trial          Trial
	Issued         int64     // when this revision was written, unix seconds UTC
	Activated      int64     // when the license was activated, unix seconds UTC; 0 while New
	ServerUUIDs    []UUID    // 1 to 5 when activated, none while New
	Bindings       []Binding // accepted binding modes, at least one [SRV-2]
	Items          []Item    // 1 to 1000

	// The rest is filled in by Parse and Sign, and cleared by whatever makes an unsigned file.

	Vendor               string // vendor of the key that signed, by the key ring; rotated keys share it [FILE-5]
	KeyID                string // of the signature block
	TextSignature        []byte // Ed25519, 64 bytes
	CertificateRoot      Hash
	CertificateSignature []byte // Ed25519, 64 bytes
	SignedText           []byte // the text above the block as it was signed: LF ends, no byte order mark, comments kept
}

// Check lists all that is wrong with the file's terms, one *Error a line. It looks at no signature.
func (f *File) Check() error { return joinFaults(f.check()) }

func (f *File) check() []*Error {
	faults := slices.Concat(f.checkHeader(), f.checkActivation())
	ordinals := make(map[string]int, len(f.Items)) // of the first item of each id
	for i, it := range f.Items {
		if _, ok := ordinals[it.ID]; !ok {
			ordinals[it.ID] = i
		}
	}
	for i, it := range f.Items {
		more := slices.Concat(it.check(), f.checkItemInFile(i, ordinals), f.checkTrial(it))
		for _, e := range more {
			e.Item, e.section = it.ID, i+1
		}
		faults = append(faults, more...)
	}
	return faults
}

func (f *File) checkHeader() (faults []*Error) {
	bad := func(field, format string, args ...any) {
		faults = append(faults, fault(BadValue, field, format, args...))
	}
	id := func(field, value string) {
		if value == "" {
			faults = append(faults, missing(field, "the field is required"))
		} else if !token(value, 32, "_-") {
			bad(field, "%q is not an id; use 1 to 32 of A-Z a-z 0-9 _ -", value)
		}
	}
	id("LicenseId", f.LicenseID)
	id("OrganizationID", f.OrganizationID)
	if f.Alias != "" && !printable(f.Alias, 100) {
		bad("Alias", "is one line of 1 to 100 printable characters, without blanks at its ends")
	}
	if f.Revision == 0 {
		bad("Revision", "begins at 1")
	}
	if f.Issued <= 0 || f.Issued > timeMax {
		bad("Issued", "lies outside the years 1970 to 9999")
	}
	if n := len(f.Items); n == 0 {
		faults = append(faults, missing("LicenseItems", "a license has at least one item"))
	} else if n > ItemsMax {
		faults = append(faults, tooManyItems(n))
	}
	return append(faults, f.checkBindings()...)
}

func tooManyItems(n int) *Error {
	return fault(BadValue, "LicenseItems", "there are %d items or more; at most %d are allowed, so split the license", n, ItemsMax)
}

func (f *File) checkBindings() []*Error {
	const choose = "say key, hardware or both"
	if len(f.Bindings) == 0 {
		return []*Error{missing("Bindings", choose)}
	}
	known := !slices.ContainsFunc(f.Bindings, func(b Binding) bool { return b != BindKey && b != BindHardware })
	if !known || len(f.Bindings) > 2 || len(f.Bindings) == 2 && f.Bindings[0] == f.Bindings[1] {
		return []*Error{fault(BadValue, "Bindings", "a mode is unknown or stands twice; %s", choose)}
	}
	return nil
}

// checkActivation holds the fields together that are there when activated and only then.
func (f *File) checkActivation() (faults []*Error) {
	add := func(e *Error) { faults = append(faults, e) }
	servers := len(f.ServerUUIDs)
	switch f.Status {
	case New:
		if f.Activated != 0 {
			add(fault(BadValue, "Activated", "stands in a file whose status is New"))
		}
		if servers > 0 {
			add(fault(BadValue, "ServerUUID", "stands in a file whose status is New"))
		}
	case Activated:
		if f.Alias == "" {
			add(missing("Alias", "an activated file has one"))
		}
		if f.Activated <= 0 || f.Activated > timeMax {
			add(missing("Activated", "an activated file says since when"))
		}
		if servers == 0 {
			add(missing("ServerUUID", "an activated file names 1 to 5 servers"))
		} else if servers > ServersMax {
			add(fault(BadValue, "ServerUUID", "%d servers are named; at most %d are allowed", servers, ServersMax))
		}
	default:
		add(fault(BadValue, "LicenseStatus", "is New or Activated"))
	}
	for i, u := range f.ServerUUIDs[:min(servers, ServersMax)] {
		if slices.Contains(f.ServerUUIDs[:i], u) {
			add(fault(BadValue, "ServerUUID", "%s stands twice", u))
		}
	}
	return faults
}

// checkTrial keeps a trial a trial, whatever revision of it is made [FILE-4].
func (f *File) checkTrial(it Item) (faults []*Error) {
	days := int64(TrialDays)
	switch f.Trial {
	case NotTrial:
		return nil
	case TrialFirst:
	case TrialExtended:
		days += TrialExtensionDays
	default:
		return []*Error{fault(BadValue, "Trial", "is first or extended")}
	}
	if it.Expiry-it.Start > days*day-it.Grace {
		faults = append(faults, fault(BadValue, "Expiry", "with its grace, a trial lasts at most %d days; issue a full license for more", days))
	}
	if it.Quota > TrialQuotaMax {
		faults = append(faults, fault(BadValue, "Quota", "is at most %d in a trial", TrialQuotaMax))
	}
	return faults
}

// checkItemInFile looks at what item i says of other items: its id must be its own, and what it depends on must be
// there, without going round in a circle.
func (f *File) checkItemInFile(i int, ordinals map[string]int) []*Error {
	if it := f.Items[i]; it.ID != "" && ordinals[it.ID] != i {
		return []*Error{fault(DuplicateItem, "ItemId", "stands twice in this file; item ids are unique")}
	}
	for at, steps := i, 0; ; steps++ {
		wanted, here := f.dependsHere(f.Items[at])
		if !here {
			return nil
		}
		next, ok := ordinals[wanted]
		switch {
		case !ok && at == i:
			return []*Error{fault(BadValue, "DependsOn", "there is no item %q in this file; name one, or LicenseId/ItemId of another file", wanted)}
		case !ok || steps > len(f.Items): // the fault of another item
			return nil
		case next == i:
			return []*Error{fault(BadValue, "DependsOn", "the items depend on each other in a circle, so none could ever be used")}
		}
		at = next
	}
}

// dependsHere is the item of this same file that it depends on, if it does.
func (f *File) dependsHere(it Item) (id string, here bool) {
	license, item, slash := strings.Cut(it.DependsOn, "/")
	if !slash {
		return it.DependsOn, it.DependsOn != ""
	}
	return item, license == f.LicenseID
}

// CheckImport tells whether a server may import the file: it is activated, for this server's UUID, and accepts the
// server's binding mode [FILE-1], [SRV-2]. The kinds are NotActivated, WrongServer and WrongBinding.
func (f *File) CheckImport(server UUID, mode Binding) error {
	switch {
	case f.Status != Activated:
		return fault(NotActivated, "LicenseStatus", "license %s is %s, not activated; send the server UUID %s to the vendor and import the file that comes back", f.LicenseID, f.Status, server)
	case !slices.Contains(f.ServerUUIDs, server):
		return fault(WrongServer, "ServerUUID", "license %s is activated for %s, but this server is %s; import it there, or ask the vendor for a revision that names this server", f.LicenseID, joinUUIDs(f.ServerUUIDs), server)
	case !slices.Contains(f.Bindings, mode):
		return fault(WrongBinding, "Bindings", "license %s does not accept the binding mode of this server, %s; ask the vendor for a revision that does", f.LicenseID, mode)
	}
	return nil
}

func joinUUIDs(list []UUID) string {
	parts := make([]string, len(list))
	for i, u := range list {
		parts[i] = u.String()
	}
	return strings.Join(parts, ", ")
}

// DefaultAlias is DM_{LicenseId}_Date{YYYYMMDD of activation} [FILE-2]; at is in unix seconds UTC.
func DefaultAlias(licenseID string, at int64) string {
	return fmt.Sprintf("DM_%s_Date%s", licenseID, time.Unix(at, 0).UTC().Format("20060102"))
}
