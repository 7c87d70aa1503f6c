package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"muster/engine"
)

// Kinds of objects that belong to this package; the numbers are frozen.
const (
	objectToken         = engine.ObjectAdmin + 0
	objectAccount       = engine.ObjectAdmin + 1
	objectSession       = engine.ObjectAdmin + 2
	objectAudit         = engine.ObjectAdmin + 3
	objectAlertSettings = engine.ObjectAdmin + 4 // one, id 1
	objectAlertState    = engine.ObjectAdmin + 5 // one, id 1
	objectAlertMessage  = engine.ObjectAdmin + 6
)

// record is an object of a kind with its number.
type record[T any] struct {
	id uint32
	v  T
}

// records remembers the objects of a kind, so that a request, of a stranger
// least of all, does not go through the decider. It is right because they change
// only in its edit: after a change, before its answer, the list is replaced, and
// an outcome that is not known drops it.
type records[T any] struct {
	kind   engine.ObjectKind
	change sync.Mutex // held over a change or the first reading
	list   atomic.Pointer[[]record[T]]
}

// edit runs a change of the objects, nil for none, and remembers them as they
// are then. change gets those from before.
func (s *records[T]) edit(ctx context.Context, a *Admin, change func(*engine.Core, []record[T]) error) error {
	s.change.Lock()
	defer s.change.Unlock()
	var after []record[T]
	err := a.edit(ctx, func(c *engine.Core) error {
		before, err := s.read(c)
		if err != nil || change == nil {
			after = before
			return err
		}
		if err := change(c, before); err != nil {
			return err
		}
		after, err = s.read(c)
		return err
	})
	if err != nil {
		s.list.Store(nil)
		return err
	}
	s.list.Store(&after)
	return nil
}

// all is the list, read from the engine if it is not remembered.
func (s *records[T]) all(ctx context.Context, a *Admin) ([]record[T], error) {
	if list := s.list.Load(); list != nil {
		return *list, nil
	}
	if err := s.edit(ctx, a, nil); err != nil {
		return nil, err
	}
	if list := s.list.Load(); list != nil {
		return *list, nil
	}
	return nil, ErrUnavailable // a change failed in between
}

func (s *records[T]) read(c *engine.Core) ([]record[T], error) {
	list := []record[T]{}
	for _, id := range c.ObjectIDs(s.kind) {
		r := record[T]{id: id}
		if err := json.Unmarshal(c.Object(engine.ObjectKey{Kind: s.kind, ID: id}), &r.v); err != nil {
			return nil, fmt.Errorf("object %d of kind %d does not read: %w", id, s.kind, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// put writes an object, in an edit.
func (s *records[T]) put(c *engine.Core, id uint32, v *T) error {
	data, err := json.Marshal(v)
	if err == nil {
		c.PutObject(engine.ObjectKey{Kind: s.kind, ID: id}, data)
	}
	return err
}

// add writes an object under a number that none of its kind ever had.
func (s *records[T]) add(c *engine.Core, v *T) (id uint32, err error) {
	id = c.NextObjectID(s.kind)
	return id, s.put(c, id, v)
}

// remove deletes an object, in an edit.
func (s *records[T]) remove(c *engine.Core, id uint32) {
	c.PutObject(engine.ObjectKey{Kind: s.kind, ID: id}, nil)
}
