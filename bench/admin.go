package bench

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Admin measures what a report costs while nobody looks at the server and while it
// is looked at: by Prometheus, by open portals, and by people who ask.
func (l *Lab) Admin(ctx context.Context) (*Report, error) {
	server, err := l.server(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	r := l.report("admin")
	const alone, watched = "report, nobody looks", "report, scraped, watched and asked"
	load := Load{Conns: 50, Depth: 128, PerRecord: 16}
	busy := l.load(watched, server, load)
	report := busy.measure
	busy.measure = func(ctx context.Context) (Figures, error) {
		looking, stop := context.WithCancel(ctx)
		looks := make(chan error, 1)
		go func() { looks <- server.lookedAt(looking) }()
		f, err := report(ctx)
		stop()
		return f, firstError(err, <-looks)
	}
	if err := l.run(ctx, r, []step{l.load(alone, server, load), busy}); err != nil {
		return nil, err
	}
	r.compare(watched, alone)
	return r, server.Stop(20 * time.Second)
}

// What people who have a portal open ask for, one a second.
var asked = []string{
	"/api/v1/server", "/api/v1/items", "/api/v1/projects", "/api/v1/devices?limit=100",
	"/api/v1/statistics?measure=uses&days=90", "/api/v1/statistics?measure=concurrency&days=30", "/api/v1/alerts",
}

const (
	portals     = 4               // open: each has a stream of events
	scrapeEvery = 5 * time.Second // by Prometheus; 15 s and more are usual
)

// lookedAt looks at the server until ctx ends. The error is the first that is not that.
func (s *Server) lookedAt(ctx context.Context) error {
	faults := make([]error, portals+2)
	var wg sync.WaitGroup
	for i := range portals {
		wg.Go(func() { _, faults[i] = s.call(ctx, http.MethodGet, "/api/v1/events", nil) })
	}
	wg.Go(func() {
		faults[portals] = s.every(ctx, scrapeEvery, func(int) string { return "/metrics" })
	})
	wg.Go(func() {
		faults[portals+1] = s.every(ctx, time.Second, func(n int) string { return asked[n%len(asked)] })
	})
	wg.Wait()
	for _, err := range faults {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return nil
}

// every asks for something at once and then every so often.
func (s *Server) every(ctx context.Context, pause time.Duration, path func(n int) string) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ; n++ {
		if _, err := s.call(ctx, http.MethodGet, path(n), nil); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
