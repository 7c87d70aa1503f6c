//go:build !linux

package server

// yieldToOthers does nothing here.
func yieldToOthers() {}
