package spool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"muster/client"
	"muster/license"
	"muster/protocol"
)

// lateSeconds is how long usage is kept [CLI-3]: the server does not count older
// in its own slot [SLOT-1].
const lateSeconds = 30 * 86400

// stream is a folder and the client that goes on from its state.
type stream struct {
	*folder
	client *client.Client
	// turn is held by calls that talk to the server.
	turn  sync.Mutex
	heard bool // the server's time, in this run
}

// newStream makes the client of a folder. A grant that does not verify any more,
// because the application was given other vendor keys, is forgotten.
func newStream(o *Options, f *folder) (*stream, error) {
	f.kept.Servers = o.servers
	co := client.Options{LicenseKey: o.LicenseKey, Vendor: o.Vendor, Timeout: o.Timeout, Exchange: o.Exchange, State: f.kept.State, Keep: f.keep}
	c, err := client.New(co)
	if errors.Is(err, license.ErrGrant) {
		co.State.Grant, co.State.Proof = nil, nil
		c, err = client.New(co)
	}
	if err != nil {
		return nil, err
	}
	return &stream{folder: f, client: c}, nil
}

// send sends what waits: first what may have been sent before, as it was then, and
// then one sheet after the other. What is refused is settled too, and does not end
// it; err is why not all was sent.
func (s *stream) send(ctx context.Context) (refusals []error, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	refusals, err = s.settleAll(ctx, s.standing(), s.client.Flush(ctx))
	for err == nil {
		next, ok := s.oldest()
		if !ok {
			break
		}
		var more []error
		more, err = s.report(ctx, next)
		refusals = append(refusals, more...)
	}
	return refusals, err
}

// report makes a sheet the report under way, and sends that. What is too old is
// left out and counted, in the same step on disk.
func (s *stream) report(ctx context.Context, next sheet) (refusals []error, err error) {
	lines, err := s.young(ctx, next.Lines)
	if err != nil {
		return nil, err
	}
	s.take(sum(next.Lines) - sum(lines))
	if len(lines) == 0 {
		return nil, s.keep(s.client.State())
	}
	before := s.standing()
	before.waiting++
	return s.settleAll(ctx, before, s.client.ReportLines(ctx, next.Item, lines))
}

// young leaves out lines of more than 30 days ago by the server's clock. The
// device's own may be wrong, so the server is asked once in a run: later its time is
// carried on by the boot clock.
func (s *stream) young(ctx context.Context, lines []protocol.Line) ([]protocol.Line, error) {
	if !s.heard {
		if _, err := s.client.Ping(ctx); err != nil {
			return nil, err
		}
		s.heard = true
	}
	now := s.client.Now()
	return slices.DeleteFunc(slices.Clone(lines), func(l protocol.Line) bool { return late(l.Slot, now) }), nil
}

// late says whether the server would not count a slot in its own place any more.
func late(slot uint32, now time.Time) bool {
	seconds := now.Unix()
	return int64(slot)*protocol.SlotSeconds < seconds-seconds%protocol.SlotSeconds-lateSeconds
}

// standing is how far a client is.
type standing struct {
	stream, seq uint32
	token       uint64
	waiting     int // changes in its queue
}

func (s *stream) standing() standing {
	state := s.client.State()
	return standing{state.Stream, state.Seq, state.Token, len(state.Queue)}
}

// settle goes on with the client's queue after a change of it was refused, until it
// is empty or nothing moves: when the server lets nobody in, or gives no place.
// before is how far the client was with the change, before it was sent. The last
// error is returned apart.
func (s *stream) settle(ctx context.Context, before standing, err error) (refusals []error, last error) {
	for now := s.standing(); refused(err) && now.waiting > 0 && now != before; now = s.standing() {
		refusals, before = append(refusals, err), now
		err = s.client.Flush(ctx)
	}
	return refusals, err
}

// settleAll is settle where no change's refusal is more than the others': err is
// why something is left.
func (s *stream) settleAll(ctx context.Context, before standing, first error) (refusals []error, err error) {
	refusals, err = s.settle(ctx, before, first)
	if refused(err) && s.standing().waiting == 0 {
		return append(refusals, err), nil
	}
	return refusals, err
}

// checkIn asks for a grant behind what is in the queue. A check-in in doubt is asked
// again instead of another one.
func (s *stream) checkIn(ctx context.Context, use client.Use) (refusals []error, err error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	before, queue := s.standing(), s.client.State().Queue
	if n := len(queue); n == 0 || queue[n-1].Kind != protocol.KindCheckIn {
		before.waiting++
	}
	_, err = s.client.CheckIn(ctx, use)
	return s.settle(ctx, before, err)
}

// refused says whether an error is the server's decision on one change, which is
// not sent again.
func refused(err error) bool {
	code := client.CodeOf(err)
	return code != protocol.OK && code != protocol.NotServing
}

// close ends the client and gives the folder back.
func (s *stream) close() error {
	s.turn.Lock()
	defer s.turn.Unlock()
	return errors.Join(s.client.Close(), s.folder.close())
}
