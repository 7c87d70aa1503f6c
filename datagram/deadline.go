package datagram

import "time"

// SetReadDeadline ends a Read that waits at t, with an error that is
// [os.ErrDeadlineExceeded]; the zero time lifts it.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.conn.SetReadDeadline(t) }
