// Package journal is the log that muster's acknowledgements rest on: what
// Append has returned for is on disk, in order, and comes back at the next Open
// byte for byte, or Open refuses and says where the damage is.
//
// It knows bytes, an index, a term and a time, and nothing of licensing. It
// reads no clock and reaches the disk through the small interfaces Disk and
// File only, so that package simdisk can stand in for a disk that loses power.
//
// # Use
//
//	j, err := journal.Open(journal.Options{Disk: journal.Dir(path)}, from, replay)
//	body := append(j.Buffer(), ...)                    // built where it will be written from
//	index, err := j.Append(kind, term, unixNano, body) // on disk when it returns
//	err = j.Release(checkpoint)                        // older segments may go
//	err = j.Close()                                    // seals: the stop was clean
//
// One process at a time may hold a directory open (the caller locks it). One
// goroutine calls Buffer, Append and Close; Release, FirstIndex, LastIndex and
// Bytes may be called from any.
//
// # Files
//
// A journal is a run of segment files, 0000000000000001.log and up: sixteen hex
// digits of the segment number, no number left out, each number used once.
// NNNN.fill is a segment whose zeros are still being written, or one that was
// released and waits for them; it is renamed to .log when they are durable. All integers are little-endian, all checksums
// CRC-32C (Castagnoli).
//
//	segment header, one page of 4096 bytes
//	    0   8  magic "musterJL"
//	    8   4  format version, 1
//	   12   4  CRC of the entry before the first (0 in segment 1)
//	   16   8  segment number
//	   24   8  index of the first entry
//	   32   8  size of this file in bytes
//	   40      zeros
//	 4092   4  CRC of bytes 0..4091
//
//	entry, at a multiple of 512 bytes, padded to a multiple of 512
//	    0   4  magic "MJE1"
//	    4   1  kind; 255 is the seal
//	    5   3  zeros
//	    8   8  index
//	   16   8  term
//	   24   8  time, nanoseconds since 1970 UTC
//	   32   8  segment number
//	   40   4  offset of this entry in its segment
//	   44   4  length of the body
//	   48   4  CRC of the entry before this one
//	   52   8  zeros
//	   60   4  header CRC: bytes 0..59
//	   64      body, then zeros
//	 last 4    entry CRC: bytes 0..59, then 64 up to here
//
// The entry CRC goes on from the header CRC over the body and the padding, so
// one pass yields both and no byte of an entry is left unchecked. It must not
// run over the header CRC itself: a CRC taken over data and its own CRC comes
// out the same for all data, and the chain would no longer depend on headers.
// In every format version the magic, the version and the page's CRC stay where
// they are, so an older program can tell a newer file from a damaged one.
//
// The indexes of entries are dense from 1. A seal takes no index: it repeats
// the last one, is written by Close, and is not shown to replay.
//
// # Invariants
//
//  1. A segment is all zeros, durable, full-sized and named durably before its
//     header is written; its header is durable before its first entry is.
//  2. One write is in flight at a time. Append writes once and syncs once, and
//     nothing is written after an error: the journal is poisoned.
//  3. When Open returns, everything it replayed is durable and every byte behind
//     the last entry is zero, durably.
//  4. Entries are bound to their place (segment, offset) and their past (index,
//     CRC of the entry before), so bytes from elsewhere or earlier are no entry.
//  5. Segments go oldest first, each loss of a name durable before the next.
//
// # Torn or damaged
//
// By 1 to 3, a crash leaves intact entries and then at most one entry of which
// some sectors are missing, with only zeros behind it. So at the first place T
// where no intact entry follows, Open looks at all that is left of the segment
// and at the segments after it:
//
//   - An entry header that is intact and bound to its place stands behind T, or
//     at T but with another past, or a later segment has been begun: T was
//     acknowledged before that was written. Damage; Open refuses.
//   - Nothing of the kind: what stands at T was the last write, torn before it
//     was acknowledged. It is dropped, its bytes are zeroed and synced before
//     Open returns, and Journal.Found tells of it.
//
// If the header at T is intact, its body is skipped in that search. Otherwise
// the body is searched too, and invariant 4 keeps a body that holds a copy of a
// journal from looking like one.
//
// Why dropped bytes never come back: they lie behind T, and Open zeroes them
// durably before the next entry is written at T. If the zeroing is itself cut
// short, what remains is a part of the same torn entry, and the next Open comes
// to the same verdict. Nor can the rest of a longer dropped entry be taken for
// the successor of a shorter one written over it: it has zeros there, and if it
// had not, it has no header that names that offset.
//
// A segment file is never shorter than its header says (invariant 1), so a file
// that was cut is damage, not a torn tail. A last segment without an intact
// header and without an entry is a roll that did not finish; it is removed.
//
// What is not detected: damage confined to the very last entry of a journal that
// was not closed looks just like a torn write, and the entry is dropped, though
// it may have been acknowledged; nothing later on disk proves that it was. The
// same holds when the end of the journal is lost as a whole, back to any point
// (files removed, or everything from some entry on replaced by zeros). Two things
// narrow this: the seal, which proves the last entry after every clean stop, and
// Open's from, the index the caller knows to have been durable: a journal that
// ends below it is refused. CRCs find accidents, not forgers.
//
// # Around the page cache
//
// Where the file system can (O_DIRECT), entries and zeros are written around the
// page cache. They are read again only by a start, which drops a segment when it is
// through with it, and by a backup. In the cache the kernel copies them, and looks for memory to copy
// them to, which where memory is short or new to the machine takes milliseconds in
// which nothing else runs on that CPU. The sync is needed all the same: it empties
// the disk's own cache. A segment's header, and all of it where sectors are larger
// than ours, goes through the cache.
//
// # Unsynced pages
//
// A process that was killed leaves its last entry in the kernel's cache, whole
// but perhaps not on disk; after a failed sync the cache may even hold it as
// clean, and a further sync would do nothing. Hence Open writes the last entry
// once more over itself and syncs, before anyone acts on it. The disk must
// leave bytes alone that are overwritten by themselves when power fails. Entries
// that share a 4 KiB page need that anyway: each write of the page repeats
// its neighbours.
//
// # Designs not taken
//
//   - One file that grows: each append changes the file's size and block map, so
//     each sync commits the file system's own journal too. Old entries cannot go.
//   - fallocate: unwritten extents are converted at the first write, so the
//     sync still pays for metadata: 2,700 appends of 64 KiB a second against
//     5,900 over written zeros, at 1 MiB 370 against 1,850. The price is that
//     every byte is written twice, in the background and one segment ahead. At
//     64 KiB that is hardly felt (5,200 a second, 4 KiB 6,500); entries of
//     1 MiB without a pause share the disk with the fill and come to about 600
//     (BenchmarkAppend, 2 cores, ext4).
//   - Badger's value log: one msync per transaction and about half the speed
//     at 64 KiB, it cuts the log silently at a flipped bit, and its memory map
//     turns a full disk into SIGBUS.
//   - etcd's wal: no seam for a simulated disk, its repair cuts
//     acknowledged entries off at a flipped bit, it holds the whole tail in
//     memory and brings 64 packages of gRPC.
//   - Recycling released segments as they are: the bytes behind the last entry
//     would be old entries instead of zeros, and invariant 3, on which telling
//     torn from damaged rests, would be gone. They are filled with zeros again,
//     which costs the disk as much as a new file; what is saved is the
//     allocation, and the removal: on ext4 mounted with discard that of a file of
//     64 MiB took 14 ms and held up other files' syncs for as long.
//   - One sync of a whole new segment: 64 MiB of zeros on their way to the disk
//     hold up the next append for 30 ms. After each MiB it is below 2 ms.
package journal
