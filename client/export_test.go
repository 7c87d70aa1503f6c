package client

import (
	"context"
	"time"
)

// What tests of the package see beside its exported names.

const (
	MainRetry = mainRetry
	WaitFirst = waitFirst
	WaitMax   = waitMax
)

var Renewal = renewal

// SetClock puts a test's clock in the place of the real one, for the return to the main.
func (c *Client) SetClock(f func() time.Time) { c.clock = f }

// SetSleep puts f in the place of waiting.
func (c *Client) SetSleep(f func(context.Context, time.Duration) error) { c.sleep = f }

// Address is who answered last.
func (c *Client) Address() string { return c.at.HostPort }

// Transport is how the last answer came.
func (c *Client) Transport() string { return c.at.Transport }
