package sim_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/license"
	"muster/protocol"
)

// answer is what a device got to a request.
type answer struct {
	protocol.Answer
	request protocol.Request
	grant   *license.Grant // verified, nil if there is none
}

// verify checks a grant with nothing but the vendor's public key, as a device
// does [CLI-2], and that it says what every grant has to.
func (r *runner) verify(d *device, through string, a *protocol.Answer) (*license.Grant, error) {
	if a.Kind != protocol.KindGranted {
		return nil, nil
	}
	proof, err := license.ParseProof(a.Certificate)
	if err != nil {
		return nil, err
	}
	ring := &license.KeyRing{}
	for _, v := range r.vendors {
		if err := ring.Add(v.Key.Public()); err != nil {
			return nil, err
		}
	}
	g, err := proof.Verify(a.Grant, d.uuid, wanted(&d.asks), ring)
	switch {
	case err != nil:
		return nil, err
	case g.Item != a.Item || a.Time != uint64(r.decided.UnixMilli()) || g.Issued != r.decided.Unix() || g.ActiveUntil <= g.Issued:
		return nil, fmt.Errorf("the grant is of item %d, from %d to %d; the answer says item %d at %d ms", g.Item, g.Issued, g.ActiveUntil, a.Item, a.Time)
	}
	d.modules = g.Modules
	return g, nil
}

// wanted is what a check-in asks for, as its device verifies the grant.
func wanted(in *protocol.CheckIn) *license.Wanted {
	w := &license.Wanted{
		Product: string(in.Product), Version: in.Version, Edition: string(in.Edition), Deployment: string(in.Deployment), ChargeWay: license.ChargeWay(in.ChargeWay),
	}
	for _, m := range in.Modules {
		w.Modules = append(w.Modules, string(m))
	}
	return w
}

// compare holds an answer against what a statement expects; nothing expected is
// plain success.
func (r *runner) compare(want string, a *answer) error {
	err := errors.New("is another answer")
	kind, rest, _ := strings.Cut(want, " ")
	switch {
	case want == "" && (a.Kind == protocol.KindGranted || a.Kind == protocol.KindAccepted && a.Seq == a.request.Seq):
		err = nil
	case kind == "granted" && a.Kind == protocol.KindGranted:
		err = r.compareGrant(rest, a)
	case kind == "refused" && a.Kind == protocol.KindRefused:
		err = compareRefusal(rest, a)
	default:
		if want == a.String() {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("answered %q, expected %q: %w", a, want, err)
	}
	return nil
}

// compareGrant holds a grant against such as "ITEM for 30d with 1D, QR". What
// is not said may be anything, except that grace and first use have to be said.
func (r *runner) compareGrant(want string, a *answer) error {
	item, rest, _ := strings.Cut(want, " ")
	g, flags := a.grant, license.GrantFlags(0)
	err := phrases(rest,
		says(`until TIME`, func(m []string) error {
			at, err := parseTime(m[1])
			return errors.Join(err, same("until", g.ActiveUntil, at.Unix()))
		}),
		says(`for WORD`, func(m []string) error {
			d, err := parseDuration(m[1])
			return errors.Join(err, same("until", g.ActiveUntil, r.decided.Add(d).Unix()))
		}),
		says(`N instances?`, func(m []string) error { return same("instances", strconv.Itoa(int(g.Instances)), m[1]) }),
		says(`in grace`, func([]string) error { flags |= license.GrantInGrace; return nil }),
		says(`from first use`, func([]string) error { flags |= license.GrantFirstUse; return nil }),
		says(`through WORD`, func(m []string) error {
			p, err := r.projectNow(m[1])
			if err != nil {
				return err
			}
			return same("project", g.Project, p.ID)
		}),
		says(`with LIST`, func(m []string) error { return same("modules", moduleNames(g), m[1]) }),
	)
	return errors.Join(err, sameItem(item, g.LicenseID+"/"+g.ItemID), same("flags", g.Flags, flags))
}

func compareRefusal(want string, a *answer) error {
	code, item, named := strings.Cut(want, " ")
	err := same("code", strconv.Itoa(int(a.Code)), code)
	if named {
		err = errors.Join(err, sameItem(item, string(a.ItemName)))
	}
	return err
}

func same[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s %v is not %v", what, got, want)
	}
	return nil
}

// sameItem compares an item with its short or full name.
func sameItem(want, full string) error {
	_, short, _ := strings.Cut(full, "/")
	if want != full && want != short {
		return fmt.Errorf("item %q is not %q", full, want)
	}
	return nil
}

func moduleNames(g *license.Grant) string {
	var names []string
	for _, m := range g.Modules {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// String says the answer in the words in which a scenario expects it.
func (a *answer) String() string {
	switch a.Kind {
	case protocol.KindGranted:
		return a.grantText()
	case protocol.KindRefused:
		return strings.TrimSpace(fmt.Sprintf("refused %d %s", a.Code, a.ItemName))
	case protocol.KindBusy:
		return "busy"
	case protocol.KindNoStream:
		return "no stream"
	case protocol.KindOutOfStep:
		return fmt.Sprintf("out of step, %d is next", a.Seq)
	case protocol.KindAccepted:
		if a.Seq == a.request.Seq {
			return "accepted"
		}
		return fmt.Sprintf("accepted up to %d", a.Seq)
	}
	return fmt.Sprintf("type %d", a.Kind)
}

func (a *answer) grantText() string {
	g := a.grant
	text := fmt.Sprintf("granted %s/%s until %s", g.LicenseID, g.ItemID, strings.Trim(strings.ReplaceAll(license.FormatTime(g.ActiveUntil), "T", " "), "Z"))
	if g.Instances > 0 {
		text += fmt.Sprintf(" %d instances", g.Instances)
	}
	if g.Flags&license.GrantInGrace != 0 {
		text += " in grace"
	}
	if g.Flags&license.GrantFirstUse != 0 {
		text += " from first use"
	}
	if len(g.Modules) > 0 {
		text += " with " + moduleNames(g)
	}
	return text
}
