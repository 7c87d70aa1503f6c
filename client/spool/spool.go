package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"muster/client"
	"muster/internal/files"
	"muster/license"
	"muster/protocol"
)

// Options are what a spool is opened with.
type Options struct {
	// Dir is a directory of the application on a local file system; Open makes it.
	// Processes of one application share it, several applications may.
	Dir string
	// LicenseKey and Vendor are those of [client.Options].
	LicenseKey string
	Vendor     *license.KeyRing
	// Use is what the application asks for at check-in.
	Use client.Use
	// UUID is the client UUID, such as that of [client.HardBound]. Zero is a random
	// one that is kept in Dir [CLI-4].
	UUID license.UUID
	// Timeout is that of [client.Options].
	Timeout time.Duration
	// Exchange is that of [client.Options].
	Exchange func(context.Context, *protocol.Request) (*protocol.Answer, error)
	// Disk is where Dir is; nil is the operating system's. There is another one only
	// for muster's own simulation.
	Disk files.Disk

	key     license.LicenseKey
	servers []string
}

// Spool is the client of one process. Its methods may be called from any
// goroutine; Add and what reads never wait for the network.
type Spool struct {
	options Options
	own     *stream
	now     func() time.Time // tests put their own in its place

	mu      sync.Mutex
	damage  []error
	refused []error // met by a check-in, for the next Send to tell
}

// Open takes a folder of the directory for this process, with the stream, the grant
// and the unsent usage of one that had it before. It does not connect.
//
// Errors: [ErrTaken], [ErrVersion], those of [client.New], and those of the disk.
// Damage is none, see [Spool.Damaged].
func Open(o Options) (s *Spool, err error) {
	if o.key, err = license.ParseLicenseKey(o.LicenseKey); err != nil {
		return nil, err
	}
	o.servers = servers(o.key)
	if o.Dir == "" {
		return nil, errors.New("spool: no directory")
	}
	if o.Disk == nil {
		o.Disk = files.OS{}
	}
	if err := files.MakeDir(o.Disk, o.Dir); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	gate, err := o.gate()
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	defer gate.Close()
	s = &Spool{options: o}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open is what is done under the gate.
func (s *Spool) open() error {
	if s.options.UUID == (license.UUID{}) {
		uuid, damage, err := deviceUUID(&s.options)
		s.damaged(damage)
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		s.options.UUID = uuid
	}
	f, damage, err := choose(&s.options)
	s.damaged(damage)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if s.own, err = newStream(&s.options, f); err != nil {
		return errors.Join(err, f.close())
	}
	s.now = s.own.client.Now
	return nil
}

func (s *Spool) damaged(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.damage = append(s.damage, err)
	}
}

// Damaged says which files were found damaged and set aside, in the directory's
// folder "damaged"; nil is the rule. The usage in them is not counted: tell a
// person. [errors.Is] finds [ErrDamaged].
func (s *Spool) Damaged() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.damage...)
}

// Dropped counts the scans, pages or uses of this process's folder, in all its
// time, that reached no server within 30 days [CLI-3].
func (s *Spool) Dropped() uint64 { return s.own.dropped() }

// Valid says whether the grant is of use now, see [client.Client.Valid].
func (s *Spool) Valid() bool { return s.own.client.Valid() }

// Grant is the last verified grant, nil before the first.
func (s *Spool) Grant() *license.Grant { return s.own.client.Grant() }

// RenewAt says when to check in again, see [client.Client.RenewAt].
func (s *Spool) RenewAt() time.Time { return s.own.client.RenewAt() }

// Now is the server's clock as far as the device can tell.
func (s *Spool) Now() time.Time { return s.own.client.Now() }

// CheckIn asks for a grant for Options.Use and verifies it. A refusal is a [*client.Error].
func (s *Spool) CheckIn(ctx context.Context) (*license.Grant, error) {
	refusals, err := s.own.checkIn(ctx, s.options.Use)
	if err != nil {
		return nil, errors.Join(append(refusals, err)...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, refusals...) // of reports that were under way
	return s.own.client.Grant(), nil
}

// Add counts usage of a module of the grant, now; "" is none in particular. When
// it returns nil the count is on disk and will reach the server once, however this
// process ends. That takes two syncs of the disk: who counts many times a second
// adds up, and calls Add with the sum once a second or once a slot.
//
// After an error the count may not be kept: call again. The grant may be over, but
// there has to be one. Counts from 1 to [protocol.MaxLineCount]; 0 does nothing.
func (s *Spool) Add(module string, count uint32) error {
	g := s.own.client.Grant()
	switch {
	case g == nil:
		return errors.New("spool: nothing was granted yet: check in first")
	case count > protocol.MaxLineCount:
		return fmt.Errorf("spool: a count of %d, at most %d is allowed", count, protocol.MaxLineCount)
	case count == 0:
		return nil
	}
	line := protocol.Line{Slot: uint32(s.now().Unix() / protocol.SlotSeconds), Count: count}
	if module != "" {
		i := slices.IndexFunc(g.Modules, func(m license.GrantModule) bool { return m.Name == module })
		if i < 0 {
			return fmt.Errorf("spool: module %q is not in the grant", module)
		}
		line.Module = g.Modules[i].Ordinal
	}
	return s.own.add(g.Item, line)
}

// Send sends what was added, here and in folders whose process is gone, and returns
// when the server has it all. After an error that is no refusal the rest stays, and
// the next Send goes on.
//
// A refusal, a [*client.Error], is told when all was sent: with code 160 the usage
// was counted and the application has to check in; with 113 it was not counted,
// because the server never granted the item.
func (s *Spool) Send(ctx context.Context) error {
	refusals, err := s.own.send(ctx)
	if err == nil {
		err = s.adopt(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	told := append(s.refused, refusals...)
	s.refused = nil
	return errors.Join(append(told, err)...)
}

// adopt sends what processes have left that are gone, each in its own stream.
func (s *Spool) adopt(ctx context.Context) error {
	var all []error
	for n := 1; n <= foldersMax; n++ {
		f, err := s.abandoned(n)
		if err != nil || f == nil {
			all = append(all, err)
			continue
		}
		left, err := newStream(&s.options, f)
		if err != nil {
			all = append(all, err, f.close())
			continue
		}
		refusals, err := left.send(ctx)
		all = append(append(all, refusals...), err, left.close())
	}
	return errors.Join(all...)
}

// abandoned locks a folder that nobody has and that holds something to send to
// this license key's servers; nil if it does not.
func (s *Spool) abandoned(number int) (*folder, error) {
	path := s.options.folderPath(number)
	if _, err := s.options.Disk.List(path); missing(err) || path == s.own.path {
		return nil, nil
	}
	gate, err := s.options.gate()
	if err != nil {
		return nil, err
	}
	defer gate.Close()
	f, damage, err := openFolder(path, s.options.asidePath(), s.options.Disk)
	s.damaged(damage)
	switch {
	case errors.Is(err, files.ErrLocked):
		return nil, nil
	case err != nil:
		return nil, err
	case !f.waits() || !f.serves(s.options.key):
		return nil, f.close()
	}
	return f, nil
}

func missing(err error) bool { return errors.Is(err, os.ErrNotExist) }

// Release sends what was added and gives the seat back [CLI-6]. The grant is of no
// use from then on, and nothing can be added before the next check-in.
func (s *Spool) Release(ctx context.Context) error {
	refusals, err := s.own.send(ctx)
	if err != nil {
		return errors.Join(append(refusals, err)...)
	}
	s.own.turn.Lock()
	defer s.own.turn.Unlock()
	return errors.Join(append(refusals, s.own.client.Release(ctx))...)
}

// Run sends once a slot and checks in when RenewAt has come, until ctx ends. What
// goes wrong is told to failed, and tried again in the next slot: the work goes on
// while Valid.
func (s *Spool) Run(ctx context.Context, failed func(error)) {
	for ctx.Err() == nil {
		if err := s.Send(ctx); err != nil {
			failed(err)
		}
		if !s.Now().Before(s.RenewAt()) { // also when Send was told that the seat is free
			if _, err := s.CheckIn(ctx); err != nil {
				failed(err)
			}
		}
		wait := protocol.SlotSeconds * time.Second
		if left := s.RenewAt().Sub(s.Now()); left > 0 { // else the renewal failed: the next slot will do
			wait = min(wait, left)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// Close gives the folder back to the next process. It does not send: call Send
// before, with as much time as the application has. What is not sent then goes out
// after the next Open.
func (s *Spool) Close() error { return s.own.close() }
