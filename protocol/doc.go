// Package protocol is the wire of muster: records, sealing, tickets, the
// handshake, messages and reply codes. It opens no socket and knows nothing of
// licensing; docs/PROTOCOL.md says the same for readers without this code.
//
// # Record
//
// Everything on a connection is a record; on UDP one datagram is one record.
// Integers in record headers are big-endian.
//
//	 0      1      2      3      4                    8
//	+------+------+------+------+--------------------+----------------
//	| 'M'  | 's'  | ver  | type | length of the rest | the rest ...
//	+------+------+------+------+--------------------+----------------
//
//	Hello       client → server, TCP only: HPKE enc 32 | sealed hello
//	HelloReply  server → client: nonce 16 | sealed hello reply
//	Request     client → server: ticket 24 | nonce 12 | sealed messages | tag 16
//	Reply       server → client: nonce 12 | sealed messages | tag 16
//	Reject      server → client, TCP only, in clear: reason 1
//
// The additional data of a Request is its first 32 bytes (header and ticket),
// that of a Reply its header.
//
// # Messages
//
// The sealed body holds one or more messages, one after the other. A message is
// a msgpack array whose first two elements are its type and a request id that
// the answer repeats. Fields are only ever appended; a reader ignores elements
// beyond those it knows. No length prefix is believed before it was compared
// with the bytes that remain, so a hostile prefix can't make a reader allocate.
package protocol
