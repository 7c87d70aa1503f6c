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
	Up    io.Writer // told "ready ADDR" once it listens
}

// Run listens on a free port of 127.0.0.1 and serves until the process ends.
func (e *UDPEcho) Run() error {
	socket, err := datagram.Listen("127.0.0.1:0", datagram.Shared|datagram.OwnThread)
	if err != nil {
		return err
	}
	fmt.Fprintln(e.Up, "ready", socket.Addr())
	in, out := make([]datagram.Packet, datagram.Max), make([]datagram.Packet, datagram.Max)
	reply := make([]byte, e.Reply)
	for i := range in {
		in[i].Data = make([]byte, datagram.Size)
	}
	for {
		n, err := socket.Read(in)
		if err != nil {
			return err
		}
		for i := range n {
			out[i] = datagram.Packet{Data: reply, Peer: in[i].Peer}
			in[i].Data = in[i].Data[:datagram.Size]
		}
		if err := socket.Write(out[:n]); err != nil {
			return err
		}
	}
}
