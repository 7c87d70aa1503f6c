package sim_test

import (
	"crypto/sha256"
	"maps"
	"strings"
	"time"

	"muster/engine/server"
	"muster/license"
	"muster/protocol"
)

// device is a simple device: it knows its place in its stream and what it was
// granted last, and keeps what it sent last to send it again.
type device struct {
	uuid    protocol.UUID
	project string // it speaks through this one unless a statement says otherwise
	stream  uint32
	token   uint64
	seq     uint32
	item    uint32
	modules []license.GrantModule
	asks    protocol.CheckIn // what it asked for last
	last    sent
	keys    map[string]license.LicenseKey // by project
	open    map[string]ticket             // by project
}

// sent is a change on its way, through a project.
type sent struct {
	request protocol.Request
	through string
}

// ticket is an open line and when it has to be opened anew.
type ticket struct {
	line    line
	expires time.Time
}

// device finds a device by its name, or makes it.
func (r *runner) device(name string) *device {
	d := r.devices[name]
	if d == nil {
		sum := sha256.Sum256([]byte(name))
		d = &device{uuid: protocol.UUID(sum[:16]), project: r.project}
		r.add(name, d)
	}
	return d
}

func (r *runner) add(name string, d *device) {
	d.keys, d.open = map[string]license.LicenseKey{}, map[string]ticket{}
	r.devices[name] = d
}

// hangUp ends all lines: the server goes away.
func (r *runner) hangUp() {
	for _, d := range r.devices {
		clear(d.open)
	}
}

func (r *runner) copyDevice(_ *statement, m []string) error {
	c := *r.device(m[2])
	keys := c.keys
	r.add(m[1], &c)
	maps.Copy(c.keys, keys)
	return nil
}

func (r *runner) secondApplication(_ *statement, m []string) error {
	d := r.device(m[2])
	r.add(m[1], &device{uuid: d.uuid, project: d.project})
	return nil
}

// takeKey gives a device a project's present license key.
func (r *runner) takeKey(_ *statement, m []string) error {
	d := r.device(m[1])
	delete(d.keys, m[2])
	delete(d.open, m[2])
	_, err := r.licenseKey(d, m[2])
	return err
}

// licenseKey is the one that a device got when it first spoke through a project,
// or through "organization NAME".
func (r *runner) licenseKey(d *device, through string) (license.LicenseKey, error) {
	if key, ok := d.keys[through]; ok {
		return key, nil
	}
	key := license.LicenseKey{}
	if organization, ok := strings.CutPrefix(through, "organization "); ok {
		key.OrganizationID = organization
	} else {
		p, err := r.projectNow(through)
		if err != nil {
			return key, err
		}
		key = license.LicenseKey{ProjectID: p.ID, OrganizationID: p.Organization, Password: p.Password}
	}
	d.keys[through] = key
	return key, nil
}

// line is the device's line through a project, opened if there is none.
func (r *runner) line(d *device, through string) (line, protocol.Code, error) {
	if t, ok := d.open[through]; ok && r.now.Before(t.expires) {
		return t.line, protocol.OK, nil
	}
	key, err := r.licenseKey(d, through)
	if err != nil {
		return nil, protocol.OK, err
	}
	l, code, err := r.world.open(key, d.uuid)
	if l != nil {
		d.open[through] = ticket{l, r.now.Add(server.TicketLife)}
	}
	return l, code, err
}

// change begins a device's next change.
func (r *runner) change(d *device, kind uint8) protocol.Request {
	r.nextTag++
	c := protocol.Request{Kind: kind, ID: r.nextTag, UUID: d.uuid, Stream: d.stream, Token: d.token, Tag: r.nextTag, Item: d.item}
	if d.stream != 0 {
		c.Seq = d.seq + 1
	}
	return c
}

// send sends a change and holds the answer against what the statement expects.
// A check-in that is asked to show a word does.
func (r *runner) send(s *statement, d *device, through string, request protocol.Request) error {
	if through == "" {
		through = d.project
	}
	l, code, err := r.line(d, through)
	if err != nil {
		return err
	}
	if code != protocol.OK {
		return r.compare(s.want, &answer{Answer: protocol.Answer{Kind: protocol.KindRefused, Code: code}})
	}
	a, err := l(&request)
	if err == nil && a.Kind == protocol.KindNoStream && a.Challenge != 0 {
		in := *request.CheckIn
		in.Challenge, request.CheckIn = a.Challenge, &in
		a, err = l(&request)
	}
	if err != nil {
		return err
	}
	d.last = sent{request, through}
	if s.want == "lost" {
		return nil
	}
	d.take(&request, &a)
	grant, err := r.verify(d, through, &a)
	if err != nil {
		return err
	}
	return r.compare(s.want, &answer{Answer: a, request: request, grant: grant})
}

// take notes what an answer says about the device's place.
func (d *device) take(request *protocol.Request, a *protocol.Answer) {
	switch {
	case a.Stream != 0:
		d.stream, d.token, d.seq = a.Stream, a.Token, a.Seq
	case a.Kind == protocol.KindAccepted && a.Seq == request.Seq:
		d.seq = a.Seq
	}
	if a.Kind == protocol.KindGranted {
		d.item = a.Item
	}
}
