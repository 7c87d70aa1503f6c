package server

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster/protocol"
)

// ticketEpoch is how long one ticket key makes new tickets.
const ticketEpoch = 24 * time.Hour

// ticketKey is one epoch's key. Session keys derive from it; when it is gone,
// so are the sessions, and nobody who finds the others later can open them.
type ticketKey struct {
	Epoch   uint32 `json:"epoch"`
	Created int64  `json:"created"` // unix seconds
	Key     []byte `json:"key"`     // 32 bytes
}

// TicketKeys are the keys of the present epoch and of those whose tickets still
// live. They survive a restart in a file, so that tickets do.
type TicketKeys struct {
	path string
	mu   sync.Mutex                  // one rotation at a time
	keys atomic.Pointer[[]ticketKey] // newest last
	save func(path string, data []byte) error
}

// OpenTicketKeys reads the key file, or makes it. save must replace the file atomically.
func OpenTicketKeys(path string, now time.Time, save func(string, []byte) error) (*TicketKeys, error) {
	t := &TicketKeys{path: path, save: save}
	var keys []ticketKey
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &keys)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if slices.ContainsFunc(keys, func(k ticketKey) bool { return len(k.Key) != 32 }) {
		err = errors.New("a key is not 32 bytes long")
	}
	if err != nil {
		return nil, fmt.Errorf("ticket keys %s: %w; remove the file to make new ones, devices then make a new handshake", path, err)
	}
	t.keys.Store(&keys)
	return t, t.RotateIfDue(now)
}

// RotateIfDue makes a new key when the newest is a day old, and forgets those
// whose tickets have all expired.
func (t *TicketKeys) RotateIfDue(now time.Time) error {
	keys := *t.keys.Load()
	if n := len(keys); n > 0 && now.Unix() < keys[n-1].Created+int64(ticketEpoch/time.Second) {
		return nil
	}
	_, err := t.Rotate(now, false)
	return err
}

// Rotate makes a new key at once and returns its epoch. Tickets under the older
// keys are honoured until they expire, unless endSessions forgets those keys:
// then every device has to make a new handshake.
func (t *TicketKeys) Rotate(now time.Time, endSessions bool) (epoch uint32, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := *t.keys.Load()
	next := ticketKey{Epoch: 1, Created: now.Unix(), Key: make([]byte, 32)}
	if n := len(old); n > 0 {
		next.Epoch = old[n-1].Epoch + 1
	}
	rand.Read(next.Key)
	oldest := now.Add(-TicketLife - ticketEpoch).Unix()
	keys := slices.DeleteFunc(slices.Clone(old), func(k ticketKey) bool { return endSessions || k.Created < oldest })
	keys = append(keys, next)
	data, err := json.MarshalIndent(keys, "", " ")
	if err != nil {
		return 0, fmt.Errorf("ticket keys: %w", err)
	}
	if err := t.save(t.path, data); err != nil {
		return 0, fmt.Errorf("ticket keys: %w", err)
	}
	t.keys.Store(&keys)
	return next.Epoch, nil
}

// issue makes a ticket with its keys.
func (t *TicketKeys) issue(now time.Time, project, generation uint32) (protocol.Ticket, protocol.Keys) {
	keys := *t.keys.Load()
	newest := &keys[len(keys)-1]
	var random [8]byte
	rand.Read(random[:])
	key := (*[32]byte)(newest.Key)
	ticket := protocol.MakeTicket(key, newest.Epoch, uint32(now.Add(TicketLife).Unix()), uint16(project), uint16(generation), random)
	return ticket, protocol.DeriveKeys(key, &ticket)
}

// live says that a ticket whose session is kept still counts: it has not expired,
// and its key was not forgotten.
func (t *TicketKeys) live(now int64, ticket *protocol.Ticket) bool {
	return int64(ticket.Expires()) > now && ticket.Epoch() >= (*t.keys.Load())[0].Epoch
}

// open derives the keys of a ticket that a client presents; ok is false when it
// has expired, its key is gone, or no server with that key made it: then it
// cost one derivation, and nothing was allocated.
func (t *TicketKeys) open(now int64, ticket *protocol.Ticket) (k protocol.Keys, ok bool) {
	if int64(ticket.Expires()) <= now {
		return k, false
	}
	keys := *t.keys.Load()
	for i := range keys {
		if key := (*[32]byte)(keys[i].Key); keys[i].Epoch == ticket.Epoch() {
			if !ticket.Genuine(key) {
				return k, false
			}
			return protocol.DeriveKeys(key, ticket), true
		}
	}
	return k, false
}
