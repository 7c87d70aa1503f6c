// Package server is the wire front of muster: bytes in, decisions, bytes out.
//
// The path of one request:
//
//  1. An event loop (gnet) sees a whole record, opens it and decodes its
//     messages into the loop's batch.
//  2. At the end of a poll cycle the loop hands the batch to the decider, the
//     one goroutine that runs the core: every change has one order.
//  3. The decider writes the effects of all batches it found as one journal
//     entry and syncs it. Grants are signed meanwhile.
//  4. The loop seals the answers, one buffer and one write a connection, in the
//     order of the requests. No answer leaves before its effects are durable.
//
// A loop has at most one batch with the decider; what arrives meanwhile is the
// next one. So batches grow with the load by themselves, and nobody waits for a
// timer.
package server
