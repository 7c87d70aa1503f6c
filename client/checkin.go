package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"muster/license"
	"muster/machine"
	"muster/protocol"
)

// Use is what an application asks for at check-in [CLI-1].
type Use struct {
	Product    string            `json:"product"`
	Version    uint32            `json:"version"` // major version
	Edition    string            `json:"edition,omitempty"`
	Deployment string            `json:"deployment,omitempty"` // browser, mobile, server, desktop, embedded
	Modules    []string          `json:"modules,omitempty"`
	ChargeWay  license.ChargeWay `json:"chargeWay,omitempty"`  // 0: any
	Validation string            `json:"validation,omitempty"` // domain, application id or process name [PRJ-5]
	Instances  uint32            `json:"instances,omitempty"`  // concurrent-instance only
}

// CheckIn asks for a grant and verifies it. A refusal is an *Error.
func (c *Client) CheckIn(ctx context.Context, use Use) (*license.Grant, error) {
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.do(ctx, Change{Kind: protocol.KindCheckIn, Use: &use}); err != nil {
		return nil, err
	}
	return c.grant, nil
}

func (c *Client) checkIn(use *Use) *protocol.CheckIn {
	in := &protocol.CheckIn{
		Product: []byte(use.Product), Version: use.Version, Edition: []byte(use.Edition),
		Deployment: []byte(use.Deployment), ChargeWay: uint8(use.ChargeWay),
		Validation: []byte(use.Validation), Instances: use.Instances, BootClock: uint64(machine.BootClock().Milliseconds()),
	}
	if len(c.state.Proof) > 0 {
		in.KnownCert = license.ProofID(c.state.Proof)
	}
	for _, m := range use.Modules {
		in.Modules = append(in.Modules, []byte(m))
	}
	return in
}

func (c *Client) takeGrant(a *protocol.Answer) error {
	proof := a.Certificate
	if len(proof) == 0 {
		proof = c.state.Proof
	}
	g, err := c.verify(proof, a.Grant)
	if err != nil {
		return err
	}
	c.grant, c.renewAt = g, renewal(g, a.Grant, c.options.Timeout)
	c.state.Proof, c.state.Grant = proof, a.Grant
	return nil
}

// verify checks a grant against the embedded vendor keys alone, and that it is
// for what the application asked for [CLI-2].
func (c *Client) verify(proof, signed []byte) (*license.Grant, error) {
	p, err := license.ParseProof(proof)
	if err != nil {
		return nil, err
	}
	use := c.state.Use
	if use == nil {
		return nil, errors.New("client: a grant without a check-in that asked for it")
	}
	return p.Verify(signed, [16]byte(c.state.UUID), &license.Wanted{
		Product: use.Product, Version: use.Version, Edition: use.Edition, Deployment: use.Deployment,
		ChargeWay: use.ChargeWay, Modules: use.Modules,
	}, c.options.Vendor)
}

// Valid says whether the last grant is of use now, without asking the server.
func (c *Client) Valid() bool {
	g := c.Grant()
	return g != nil && c.Now().Unix() < g.ActiveUntil
}

// Count is one line of usage.
type Count struct {
	Module string // a module of the grant; empty: none in particular
	Count  uint32
	At     time.Time // when it was used; zero: now
}

// Report counts usage under the last grant [CLI-3]. It returns once the server
// has it durably. After an error that is no refusal the report stays in the
// queue, which is part of State: the next call sends it first, and it counts once.
func (c *Client) Report(ctx context.Context, counts ...Count) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	lines, err := c.lines(counts)
	if err != nil {
		return err
	}
	return c.do(ctx, Change{Kind: protocol.KindReport, Item: c.grant.Item, Lines: lines})
}

// ReportLines counts usage as Report does, by the server's own numbers: item and
// modules as they stand in the grant under which it was used, slots by the clock
// of [Client.Now]. It is for who keeps usage by themselves, as client/spool does.
// At most [protocol.MaxReportLines] lines, each of at most [protocol.MaxLineCount].
func (c *Client) ReportLines(ctx context.Context, item uint32, lines []protocol.Line) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.do(ctx, Change{Kind: protocol.KindReport, Item: item, Lines: lines})
}

func (c *Client) lines(counts []Count) ([]protocol.Line, error) {
	if c.grant == nil {
		return nil, errors.New("client: nothing was granted yet: check in first")
	}
	if len(counts) > protocol.MaxReportLines {
		return nil, fmt.Errorf("client: %d counts in one report, at most %d are allowed", len(counts), protocol.MaxReportLines)
	}
	lines := make([]protocol.Line, 0, len(counts))
	for _, n := range counts {
		if n.Count > protocol.MaxLineCount {
			return nil, fmt.Errorf("client: a count of %d, at most %d is allowed", n.Count, protocol.MaxLineCount)
		}
		at := n.At
		if at.IsZero() {
			at = c.Now()
		}
		line := protocol.Line{Slot: uint32(at.Unix() / protocol.SlotSeconds), Count: n.Count}
		if n.Module != "" {
			i := slices.IndexFunc(c.grant.Modules, func(m license.GrantModule) bool { return m.Name == n.Module })
			if i < 0 {
				return nil, fmt.Errorf("client: module %q is not in the grant", n.Module)
			}
			line.Module = c.grant.Modules[i].Ordinal
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// Flush sends what is still queued.
func (c *Client) Flush(ctx context.Context) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	return c.flush(ctx)
}

// Release gives the seat back [CLI-6]. The grant is of no use from then on.
func (c *Client) Release(ctx context.Context) error {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.grant == nil {
		return nil
	}
	item := c.grant.Item
	c.forgetGrant()
	return c.do(ctx, Change{Kind: protocol.KindRelease, Item: item})
}

// forgetGrant comes before the release goes out: a process that is killed then
// does not find the grant again.
func (c *Client) forgetGrant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grant, c.state.Grant, c.renewAt = nil, nil, time.Time{}
}
