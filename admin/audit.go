package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"muster/engine"
)

// The audit says who changed what, when, and from what to what. An entry is
// written in the same edit as the change: both are durable, or neither. Every
// entry holds the hash of the one before, so that none can be altered, left out
// or put in later without breaking the chain from there on.

func (a *Admin) auditRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/audit", scope: ScopeRead, query: []string{"before", "limit"}, handle: a.listAudit,
			doc: doc{"Show who changed what, newest first", nil, AuditPage{}, []int{200}}},
		{method: "GET", path: "/api/v1/audit/export", scope: ScopeRead, handle: a.exportAudit,
			doc: doc{"Export the audit as it was written, oldest first, an entry a line", nil, jsonLines, []int{200}}},
	}
}

// AuditEntry is one change.
type AuditEntry struct {
	Number uint64    `json:"number"` // counts up from 1
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`    // account or token
	What   string    `json:"what"`   // such as project.edit
	Target string    `json:"target"` // project, item, device …
	// Before and After are the fields that changed; missing for what did not exist.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	// Previous is the SHA-256 of the entry before, as it was written, in
	// hexadecimal; of the first one 64 zeros.
	Previous string `json:"previous"`
}

// AuditPage is the answer to GET audit, newest first.
type AuditPage struct {
	Entries []AuditEntry `json:"entries"`
	Next    uint64       `json:"next,omitempty"` // give it as "before" for older ones
	Head    string       `json:"head"`           // hash of the newest entry
}

const (
	// auditPerObject entries, one a line, make an object.
	auditPerObject = 64
	// auditObjectsMax bounds what is kept; the oldest 64 entries go.
	auditObjectsMax = 2000
	// auditValueMax bounds before and after, in bytes; a longer one says only how long it was.
	auditValueMax = 16 << 10

	auditPage    = 100
	auditPageMax = 1000
)

// auditHead is where the chain ends. The decider alone uses it.
type auditHead struct {
	read   bool
	number uint64
	hash   [sha256.Size]byte
	first  uint32 // object
}

// record writes an entry of the audit, as part of an edit. before and after are
// views of the thing, nil where it did not exist or does not any more; what is
// equal in both is left out, and if all is, so is the entry.
func (a *Admin) record(c *engine.Core, r *http.Request, what, target string, before, after any) error {
	return a.recordBy(c, callerOf(r).name, what, target, before, after)
}

// recordBy is record for a change that no request made.
func (a *Admin) recordBy(c *engine.Core, who, what, target string, before, after any) error {
	was, is, err := difference(before, after)
	if err != nil || was == nil && is == nil {
		return err
	}
	h := &a.audit
	if err := h.find(c); err != nil {
		return err
	}
	entry := AuditEntry{
		Number: h.number + 1, Time: unixTime(c.Now()), Who: who, What: what, Target: target,
		Before: was, After: is, Previous: hex.EncodeToString(h.hash[:]),
	}
	line, err := json.Marshal(&entry)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	key := auditKey(entry.Number)
	c.PutObject(key, append(bytes.Clone(c.Object(key)), append(line, '\n')...))
	h.number, h.hash = entry.Number, sha256.Sum256(line)
	if key.ID-h.first >= auditObjectsMax {
		c.PutObject(engine.ObjectKey{Kind: objectAudit, ID: h.first}, nil)
		h.first++
	}
	return nil
}

func auditKey(number uint64) engine.ObjectKey {
	return engine.ObjectKey{Kind: objectAudit, ID: uint32(1 + (number-1)/auditPerObject)}
}

// find reads where the chain ends, once.
func (h *auditHead) find(c *engine.Core) error {
	if h.read {
		return nil
	}
	ids := c.ObjectIDs(objectAudit)
	h.first = 1
	if len(ids) > 0 {
		h.first = ids[0]
		lines := auditLines(c.Object(engine.ObjectKey{Kind: objectAudit, ID: ids[len(ids)-1]}))
		last := lines[len(lines)-1]
		var entry AuditEntry
		if err := json.Unmarshal(last, &entry); err != nil {
			return fmt.Errorf("audit: the last entry does not read: %w", err)
		}
		h.number, h.hash = entry.Number, sha256.Sum256(last)
	}
	h.read = true
	return nil
}

// auditLines are the entries of an object, without line ends.
func auditLines(data []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
}

// changedFields are those fields of two views that are not equal.
func changedFields(before, after any) (was, is map[string]json.RawMessage, err error) {
	if was, err = fieldsOf(before); err != nil {
		return nil, nil, err
	}
	if is, err = fieldsOf(after); err != nil {
		return nil, nil, err
	}
	for name, value := range was {
		if bytes.Equal(value, is[name]) {
			delete(was, name)
			delete(is, name)
		}
	}
	return was, is, nil
}

// difference is two views as the audit keeps them: the fields that changed.
func difference(before, after any) (was, is json.RawMessage, err error) {
	b, a, err := changedFields(before, after)
	if err != nil {
		return nil, nil, err
	}
	encode := func(fields map[string]json.RawMessage) (json.RawMessage, error) {
		if len(fields) == 0 {
			return nil, nil
		}
		data, err := json.Marshal(fields) // names in alphabetical order
		if len(data) > auditValueMax {
			data = fmt.Appendf(nil, `{"longerThanKept":%d,"fields":%d}`, len(data), len(fields))
		}
		return data, err
	}
	if was, err = encode(b); err != nil {
		return nil, nil, err
	}
	is, err = encode(a)
	return was, is, err
}

func fieldsOf(view any) (map[string]json.RawMessage, error) {
	if view == nil {
		return map[string]json.RawMessage{}, nil
	}
	data, err := json.Marshal(view)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	fields := map[string]json.RawMessage{}
	return fields, json.Unmarshal(data, &fields)
}

// auditBackwards visits the entries from newest to oldest, starting below a number (0: at
// the newest), until visit returns false.
func (a *Admin) auditBackwards(c *engine.Core, below uint64, visit func(number uint64, line []byte) bool) error {
	h := &a.audit
	if err := h.find(c); err != nil || h.number == 0 {
		return err
	}
	if below == 0 || below > h.number {
		below = h.number + 1
	}
	for number := below - 1; number > 0; {
		lines := auditLines(c.Object(auditKey(number)))
		for i := (number - 1) % auditPerObject; ; i-- {
			if i >= uint64(len(lines)) || len(lines[i]) == 0 {
				return nil // older ones are not kept
			}
			if !visit(number, lines[i]) {
				return nil
			}
			number--
			if i == 0 {
				break
			}
		}
	}
	return nil
}

func (a *Admin) listAudit(w http.ResponseWriter, r *http.Request) error {
	below, limit, err := pageOf(r, auditPage, auditPageMax)
	if err != nil {
		return err
	}
	answer := AuditPage{Entries: []AuditEntry{}}
	var lines [][]byte
	err = a.edit(r.Context(), func(c *engine.Core) error {
		err := a.auditBackwards(c, below, func(number uint64, line []byte) bool {
			if uint64(len(lines)) == limit {
				answer.Next = number + 1
				return false
			}
			lines = append(lines, line)
			return true
		})
		answer.Head = hex.EncodeToString(a.audit.hash[:])
		return err
	})
	if err != nil {
		return err
	}
	for _, line := range lines {
		var entry AuditEntry
		if err := json.Unmarshal(line, &entry); err != nil {
			return fmt.Errorf("audit: an entry does not read: %w", err)
		}
		answer.Entries = append(answer.Entries, entry)
	}
	return writeJSON(w, http.StatusOK, answer)
}

// exportAudit answers with the entries as they were written, oldest first, one a
// line: what [VerifyAudit] reads.
func (a *Admin) exportAudit(w http.ResponseWriter, r *http.Request) error {
	var objects [][]byte
	err := a.edit(r.Context(), func(c *engine.Core) error {
		for _, id := range c.ObjectIDs(objectAudit) {
			objects = append(objects, c.Object(engine.ObjectKey{Kind: objectAudit, ID: id}))
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Content-Disposition", `attachment; filename="muster-audit.jsonl"`)
	for _, data := range objects {
		if _, err := w.Write(data); err != nil {
			return nil // the reader went away
		}
	}
	return nil
}

// VerifiedAudit is what VerifyAudit found.
type VerifiedAudit struct {
	Entries     int    `json:"entries"`
	First, Last uint64 `json:"-"`
	Head        string `json:"head"` // hash of the last entry
}

// VerifyAudit checks an exported audit: that every line is the one after the
// line before, unaltered. The last line's own contents are vouched for by Head
// alone: compare it with one that was written down elsewhere.
func VerifyAudit(data []byte) (VerifiedAudit, error) {
	var v VerifiedAudit
	if len(bytes.TrimSpace(data)) == 0 {
		return v, errors.New("the audit is empty")
	}
	var hash [sha256.Size]byte
	for i, line := range auditLines(data) {
		var entry AuditEntry
		if err := json.Unmarshal(line, &entry); err != nil {
			return v, fmt.Errorf("line %d is no entry: %w", i+1, err)
		}
		switch {
		case i == 0 && entry.Number == 1 && entry.Previous != hex.EncodeToString(hash[:]):
			return v, fmt.Errorf("line 1: the first entry of all names an entry before it")
		case i == 0:
			v.First = entry.Number
		case entry.Number != v.Last+1:
			return v, fmt.Errorf("line %d: entry %d follows entry %d; those between are missing", i+1, entry.Number, v.Last)
		case entry.Previous != v.Head:
			return v, fmt.Errorf("line %d: entry %d does not fit entry %d before it; one of them was altered", i+1, entry.Number, v.Last)
		}
		hash = sha256.Sum256(line)
		v.Entries, v.Last, v.Head = v.Entries+1, entry.Number, hex.EncodeToString(hash[:])
	}
	return v, nil
}

// pageOf reads the parameters of a page; before is 0 when none is given.
func pageOf(r *http.Request, usual, most uint64) (before, limit uint64, err error) {
	number := func(name string, otherwise uint64) uint64 {
		text := r.URL.Query().Get(name)
		if text == "" {
			return otherwise
		}
		n, parseErr := strconv.ParseUint(text, 10, 63)
		if parseErr != nil || n == 0 {
			err = refusedField(http.StatusBadRequest, "bad-parameter", name, "%s=%q: expected a whole number above 0", name, text)
		}
		return n
	}
	before, limit = number("before", 0), number("limit", usual)
	if err == nil && limit > most {
		err = refusedField(http.StatusBadRequest, "bad-parameter", "limit", "limit=%d: at most %d are answered at once", limit, most)
	}
	return before, limit, err
}
