package machine

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func read() [count]string {
	return [count]string{
		MachineID:   firstOf("/etc/machine-id", "/var/lib/dbus/machine-id"),
		CPU:         cpu(),
		BoardSerial: firstOf("/sys/class/dmi/id/board_serial", "/sys/class/dmi/id/product_uuid", "/proc/device-tree/serial-number"),
		MAC:         mac(),
	}
}

// firstOf is the content of the first file that has one.
func firstOf(paths ...string) string {
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil && strings.Trim(string(b), " \n\x00") != "" {
			return strings.Trim(string(b), " \n\x00")
		}
	}
	return ""
}

// cpu is the first processor's make and model; ARM boards add a serial number.
func cpu() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	var parts []string
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "vendor_id", "cpu family", "model", "model name", "stepping", "CPU implementer", "CPU part", "Serial":
			if entry := strings.TrimSpace(key) + "=" + strings.TrimSpace(value); !slices.Contains(parts, entry) {
				parts = append(parts, entry)
			}
		}
	}
	return strings.Join(parts, ";")
}

// mac is the lowest hardware address of a physical network card.
func mac() string {
	interfaces, _ := net.Interfaces()
	var found []string
	for _, i := range interfaces {
		_, err := os.Stat(filepath.Join("/sys/class/net", i.Name, "device"))
		if err == nil && len(i.HardwareAddr) == 6 {
			found = append(found, i.HardwareAddr.String())
		}
	}
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}
