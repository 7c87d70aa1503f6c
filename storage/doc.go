// Package storage keeps a server's data directory: its identity, the state in
// pages in Badger, the journal behind them, and what joins the two again at start.
//
//	DATA/FORMAT         format version of the directory
//	DATA/lock           held by the one process that may write here
//	DATA/identity.json  key pairs and machine digest, 0600
//	DATA/journal/       the log (package storage/journal)
//	DATA/state/         Badger: pages and catalog objects of the last checkpoints
//	DATA/manifest       what the last complete checkpoint consists of
//
// # Checkpoint and recovery
//
// A checkpoint pass begins at journal index L and copies the pages that changed
// since they were last copied, a few between two batches, while traffic goes on.
// Badger, whose value log holds them, may thus have pages of several ages; each carries the index of the last
// entry applied to it. When all are written, the manifest says for every page
// with which index and checksum it was copied, and L. It is replaced by write,
// fsync, rename and fsync of the directory.
//
// At start each page must be intact by its own checksum, and be either the very
// copy of the manifest or a newer one of a pass that did not finish; an older
// one is a lost write, and the server refuses to start. Then the journal is
// replayed from L: an entry touches a page only if its index is above the one
// the page was loaded with.
//
// The journal is kept back to the checkpoint before the last, so one damaged
// checkpoint can be rebuilt from the one before and the journal.
package storage
