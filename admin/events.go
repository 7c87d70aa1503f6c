package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

func (a *Admin) eventRoutes() []route {
	return []route{
		{method: "GET", path: "/api/v1/events", scope: ScopeRead, handle: a.streamEvents,
			doc: doc{"Server-sent events: state, counts and usage, when they change", nil, eventStream, []int{200}}},
	}
}

// Change is the data of an event "change": all that there is to say in the first
// event of a stream, then what is not as it was.
type Change struct {
	State  string           `json:"state,omitempty"`
	Counts *Counts          `json:"counts,omitempty"`
	Items  map[string]Usage `json:"items,omitempty"` // by name, LicenseId/ItemId
}

const (
	eventsEvery = 2 * time.Second
	// eventsMax bounds the streams: each keeps a connection open.
	eventsMax = 64
	// eventsPatience is how long a reader may take for an event.
	eventsPatience = 20 * time.Second
	// eventsQuiet is how many rounds without a change go by before a word shows
	// that the stream is alive: proxies close what is silent.
	eventsQuiet = 8
)

// listeners are the streams of events.
type listeners struct {
	every time.Duration
	count atomic.Int64
	end   func() // closes ended
	ended chan struct{}
}

func newListeners() *listeners {
	l := &listeners{every: eventsEvery, ended: make(chan struct{})}
	l.end = sync.OnceFunc(func() { close(l.ended) })
	return l
}

// EndEvents ends the streams of events, for they don't end by themselves when an
// http.Server shuts down.
func (a *Admin) EndEvents() { a.events.end() }

func (a *Admin) streamEvents(w http.ResponseWriter, r *http.Request) error {
	defer a.events.count.Add(-1)
	if a.events.count.Add(1) > eventsMax {
		w.Header().Set("Retry-After", "60")
		return refusal(http.StatusServiceUnavailable, "too-many-streams", "%d streams of events are open, which is the limit; try again later", eventsMax)
	}
	first, err := a.snapshot(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that waits for more would keep events back
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	a.follow(w, r, first)
	return nil
}

// follow writes what changes until the reader goes, may not read any more, or the
// server stops.
func (a *Admin) follow(w http.ResponseWriter, r *http.Request, now *Change) {
	tick := time.NewTicker(a.events.every)
	defer tick.Stop()
	last, quiet := &Change{}, 0
	for {
		text := ""
		if change := now.since(last); change != nil {
			data, err := json.Marshal(change)
			if err != nil {
				panic("admin: an event does not marshal: " + err.Error())
			}
			text, quiet = fmt.Sprintf("event: change\ndata: %s\n\n", data), 0
		} else if quiet++; quiet%eventsQuiet == 0 {
			text = ": alive\n\n"
		}
		if text != "" && !sent(w, text) {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-a.events.ended:
			return
		case <-tick.C:
		}
		if _, err := a.authorize(ScopeRead, r); err != nil { // the session ended meanwhile
			return
		}
		next, err := a.snapshot(r)
		if err != nil {
			return
		}
		last, now = now, next
	}
}

// sent writes and flushes, within eventsPatience.
func sent(w http.ResponseWriter, text string) bool {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(eventsPatience)) // instead of the server's, for the whole answer
	_, err := w.Write([]byte(text))
	return err == nil && control.Flush() == nil
}

// snapshot is all that events tell of.
func (a *Admin) snapshot(r *http.Request) (*Change, error) {
	catalog, err := a.catalog()
	if err != nil {
		return nil, err
	}
	s := &Change{State: a.state(), Items: map[string]Usage{}}
	if s.Counts, err = a.counts(r.Context(), catalog); err != nil {
		return nil, err
	}
	for _, item := range catalog.Items {
		if item != nil {
			s.Items[item.Name()] = usageView(item)
		}
	}
	return s, nil
}

// since is what is not as it was, nil if all is.
func (c *Change) since(last *Change) *Change {
	change := &Change{Items: map[string]Usage{}}
	if c.State != last.State {
		change.State = c.State
	}
	if last.Counts == nil || *c.Counts != *last.Counts {
		change.Counts = c.Counts
	}
	for name, usage := range c.Items {
		if was, known := last.Items[name]; !known || was != usage {
			change.Items[name] = usage
		}
	}
	if change.State == "" && change.Counts == nil && len(change.Items) == 0 {
		return nil
	}
	return change
}
