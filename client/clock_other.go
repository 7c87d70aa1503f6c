//go:build !linux

package client

import "time"

var processStart = time.Now()

// bootClock is the time since the process started in milliseconds: this
// platform's standard library has no clock since boot.
func bootClock() uint64 { return uint64(time.Since(processStart).Milliseconds()) }
