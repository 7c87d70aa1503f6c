package bench

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ask asks the kernel.
func (m *Machine) ask() {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.System += " " + unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(model)
			return
		}
	}
}
