//go:build !linux

package bench

import "errors"

func pinned(_ int, start func() error) error { return start() }

// PinSelf is not supported here.
func PinSelf(int) error { return errors.New("processes can be pinned to a CPU on Linux only") }
