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
	UDPRest   = udpRest

	TicketMargin = ticketMargin
	TicketRetry  = ticketRetry
)

var (
	Renewal       = renewal
	TicketRenewal = ticketRenewal
)

// SpendTicket counts n records under the client's ticket without sending them.
func (c *Client) SpendTicket(n uint64) { c.ticket.records.Add(n) }

// TicketRenewal is when the client replaces its ticket.
func (c *Client) TicketRenewal() time.Time { return c.ticketRenewal }

// SetClock puts a test's clock in the place of the real one, for the return to the main.
func (c *Client) SetClock(f func() time.Time) { c.clock = f }

// SetSleep puts f in the place of waiting.
func (c *Client) SetSleep(f func(context.Context, time.Duration) error) { c.sleep = f }

// Address is who answered last.
func (c *Client) Address() string { return c.at.HostPort }

// Transport is how the last answer came.
func (c *Client) Transport() string { return c.at.Transport }

// SetUDPAddress moves the address for datagrams, as a network does that begins to
// let them through.
func (c *Client) SetUDPAddress(hostPort string) {
	for i := range c.addresses {
		if c.addresses[i].Transport == "udp" {
			c.addresses[i].HostPort = hostPort
		}
	}
}

// Spend counts n records under the connection's ticket without sending them.
func (c *Conn) Spend(n uint64) { c.ticket.records.Add(n) }
