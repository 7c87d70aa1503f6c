package main

import (
	"log/slog"

	"muster/engine"
	"muster/protocol"
)

// refusals is what was counted of refused devices when it was looked at last. The
// counters are those of metrics: telling of a refusal costs devices nothing.
type refusals struct {
	looks   int
	turned  []turnedAway
	decided map[decided]uint64
	full    bool // the device table
}

// refusalsEvery is after how many looks at the disk the refusals are looked at.
const refusalsEvery = 10

// turnedAway counts what is refused before it is decided; tell says what an
// operator can do.
type turnedAway struct {
	n    uint64
	tell string
}

type decided struct {
	project uint32
	code    engine.Code
}

// turnedAway are the counters at present. What happens to honest devices every
// day and mends itself, such as an old ticket, is not among them.
func (p *program) turnedAway() []turnedAway {
	f := &p.front.Stats
	return []turnedAway{
		{f.Refused.Load(), "device connections were turned away: too many are open, or hold incomplete records; raise connections-max and the limit of open files, or incomplete-max"},
		{f.Limited.Load(), "a source address was turned away: it made too many connections or handshakes, or tried too many wrong passwords; when many devices share one, see proxied-from, source-connections and source-handshakes"},
		{f.Malformed.Load(), "records could not be read: of a device with another server's license key, of a proxy that is not in proxied-from, or of no device at all; give the applications this server's key, or look who connects"},
		{f.Busy.Load(), "devices were answered busy: there is more to do than the machine can; see CPU and disk, loops"},
		{p.front.UDP.Limited.Load(), "datagrams of devices were dropped: their source, or the server, had too many new ones; see CPU and disk, loops"},
	}
}

// lookAtRefusals tells who was refused since it looked last.
func (p *program) lookAtRefusals() {
	r := &p.refused
	for i, now := range p.turnedAway() {
		if r.turned == nil {
			r.turned = make([]turnedAway, len(p.turnedAway()))
		}
		if more := now.n - r.turned[i].n; more > 0 {
			p.notices.Tell(slog.LevelWarn, now.tell, more, now.tell)
		}
		r.turned[i] = now
	}
	full := p.decider.Stats.Devices.Load() >= uint64(p.config.DevicesMax)
	if full && !r.full {
		p.notices.Tell(slog.LevelError, "devices-max", 1, "the device table is full: devices that were never here are answered busy; start the server with a larger devices-max", "devices-max", p.config.DevicesMax)
	}
	r.full = full
	p.store.Core.Tallies(p.lookAtDecided)
}

// lookAtDecided tells of devices of a project that were refused with a code.
func (p *program) lookAtDecided(project uint32, code engine.Code, n uint64) {
	d := decided{project, code}
	more := n - p.refused.decided[d]
	if code == protocol.OK || more == 0 {
		return
	}
	if p.refused.decided == nil {
		p.refused.decided = map[decided]uint64{}
	}
	p.refused.decided[d] = n
	id := "none"
	if list := p.store.Core.Catalog().Projects; project < uint32(len(list)) && list[project] != nil {
		id = list[project].ID
	}
	level := slog.LevelWarn
	if code == protocol.SeatFreed || code == protocol.ClientBlocked || code == protocol.ProjectDisabled {
		level = slog.LevelInfo // as the operator wanted it
	}
	p.notices.Tell(level, "refused "+id+" "+code.String(), more, "devices were refused; \"muster records PROJECT denials\" has the latest, docs/OPERATING.md what to do about the code", "project", id, "code", code.String())
}
