//go:build !linux

package bench

// makeDevices returns memory for devices.
func makeDevices(n int) []device { return make([]device, n) }
