//go:build !linux

package machine

import (
	"net"
	"os"
	"slices"
)

// read knows the host's name and network cards only: this platform has no
// portable source for the rest, so a server on it is better bound by key.
func read() (raw [count]string) {
	raw[MachineID], _ = os.Hostname()
	interfaces, _ := net.Interfaces()
	var found []string
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 && len(i.HardwareAddr) == 6 && i.HardwareAddr[0]&2 == 0 {
			found = append(found, i.HardwareAddr.String())
		}
	}
	slices.Sort(found)
	if len(found) > 0 {
		raw[MAC] = found[0]
	}
	return raw
}
