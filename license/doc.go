// Package license is what a vendor signs and what everybody else checks: license files, the certificate that a device
// gets of them, Merkle trees, server identities and license-key strings.
//
// The chain of trust runs downwards, and every link is checked with nothing but the vendor's public key [CLI-2]:
//
//	vendor key ── signs ──> license file      (text signature, for people and servers: Parse)
//	          └── signs ──> certificate root  (Merkle root, for devices: Certificate.Verify)
//	certificate ── names ──> server UUID      (a hash of the server's keys: ServerIdentity.UUID)
//	server key ── signs ──> batch root ──> grant
//
// A vendor works in this order:
//
//	key, _ := license.GenerateKey("Acme Inc", rand.Reader)     // once, offline
//	file, _ := license.Draft(header, items, now)               // status New
//	file, _ = license.Activate(file, []license.UUID{id}, now)  // bound to a server
//	text, _ := file.Sign(key)                                  // what travels by mail
//	file, _ = license.Revise(file, change, later)              // next revision of the same license
//
// A server calls Parse and then CheckImport; nothing of a file is to be used before both have succeeded [FILE-1].
//
// Tolerated in a license file are only the things that mail does to text: a byte order mark, CR LF or CR line ends, and
// blank lines after the end. Everything else is strict. A field that this version does not know is refused, since it
// would be a signed term that nobody enforces.
//
// The package is pure: it opens no file, reads no clock, and takes randomness as an argument.
package license
