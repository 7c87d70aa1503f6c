//go:build !linux

package bench

import (
	"context"
	"errors"
)

// Brake needs Linux's CPU clocks of other processes.
func Brake(context.Context, int, int) error {
	return errors.New("a process can be braked on Linux only")
}
