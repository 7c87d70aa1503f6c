package sim_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"muster/license"
	"muster/protocol"
)

func (r *runner) greet(s *statement, m []string) error {
	d, key := r.device(m[1]), license.LicenseKey{}
	err := phrases(m[2],
		says(`by project WORD`, func(m []string) error {
			key.ProjectID = m[1]
			if p, err := r.projectNow(m[1]); err == nil {
				key.ProjectID = p.ID
			}
			return nil
		}),
		says(`by organization WORD`, func(m []string) error { key.OrganizationID = m[1]; return nil }),
		says(`by password WORD`, func(m []string) error { key.Password = m[1]; return nil }),
	)
	if err != nil {
		return err
	}
	_, code, err := r.world.open(key, d.uuid)
	switch {
	case err != nil:
		return err
	case code == protocol.OK && s.want == "welcome":
		return nil
	case code == protocol.OK:
		return fmt.Errorf("welcome, expected %q", s.want)
	}
	return r.compare(s.want, &answer{Answer: protocol.Answer{Kind: protocol.KindRefused, Code: code}})
}

// asked reads what a check-in asks for; what is not said is version 11 of the
// edition desktop on a desktop.
func asked(text string, before protocol.CheckIn) (in protocol.CheckIn, through string, err error) {
	in = protocol.CheckIn{Version: 11, Edition: []byte("desktop"), Deployment: []byte("desktop"), BootClock: 60_000}
	err = phrases(text,
		says(`for WORD`, func(m []string) error { in.Product = []byte(m[1]); return nil }),
		says(`as before`, func([]string) error { in = before; return nil }),
		says(`version N`, func(m []string) error { return setNumber(&in.Version, m[1]) }),
		says(`edition WORD`, func(m []string) error { in.Edition = []byte(m[1]); return nil }),
		says(`on WORD`, func(m []string) error { in.Deployment = []byte(m[1]); return nil }),
		says(`as WORD`, func(m []string) error { in.Validation = []byte(m[1]); return nil }),
		says(`asking N instances?`, func(m []string) error { return setNumber(&in.Instances, m[1]) }),
		says(`charged by WORD`, func(m []string) error {
			way, err := license.ParseChargeWay(m[1])
			in.ChargeWay = uint8(way)
			return err
		}),
		says(`with LIST`, func(m []string) error {
			for name := range strings.SplitSeq(m[1], ", ") {
				in.Modules = append(in.Modules, []byte(name))
			}
			return nil
		}),
		says(`through (organization \S+|\S+)`, func(m []string) error { through = m[1]; return nil }),
	)
	return in, through, err
}

func setNumber(to *uint32, digits string) error {
	n, err := strconv.ParseUint(digits, 10, 32)
	*to = uint32(n)
	return err
}

func (r *runner) checkIn(s *statement, m []string) error {
	d := r.device(m[1])
	in, through, err := asked(m[2], d.asks)
	if err != nil {
		return err
	}
	d.asks = in
	request := r.change(d, protocol.KindCheckIn)
	request.CheckIn = &in
	return r.send(s, d, through, request)
}

// askPlace is the check-in of a device that lost its place in its stream, or
// the stream itself.
func (r *runner) askPlace(s *statement, m []string) error {
	d := r.device(m[1])
	if m[2] == "starts anew" {
		d.stream, d.token, d.seq = 0, 0, 0
	}
	if m[3] == "" {
		m[3] = "as before"
	}
	in, through, err := asked(m[3], d.asks)
	if err != nil {
		return err
	}
	request := r.change(d, protocol.KindCheckIn)
	request.Seq, request.CheckIn = 0, &in
	return r.send(s, d, through, request)
}

var usage = regexp.MustCompile(`^(\d+)(?: of (\S+))?(?: (\d+) slots? (ago|ahead))?$`)

// report sends counts such as "5, 3 of QR 20 slots ago", then perhaps "for" an
// item and "through" a project.
func (r *runner) report(s *statement, m []string) error {
	d := r.device(m[1])
	request := r.change(d, protocol.KindReport)
	text, through, err := r.toItem(d, m[2], &request)
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(text, ", ") {
		l, err := r.usageLine(d, line)
		if err != nil {
			return err
		}
		request.Lines = append(request.Lines, l)
	}
	return r.send(s, d, through, request)
}

// toItem takes "for ITEM" and "through PROJECT" from the end of a report or release.
func (r *runner) toItem(d *device, text string, request *protocol.Request) (rest, through string, err error) {
	rest, through, _ = strings.Cut(" "+text, " through ")
	rest, item, named := strings.Cut(rest, " for ")
	if named {
		request.Item, err = r.itemOrdinal(item)
	}
	return strings.TrimSpace(rest), through, err
}

func (r *runner) usageLine(d *device, text string) (l protocol.Line, err error) {
	m := usage.FindStringSubmatch(text)
	if m == nil {
		return l, fmt.Errorf("%q is not understood: expected such as 5, or 3 of QR 20 slots ago", text)
	}
	l.Slot = uint32(r.now.Unix() / protocol.SlotSeconds)
	far, _ := strconv.ParseUint(m[3], 10, 32) // empty: now
	if m[4] == "ago" {
		l.Slot -= uint32(far)
	} else {
		l.Slot += uint32(far)
	}
	if l.Module, err = d.module(m[2]); err != nil {
		return l, err
	}
	return l, setNumber(&l.Count, m[1])
}

// module is a module's number in the device's last grant. A number stands for itself.
func (d *device) module(name string) (uint16, error) {
	if n, err := strconv.ParseUint(name, 10, 16); err == nil || name == "" {
		return uint16(n), nil
	}
	for _, m := range d.modules {
		if m.Name == name {
			return m.Ordinal, nil
		}
	}
	return 0, fmt.Errorf("module %q was not granted", name)
}

func (r *runner) release(s *statement, m []string) error {
	d := r.device(m[1])
	request := r.change(d, protocol.KindRelease)
	rest, through, err := r.toItem(d, m[2], &request)
	if err == nil && rest != "" {
		err = fmt.Errorf("%q is not understood", rest)
	}
	if err != nil {
		return err
	}
	return r.send(s, d, through, request)
}

func (r *runner) sendAgain(s *statement, m []string) error {
	d := r.device(m[1])
	if d.last.request.Kind == 0 {
		return errors.New("it sent nothing yet")
	}
	return r.send(s, d, d.last.through, d.last.request)
}

// skipNumber makes a gap in the device's stream.
func (r *runner) skipNumber(_ *statement, m []string) error {
	r.device(m[1]).seq++
	return nil
}

// each lets devices with numbers in their names do the same one after the other.
func (r *runner) each(s *statement, m []string) error {
	first, err := strconv.Atoi(m[2])
	if err != nil {
		return err
	}
	last, err := strconv.Atoi(m[3])
	if err != nil {
		return err
	}
	verb := map[string]string{"check in": "checks in", "report": "reports", "release": "releases"}[m[4]]
	for n := first; n <= last; n++ {
		one := *s
		one.text = fmt.Sprintf("device %s%d %s%s", m[1], n, verb, m[5])
		if err := r.step(&one); err != nil {
			return fmt.Errorf("%s%d: %w", m[1], n, err)
		}
	}
	return nil
}
