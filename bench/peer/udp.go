package peer

import (
	"fmt"
	"io"

	"muster/datagram"
)

// UDPEcho answers every datagram with Reply bytes: recvmmsg and sendmmsg and
// nothing in between.
type UDPEcho struct {
	Reply int
	Runs  bool      // consecutive datagrams of one peer move as one
	Up    io.Writer // told "ready ADDR" once it listens
}

// Run listens on a free port of 127.0.0.1 and serves until the process ends.
func (e *UDPEcho) Run() error {
	options := datagram.Shared | datagram.OwnThread
	if e.Runs {
		options |= datagram.Runs
	}
	socket, err := datagram.Listen("127.0.0.1:0", options)
	if err != nil {
		return err
	}
	fmt.Fprintln(e.Up, "ready", socket.Addr())
	reply := make([]byte, e.Reply)
	for {
		packets, err := socket.Read()
		if err != nil {
			return err
		}
		for i := range packets {
			packets[i].Data = reply
		}
		if err := socket.Write(packets); err != nil {
			return err
		}
	}
}
