package client

import (
	"crypto/sha256"
	"errors"
	"runtime"
	"strings"

	"muster/license"
	"muster/machine"
)

// HardBound derives the client UUID from this machine, so that it need not be
// stored and comes back after a reinstallation of the application [CLI-4]: from
// the operating system's id and the processor, on ARM from the operating
// system's id and a network card. A reinstalled operating system is a new device.
//
// Put it into Options.State.UUID. It holds a digest of a digest; no serial
// number can be read out of it.
func HardBound() (license.UUID, error) {
	return hardBound(machine.Read(), runtime.GOARCH)
}

func hardBound(f machine.Facts, arch string) (uuid license.UUID, err error) {
	second, what := f[machine.CPU], "processor id"
	if strings.HasPrefix(arch, "arm") {
		second, what = f[machine.MAC], "network card"
	}
	if f[machine.MachineID] == (machine.Fact{}) {
		return uuid, errors.New("client: this operating system shows no machine id: use a random client UUID and keep it")
	}
	if second == (machine.Fact{}) {
		return uuid, errors.New("client: this machine shows no " + what + ": use a random client UUID and keep it")
	}
	h := sha256.New()
	h.Write([]byte("muster client uuid v1\x00"))
	h.Write(f[machine.MachineID][:])
	h.Write(second[:])
	copy(uuid[:], h.Sum(nil))
	uuid[6] = uuid[6]&0x0f | 0x80 // version 8, RFC 9562: derived by a rule of our own
	uuid[8] = uuid[8]&0x3f | 0x80
	return uuid, nil
}
