package peer

import (
	"context"
	"runtime"
	"time"

	"github.com/panjf2000/gnet/v2"

	"muster/storage/journal"
)

// durableEcho is an [Echo] with muster's journal and muster's order: what came
// while the last batch was written is the next one, and is answered when it is on
// disk. So it is the floor of a durable server: nothing is opened, decided or sealed.
type durableEcho struct {
	*Echo
	journal *journal.Journal
	engine  gnet.Engine
	err     error // of the journal

	// Of the event loop.
	loop           gnet.EventLoop
	filling, spare []share // nil: on its way to the disk
	inFlight       bool
	posted         bool // an end-of-cycle task is on its way

	commits, committed chan []share
}

// share is the requests of one connection in a batch.
type share struct {
	conn     gnet.Conn
	requests int
}

func (e *Echo) runDurable() error {
	runtime.GOMAXPROCS(3) // as muster does on one CPU: a sync would hold the only one
	d := &durableEcho{Echo: e, commits: make(chan []share, 1), committed: make(chan []share, 1)}
	var err error
	if d.journal, err = journal.Open(journal.Options{Disk: journal.Dir(e.Journal)}, 0, nil); err != nil {
		return err
	}
	defer d.journal.Close()
	defer close(d.commits)
	go d.commit()
	if err := e.serve(d); err != nil {
		return err
	}
	return d.err
}

// commit makes one batch after the other durable.
func (d *durableEcho) commit() {
	for batch := range d.commits {
		requests := 0
		for _, s := range batch {
			requests += s.requests
		}
		body := append(d.journal.Buffer(), make([]byte, requests*d.Entry)...)
		if _, d.err = d.journal.Append(1, 0, time.Now().UnixNano(), body); d.err != nil {
			_ = d.engine.Stop(context.Background())
			return
		}
		d.committed <- batch
		_ = d.loop.Execute(context.Background(), (*durableAnswer)(d)) // an error: the engine is stopping
	}
}

// OnBoot implements gnet.EventHandler.
func (d *durableEcho) OnBoot(engine gnet.Engine) gnet.Action {
	d.engine = engine
	return d.Echo.OnBoot(engine)
}

// OnTraffic implements gnet.EventHandler.
func (d *durableEcho) OnTraffic(c gnet.Conn) gnet.Action {
	requests, err := d.take(c)
	if err != nil {
		return gnet.Close
	}
	if requests == 0 {
		return gnet.None
	}
	d.filling = append(d.filling, share{c, requests})
	if !d.inFlight && !d.posted {
		d.posted, d.loop = true, c.EventLoop()
		_ = d.loop.Execute(context.Background(), (*durableCycle)(d))
	}
	return gnet.None
}

// handOver has the filled batch written.
func (d *durableEcho) handOver() {
	d.inFlight = len(d.filling) > 0
	if d.inFlight {
		d.commits <- d.filling
		d.filling, d.spare = d.spare[:0], nil
	}
}

// durableCycle ends a poll cycle in which nothing was in flight.
type durableCycle durableEcho

// Run implements gnet.Runnable.
func (t *durableCycle) Run(context.Context) error {
	t.posted = false
	(*durableEcho)(t).handOver()
	return nil
}

// durableAnswer answers the batch that is on disk.
type durableAnswer durableEcho

// Run implements gnet.Runnable.
func (t *durableAnswer) Run(context.Context) error {
	d := (*durableEcho)(t)
	batch := <-d.committed
	d.spare = batch
	d.handOver()
	for _, s := range batch {
		_ = d.answer(s.conn, s.requests) // an error: it is gone
	}
	return nil
}
