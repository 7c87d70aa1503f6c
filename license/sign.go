package license

import (
	"crypto/ed25519"
	"math"
	"slices"
	"strings"
)

// Draft makes an unsigned file of status New and revision 1 [FILE-4]. The header may give LicenseId, Alias,
// OrganizationID, Bindings and Trial; the items have the fields of a license text. at is the moment of issue, unix
// seconds UTC. The error lists every fault, one *Error a line.
func Draft(header []Field, items [][]Field, at int64) (*File, error) {
	var faults []*Error
	for _, field := range header {
		if !slices.Contains([]string{"LicenseId", "Alias", "OrganizationID", "Bindings", "Trial"}, field.Name) {
			faults = append(faults, fault(UnknownField, field.Name, "is not a field of a draft's header; it may give LicenseId, Alias, OrganizationID, Bindings and Trial"))
		}
	}
	if len(faults) > 0 {
		return nil, joinFaults(faults)
	}
	all := slices.Concat(header, []Field{
		{Name: "LicenseTextVersion", Value: textVersion}, {Name: "LicenseStatus", Value: New.String()},
		{Name: "Revision", Value: "1"}, {Name: "Issued", Value: FormatTime(at)},
	})
	sections := make([]section, len(items))
	for i, fields := range items {
		sections[i] = section{fields: fields}
		if len(fields) > 0 {
			sections[i].line = fields[0].Line
		}
	}
	f, faults := assemble(section{fields: all}, sections)
	if len(faults) > 0 {
		slices.SortStableFunc(faults, byPlace)
		return nil, joinFaults(faults)
	}
	return f, nil
}

// SetAlias renames a file while it is New; afterwards it fails with AliasFixed [FILE-2].
func (f *File) SetAlias(alias string) error {
	if f.Status != New {
		return fault(AliasFixed, "Alias", "license %s is activated, and its alias %q is fixed since; choose the alias before activation", f.LicenseID, f.Alias)
	}
	if !printable(alias, 100) {
		return fault(BadValue, "Alias", "is one line of 1 to 100 printable characters, without blanks at its ends")
	}
	f.Alias = alias
	return nil
}

// Activate makes of a New file an unsigned Activated one for 1 to 5 servers; at is in unix seconds UTC. Without an alias
// it gets DefaultAlias.
func Activate(f *File, servers []UUID, at int64) (*File, error) {
	if f.Status != New {
		return nil, fault(AlreadyActivated, "LicenseStatus", "license %s was activated at %s; to bind it to other servers, make a new revision of it", f.LicenseID, FormatTime(f.Activated))
	}
	next := f.unsigned()
	next.Status, next.Activated, next.ServerUUIDs = Activated, at, slices.Clone(servers)
	if next.Alias == "" {
		next.Alias = DefaultAlias(f.LicenseID, at)
	}
	return next.checked()
}

// Change is what a revision changes [FILE-3]. The zero value of a field leaves things as they are.
type Change struct {
	Alias       string    // while New only [FILE-2]
	ServerUUIDs []UUID    // rebinds: these instead of those before
	Bindings    []Binding // these instead of those before
	Items       []ItemChange
	Add         []Item // appended
}

// ItemChange is what a revision changes of one item. A nil field stays.
type ItemChange struct {
	ID      string
	Quota   *uint64
	Expiry  *int64 // unix seconds UTC
	Revoked *bool
}

// Revise makes the next, unsigned revision of a file; at is in unix seconds UTC. It fails with NoChange when nothing
// would be different.
func Revise(f *File, change Change, at int64) (*File, error) {
	next := f.unsigned()
	if change.Alias != "" && change.Alias != f.Alias {
		if err := next.SetAlias(change.Alias); err != nil {
			return nil, err
		}
	}
	if len(change.ServerUUIDs) > 0 {
		if f.Status != Activated {
			return nil, fault(NotActivated, "ServerUUID", "license %s is bound to no server yet; activate it instead", f.LicenseID)
		}
		next.ServerUUIDs = slices.Clone(change.ServerUUIDs)
	}
	if len(change.Bindings) > 0 {
		next.Bindings = slices.Clone(change.Bindings)
	}
	for _, c := range change.Items {
		if err := next.changeItem(c); err != nil {
			return nil, err
		}
	}
	next.Items = append(next.Items, change.Add...)
	if slices.Equal(next.unsignedText(), f.unsignedText()) {
		return nil, fault(NoChange, "", "nothing would change in license %s; say what the revision is for", f.LicenseID)
	}
	return next.nextRevision(at)
}

func (f *File) changeItem(c ItemChange) error {
	i := slices.IndexFunc(f.Items, func(it Item) bool { return it.ID == c.ID })
	if i < 0 {
		return fault(UnknownItem, "ItemId", "license %s has no item %q; it has %s", f.LicenseID, c.ID, f.itemIDs())
	}
	it := &f.Items[i]
	if c.Quota != nil {
		it.Quota = *c.Quota
	}
	if c.Expiry != nil {
		it.Expiry = *c.Expiry
	}
	if c.Revoked != nil {
		it.Revoked = *c.Revoked
	}
	return nil
}

func (f *File) itemIDs() string {
	ids := make([]string, len(f.Items))
	for i, it := range f.Items {
		ids[i] = it.ID
	}
	return strings.Join(ids, ", ")
}

// ExtendTrial makes the next, unsigned revision of a trial, all items TrialExtensionDays longer. The file remembers it: a
// second time fails with TrialSpent [FILE-4].
func ExtendTrial(f *File, at int64) (*File, error) {
	switch f.Trial {
	case NotTrial:
		return nil, fault(TrialSpent, "Trial", "license %s is not a trial; move its expiry with a revision", f.LicenseID)
	case TrialExtended:
		return nil, fault(TrialSpent, "Trial", "the one extension of trial %s is used; issue a full license", f.LicenseID)
	}
	next := f.unsigned()
	next.Trial = TrialExtended
	for i := range next.Items {
		next.Items[i].Expiry += TrialExtensionDays * day
	}
	return next.nextRevision(at)
}

func (f *File) nextRevision(at int64) (*File, error) {
	if f.Revision == math.MaxUint32 {
		return nil, fault(BadValue, "Revision", "license %s has no revision numbers left; issue a new license", f.LicenseID)
	}
	f.Revision++
	f.Issued = at
	return f.checked()
}

// unsigned is a copy that can be changed without touching f, and that no signature claims to cover.
func (f *File) unsigned() *File {
	next := *f
	next.Items = slices.Clone(f.Items)
	next.Vendor, next.KeyID, next.TextSignature, next.CertificateRoot = "", "", nil, Hash{}
	next.CertificateSignature, next.SignedText = nil, nil
	return &next
}

func (f *File) checked() (*File, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	return f, nil
}

// Sign checks the file's terms, signs text and certificate, fills in what Parse would, and returns the file's text. What
// Sign returns, Parse reads back as an equal File. Files of status New are signed too, so that nobody can alter a draft.
func (f *File) Sign(k PrivateKey) ([]byte, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	return f.signText(k, f.unsignedText())
}

func (f *File) signText(k PrivateKey, text []byte) ([]byte, error) {
	_, tree := f.certificateTree()
	f.Vendor, f.KeyID = k.Vendor, k.ID
	f.SignedText = text
	f.TextSignature = ed25519.Sign(k.Key, tagged(tagFileText, text))
	f.CertificateRoot = tree.Root()
	f.CertificateSignature = ed25519.Sign(k.Key, certificateMessage(f.CertificateRoot, uint32(tree.Len())))
	signed, err := f.MarshalText()
	if err == nil && len(signed) > FileSizeMax {
		return nil, fault(TooLarge, "", "license %s would have %d bytes; the limit is %d, so split it into two licenses", f.LicenseID, len(signed), FileSizeMax)
	}
	return signed, err
}
