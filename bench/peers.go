package bench

import (
	"context"
	"fmt"
	"time"
)

// Peers sets the server beside what else could stand in its place: bare echoes
// of the same record sizes, which are the ceiling, and Redis, which does the
// same with a script.
func (l *Lab) Peers(ctx context.Context) (*Report, error) {
	server, err := l.server(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	r := l.report("peers")
	type shape struct{ depth, perRecord int }
	name := func(what string, s shape) string {
		text := fmt.Sprintf("%s, depth %d", what, s.depth)
		if s.perRecord > 1 {
			text += fmt.Sprintf(", %d a record", s.perRecord)
		}
		return text
	}
	const conns = 50
	var steps []step
	add := func(what string, s shape, measure func(context.Context) (Figures, error)) {
		steps = append(steps, step{name(what, s), measure})
	}
	const muster, echo, always, everysec = "muster", "gnet echo", "Redis, AOF always", "Redis, AOF everysec"
	shapes := []shape{{1, 1}, {16, 1}, {128, 1}, {128, 16}}
	for _, s := range shapes {
		steps = append(steps, l.load(name(muster, s), server, Load{Conns: conns, Depth: s.depth, PerRecord: s.perRecord}))
		add(echo, s, func(ctx context.Context) (Figures, error) { return l.echo(ctx, conns, s.depth, s.perRecord) })
		if s.perRecord > 1 {
			continue // Redis has no records
		}
		add(always, s, func(ctx context.Context) (Figures, error) { return l.redis(ctx, "always", conns, s.depth) })
		add(everysec, s, func(ctx context.Context) (Figures, error) { return l.redis(ctx, "everysec", conns, s.depth) })
	}
	steps = append(steps, l.load(byUDP, server, Load{Conns: conns, Depth: 16, PerRecord: 1, UDP: true}), l.byUDPEcho(udpEcho, false))
	if err := l.run(ctx, r, steps); err != nil {
		return nil, err
	}
	for _, s := range shapes {
		r.compare(name(muster, s), name(echo, s))
		for _, peer := range []string{always, everysec} {
			r.compare(name(muster, s), name(peer, shape{s.depth, 1}))
		}
	}
	r.compare(byUDP, udpEcho)
	return r, server.Stop(20 * time.Second)
}
