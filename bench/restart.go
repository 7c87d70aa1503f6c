package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// restarts measures how long a start takes with many devices: after a clean stop,
// and after kill -9 while the fleet does what it can. Nothing may be lost by
// either, the audit says at the end.
func (l *Lab) restarts(p *population) []step {
	return []step{
		{"start after a clean stop", func(ctx context.Context) (Figures, error) {
			if _, err := l.closed(ctx, p.course()); err != nil {
				return Figures{}, err
			}
			if err := p.server.Stop(time.Minute); err != nil {
				return Figures{}, err
			}
			return p.restart(ctx)
		}},
		{"start after kill -9 under full load", func(ctx context.Context) (Figures, error) {
			ctx, cancel := context.WithTimeout(ctx, 4*l.Time+time.Minute)
			defer cancel()
			time.AfterFunc(4*l.Time, p.server.Kill)
			if err := p.fleet.Run(ctx); err == nil {
				return Figures{}, errors.New("the fleet did not notice that the server was killed")
			}
			<-p.server.Ended()
			return p.restart(ctx)
		}},
	}
}

// restart starts the server anew and connects the fleet again: the latency is the
// time until the server serves devices.
func (p *population) restart(ctx context.Context) (f Figures, err error) {
	if f, err = timed(p.server, p.server.options); err != nil {
		return f, err
	}
	if err = p.fleet.Reconnect(ctx); err != nil {
		return f, fmt.Errorf("connections after the start: %w", err)
	}
	return f, nil
}

// timed starts a server: its latency is the time until it serves devices.
func timed(s *Server, o ServerOptions) (f Figures, err error) {
	began := time.Now()
	if err := s.Restart(o); err != nil {
		return f, err
	}
	took := time.Since(began)
	h := NewHistogram()
	h.Observe(took, 1)
	return Figures{Requests: 1, Seconds: took.Seconds(), CPUSeconds: s.CPU().Seconds(), Memory: s.RSS(), Latency: h.summary()}, nil
}
