// Package admin is the HTTP API through which a server is operated, and its
// Prometheus metrics.
//
// Everything under /api/v1 speaks JSON, except license files and vendor keys,
// which are the texts that people send to each other. A refusal is a problem
// document (RFC 9457) of type "urn:muster:problem:<kind>"; its detail says what
// happened, to which thing, and what to do next. Times are RFC 3339 in UTC,
// durations are in seconds unless a field's name says otherwise.
//
// # Who may do what
//
// A request carries a bearer token (RFC 6750), or the cookie of a session that
// began with an account's name and password. A token's scope is metrics, read or
// write, and each holds those before it; an account of role viewer has read
// scope, an admin write scope. Reading shows everything but
// secrets: session passwords, license keys (they hold the password) and the
// list of tokens are for write scope. Besides the tokens that operators make
// there is the machine's own one, which works before the state is recovered and
// cannot be revoked, so that an operator with access to the machine is never
// locked out. The one-time setup code buys the password of the account "admin",
// or the first token [OPS-2].
//
// Before that, three walls against web pages that an operator happens to have
// open: the Host header must be one that this server is reached by (DNS
// rebinding), unsafe requests from other origins are refused, and the session's
// cookie is sent by pages of this server alone.
//
// # How changes are made
//
// A change runs in the decider, by Ledger.Do, as one edit of the engine, which
// checks everything before it changes anything; the answer leaves when the
// change is durable. Who changed what from what to what is written into the audit
// in the same edit; its entries form a chain of hashes. Reads use the published catalog and wait for nobody, but
// for single devices, which the decider alone knows. The package reads no clock:
// Config.Now is its time.
package admin
