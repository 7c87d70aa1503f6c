package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// stream reads the events of a server under a token.
type stream struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

// listen opens a stream of events.
func (b *bed) listen(url, token string) *stream {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	b.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/events", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("status %d, type %q", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	return &stream{b.t, bufio.NewScanner(answer.Body), cancel}
}

// next is the next change; ok is false when the stream is over.
func (s *stream) next() (change Change, ok bool) {
	s.t.Helper()
	for s.lines.Scan() {
		if data, found := strings.CutPrefix(s.lines.Text(), "data: "); found {
			if err := json.Unmarshal([]byte(data), &change); err != nil {
				s.t.Fatal(err)
			}
			return change, true
		}
	}
	return change, false
}

func newEventServer(b *bed) *httptest.Server {
	b.admin.events.every = 5 * time.Millisecond
	server := httptest.NewServer(b.handler)
	server.Config.RegisterOnShutdown(b.admin.EndEvents)
	b.t.Cleanup(server.Close)
	return server
}

func TestEventsTellWhatChanged(t *testing.T) {
	b := newBed(t)
	project := b.imported()
	server := newEventServer(b)
	s := b.listen(server.URL, b.token(ScopeRead))
	first, _ := s.next()
	if first.State != "serving" || first.Counts.Items != 2 || len(first.Items) != 2 || first.Items["1001/scan"].Uses != 0 {
		t.Fatalf("first event %+v", first)
	}
	b.scans(project, 7)
	uses := uint64(0)
	for uses < 7 { // the check-in and the report may be seen one by one
		change, ok := s.next()
		if !ok {
			t.Fatal("the stream ended")
		}
		if _, other := change.Items["1001/device-yearly"]; other || change.State != "" {
			t.Errorf("%+v tells what did not change", change)
		}
		uses = max(uses, change.Items["1001/scan"].Uses)
	}
}

func TestEventsEndWithTheToken(t *testing.T) {
	b := newBed(t)
	server := newEventServer(b)
	s := b.listen(server.URL, b.token(ScopeRead))
	s.next()
	b.call(localToken, "DELETE", "/api/v1/tokens/1", noBody, http.StatusNoContent, nil)
	if _, more := s.next(); more {
		t.Error("a revoked token is told more")
	}
}

func TestEventsEndAtAStop(t *testing.T) {
	b := newBed(t)
	server := newEventServer(b)
	s := b.listen(server.URL, localToken)
	s.next()
	if err := server.Config.Shutdown(t.Context()); err != nil { // waits for the stream
		t.Fatal(err)
	}
	if _, more := s.next(); more {
		t.Error("the stream goes on")
	}
}

func TestEventStreamsAreBounded(t *testing.T) {
	b := newBed(t)
	b.admin.events.count.Store(eventsMax)
	b.refused(localToken, "GET", "/api/v1/events", noBody, http.StatusServiceUnavailable, "too-many-streams")
	if n := b.admin.events.count.Load(); n != eventsMax {
		t.Errorf("%d streams are counted after the refusal", n)
	}
}
