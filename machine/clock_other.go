//go:build !linux

package machine

import "time"

var processStart = time.Now()

// BootClock is the time since the process started: this platform's standard
// library has no clock since boot.
func BootClock() time.Duration { return time.Since(processStart) }
