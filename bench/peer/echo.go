// Package peer holds the bare servers that muster is measured against: the
// ceiling that the event loop and the kernel set, with nothing done in between.
package peer

import (
	"fmt"
	"io"
	"net"

	"github.com/panjf2000/gnet/v2"
)

// Echo answers every request of Request bytes with Reply bytes: what muster's
// records are on the wire, without a record in them.
type Echo struct {
	gnet.BuiltinEventEngine
	Request, Reply int
	Host           string    // where it listens
	Up             io.Writer // told "ready ADDR" once it listens
	// Journal is a directory for a journal; "": none. With one a request is answered
	// when Entry bytes for it are on disk.
	Journal string
	Entry   int
	addr    string
	reply   []byte
}

// Run listens on a free port of Host and serves until the process ends.
func (e *Echo) Run() error {
	l, err := net.Listen("tcp", net.JoinHostPort(e.Host, "0")) // gnet does not tell its port
	if err != nil {
		return err
	}
	e.addr = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	e.reply = make([]byte, 64<<10/e.Reply*e.Reply)
	if e.Journal != "" {
		return e.runDurable()
	}
	return e.serve(e)
}

func (e *Echo) serve(handler gnet.EventHandler) error {
	return gnet.Run(handler, "tcp://"+e.addr, gnet.WithNumEventLoop(1), gnet.WithReuseAddr(true), gnet.WithTCPNoDelay(gnet.TCPNoDelay))
}

// OnBoot implements gnet.EventHandler.
func (e *Echo) OnBoot(gnet.Engine) gnet.Action {
	fmt.Fprintln(e.Up, "ready", e.addr)
	return gnet.None
}

// OnTraffic implements gnet.EventHandler.
func (e *Echo) OnTraffic(c gnet.Conn) gnet.Action {
	requests, err := e.take(c)
	if err == nil {
		err = e.answer(c, requests)
	}
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}

// take reads the requests that have come.
func (e *Echo) take(c gnet.Conn) (requests int, err error) {
	requests = c.InboundBuffered() / e.Request
	if requests == 0 {
		return 0, nil
	}
	if _, err := c.Peek(requests * e.Request); err != nil {
		return 0, err
	}
	_, err = c.Discard(requests * e.Request)
	return requests, err
}

// answer writes the replies to so many requests.
func (e *Echo) answer(c gnet.Conn, requests int) error {
	for left := requests * e.Reply; left > 0; {
		n := min(left, len(e.reply))
		if _, err := c.Write(e.reply[:n]); err != nil {
			return err
		}
		left -= n
	}
	return nil
}
