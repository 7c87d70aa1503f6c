package server

import (
	"time"

	"muster/protocol"
)

// Limits of the front. Over each of them there is a defined answer.
const (
	// batchRequests bounds the requests that a loop of connections has waiting. It
	// reads no more until its last batch is back, so that more wait with the kernel,
	// which makes their senders wait.
	batchRequests = 32 << 10
	// batchMemory is how many requests the batches of all loops have memory for from
	// the start.
	batchMemory = 8 << 10
	// connUnanswered bounds the requests of one connection that wait for their
	// answer; more are answered busy.
	connUnanswered = 4 << 10
	// outboundMax closes a connection that does not read its answers, in bytes.
	outboundMax = 1 << 20
	// handshakeQueue bounds the handshakes that wait for a worker; more are
	// rejected as busy.
	handshakeQueue = 1024
	// newTicketsRate and newTicketsBurst bound the tickets not seen before that one
	// source address may present by datagram, in a second and at once; more are
	// dropped. A fleet behind one address gets through after a restart in minutes.
	newTicketsRate  = 2000
	newTicketsBurst = 20_000
	// denialsMax bounds the refused handshakes that wait to be counted.
	denialsMax = 1024
	// guessesPerMinute and guessesBurst bound the wrong passwords that one source
	// may try on a project; then it is rejected as busy, whatever it brings.
	guessesPerMinute = 6
	guessesBurst     = 20
	// udpBatch is how many requests by datagram make a batch that is handed over
	// although more have come.
	udpBatch = 4 << 10
	// ConnectionsMax is the default limit of open connections; more are closed
	// on arrival, before they can exhaust the file descriptors that the journal needs.
	ConnectionsMax = 50_000
	// TicketLife is how long a ticket is good for.
	TicketLife = 7 * 24 * time.Hour
	// A checkpoint pass begins after as much journal as the pages take, so that it
	// at most doubles what is written, but not before checkpointJournalMin, and not
	// after checkpointJournalMax: a start has all of that to read.
	checkpointJournalMin = 256 << 20
	checkpointJournalMax = 1 << 30
	// checkpointSpread is how long a pass with many pages takes, if not half of the
	// journal until the next one is written before: all at once it would take CPU
	// and disk from the devices.
	checkpointSpread = 30 * time.Second
	// idleTick and passTick are how often the decider runs without traffic, and
	// while a checkpoint pass is under way.
	idleTick = time.Second
	passTick = 2 * time.Millisecond
	// checkpointInterval starts one after so long, if anything changed.
	checkpointInterval = 5 * time.Minute
)

// A reply record holds the answers to the messages of one request record with
// room to spare: an answer without grant is below 64 bytes.
var _ [protocol.MaxRecord - protocol.MaxMessages*64]struct{}
