package sim_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"muster/engine"
	"muster/sim"
)

// runner replays a scenario in a world.
type runner struct {
	world    world
	now      time.Time
	decided  time.Time // the server's time for decisions: it never runs back
	vendors  map[string]sim.Vendor
	licenses map[string]*draft
	project  string // new devices speak through it
	devices  map[string]*device
	nextTag  uint32
}

// form is one form that a statement has.
type form struct {
	pattern *regexp.Regexp
	do      func(r *runner, s *statement, m []string) error
}

func statementOf(pattern string, do func(r *runner, s *statement, m []string) error) form {
	return form{compile(pattern + "$"), do}
}

// grammar is the language.
var grammar []form

func init() { // not above: repeat would refer to itself
	grammar = []form{
		statementOf(`at TIME`, (*runner).setTime),
		statementOf(`after WORD`, (*runner).passTime),
		statementOf(`repeat N times`, (*runner).repeat),
		statementOf(`on the real server`, (*runner).onServer),
		statementOf(`restart the server(?: for at most N devices)?`, (*runner).restart),
		statementOf(`the server is (stopping|starting)`, (*runner).phase),
		statementOf(`the server (serves)`, (*runner).phase),

		statementOf(`license WORD(?: revision N)?`, (*runner).license),
		statementOf(`import WORD(?: revision N)?(?: to (new )?project WORD)?`, (*runner).importLicense),
		statementOf(`trust vendor WORD`, (*runner).trust),
		statementOf(`new project WORD(?: with suffix WORD)?(?: of organization WORD)?`, (*runner).newProject),
		statementOf(`project WORD`, (*runner).editProject),
		statementOf(`addresses LIST`, (*runner).setAddresses),
		statementOf(`free the seat of WORD on WORD`, (*runner).freeSeat),
		statementOf(`(block|unblock|clear) WORD`, (*runner).operate),

		statementOf(`device WORD is a copy of WORD`, (*runner).copyDevice),
		statementOf(`device WORD is another application of WORD`, (*runner).secondApplication),
		statementOf(`device WORD takes the license key of WORD`, (*runner).takeKey),
		statementOf(`device WORD greets(?: (.+))?`, (*runner).greet),
		statementOf(`device WORD checks in (.+)`, (*runner).checkIn),
		statementOf(`device WORD (asks for its place|starts anew)(?: (.+))?`, (*runner).askPlace),
		statementOf(`device WORD reports (.+)`, (*runner).report),
		statementOf(`device WORD releases(?: (.+))?`, (*runner).release),
		statementOf(`device WORD sends again`, (*runner).sendAgain),
		statementOf(`device WORD skips a number`, (*runner).skipNumber),
		statementOf(`devices ([A-Za-z]+)N to [A-Za-z]+N (check in|report|release)( .+)?`, (*runner).each),

		statementOf(`expect item WORD(?: through WORD)?(?: (WHEN))? (.+)`, (*runner).expectItem),
		statementOf(`expect project WORD items LIST`, (*runner).expectOrder),
		statementOf(`expect project WORD(?: (WHEN))? (.+)`, (*runner).expectProject),
		statementOf(`expect device WORD (.+)`, (*runner).expectDevice),
		statementOf(`expect addresses LIST`, (*runner).expectAddresses),
		statementOf(`expect latest (reports|authorizations|denials) of WORD(?: (WHEN))?`, (*runner).expectLatest),
	}
}

func newRunner(w world, now time.Time, acme sim.Vendor) *runner {
	return &runner{
		world: w, now: now, decided: now, vendors: map[string]sim.Vendor{"Acme": acme},
		licenses: map[string]*draft{}, devices: map[string]*device{},
	}
}

// run replays statements until one does not come out as it says.
func (r *runner) run(list []statement) error {
	for i := range list {
		if err := r.step(&list[i]); err != nil {
			return list[i].at(err)
		}
	}
	return nil
}

func (r *runner) step(s *statement) error {
	for _, f := range grammar {
		if m := f.pattern.FindStringSubmatch(s.text); m != nil {
			return f.do(r, s, m)
		}
	}
	return fmt.Errorf("%q is no statement", s.text)
}

func (r *runner) setTime(_ *statement, m []string) error {
	at, err := parseTime(m[1])
	if err != nil {
		return err
	}
	return r.clock(at)
}

func (r *runner) clock(at time.Time) error {
	r.now = at
	if at.After(r.decided) {
		r.decided = at
	}
	return r.world.clock(at)
}

func (r *runner) passTime(_ *statement, m []string) error {
	d, err := parseDuration(m[1])
	if err != nil {
		return err
	}
	return r.clock(r.now.Add(d))
}

func parseTime(s string) (time.Time, error) {
	if len(s) == len(time.DateOnly) {
		return time.Parse(time.DateOnly, s)
	}
	return time.Parse(time.DateTime, s)
}

// parseDuration also knows days, as in 30d or 1d12h.
func parseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.Atoi(days)
	if err != nil || rest == "" {
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(rest)
	return time.Duration(n)*24*time.Hour + d, err
}

func (r *runner) repeat(s *statement, m []string) error {
	n, err := strconv.Atoi(m[1])
	for range n {
		if err == nil {
			err = r.run(s.block)
		}
	}
	return err
}

// phases are those of a server's life that the core alone does not have.
type phases interface {
	stopping()
	starting(devicesMax uint32) error
	serving() error
}

// onServer leaves out what the core has not.
func (r *runner) onServer(s *statement, _ []string) error {
	if _, ok := r.world.(phases); ok {
		return r.run(s.block)
	}
	return nil
}

func (r *runner) phase(_ *statement, m []string) error {
	server, ok := r.world.(phases)
	if !ok {
		return errors.New(`belongs below "on the real server"`)
	}
	switch m[1] {
	case "stopping":
		server.stopping()
		return nil
	case "starting":
		r.hangUp()
		return server.starting(0)
	}
	return server.serving()
}

func (r *runner) restart(_ *statement, m []string) error {
	devicesMax, _ := strconv.ParseUint(m[1], 10, 32) // empty: the default
	return r.restartServer(uint32(devicesMax))
}

// restartServer lets the server notice what time it is, as it does by itself
// within a second.
func (r *runner) restartServer(devicesMax uint32) error {
	r.hangUp()
	if err := r.world.restart(devicesMax); err != nil {
		return err
	}
	return r.world.clock(r.now)
}

// operator does what an operator does, and compares the outcome: `fails "words"`
// or, if nothing is said, success.
func (r *runner) operator(s *statement, do func(*engine.Core) error) error {
	return s.outcome(r.world.do(do))
}

func (s *statement) outcome(err error) error {
	words, fails := strings.CutPrefix(s.want, "fails ")
	words = strings.Trim(words, `"`)
	switch {
	case !fails && s.want != "":
		return fmt.Errorf(`%q: expected nothing, or fails "words"`, s.want)
	case !fails:
		return err
	case err == nil:
		return fmt.Errorf("succeeds, expected to fail with %q", words)
	case !strings.Contains(err.Error(), words):
		return fmt.Errorf("fails with %q, expected %q", err, words)
	}
	return nil
}
