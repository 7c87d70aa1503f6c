package datagram

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestRunCrossesAsOne: one system call's one message each way.
func TestRunCrossesAsOne(t *testing.T) {
	from, to := listen(t, "127.0.0.1:0", Runs), listen(t, "127.0.0.1:0", Runs)
	packets := repeated(to)
	if !from.runs {
		t.Skip("this kernel has no runs of datagrams")
	}
	if err := from.Write(packets); err != nil {
		t.Fatal(err)
	}
	got := readSoon(t, to)
	if from.out.n != 1 || len(got) != len(packets) && to.in.n == 1 {
		t.Errorf("%d datagrams were sent as %d and came as %d, %d datagrams", len(packets), from.out.n, to.in.n, len(got))
	}
	if to.in.n > 1 {
		t.Skip("the loopback of this kernel takes runs apart")
	}
}

// repeated are datagrams of one length to one peer.
func repeated(to *Socket) []Packet {
	packets := make([]Packet, Max)
	for i := range packets {
		packets[i] = Packet{Data: []byte("datagram"), Peer: PeerOf(to.Addr())}
	}
	return packets
}

// TestRefusedRunGoesOneByOne: the kernel cuts no run whose datagrams are to have no
// checksum, as it cuts none for a device that can't make them.
func TestRefusedRunGoesOneByOne(t *testing.T) {
	from, to := listen(t, "127.0.0.1:0", Runs), listen(t, "127.0.0.1:0", 0)
	if !from.runs {
		t.Skip("this kernel has no runs of datagrams")
	}
	var fault error
	if err := from.raw.Control(func(fd uintptr) {
		fault = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	}); err != nil || fault != nil {
		t.Fatal(err, fault)
	}
	from.pack(repeated(to), true)
	if err := from.transmit(); err != nil || from.out.errno != unix.EINVAL {
		t.Fatalf("a run without checksums: %v, %v, want EINVAL", err, from.out.errno)
	}
	runsArrive(t, from, []*Socket{to})
}
