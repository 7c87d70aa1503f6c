// Package spool is the client with a memory on disk: what an application counts
// is kept until the server has acknowledged it, and counts exactly once, through
// kill -9 and power cuts, with several processes on one device [CLI-3].
//
//	s, err := spool.Open(spool.Options{Dir: dir, LicenseKey: key, Vendor: ring, Use: use})
//	defer s.Close()
//	go s.Run(ctx, func(err error) { log.Print(err) }) // checks in, renews, sends
//	...
//	if s.Valid() { scan() }
//	err = s.Add("QR", 1) // on disk when it returns
//
// docs/SDK.md says what an application does at its start and at its end.
//
// # Why a folder for each process
//
// Each process works in a folder of its own, which it locks: its own stream
// [CLI-9], its own grant, its own usage. Nothing in a folder is shared, so nothing
// has to be agreed upon between processes, and what has to be right is only what
// one process does. The other way, one stream for all and one process that sends
// for the others, needs usage to be handed from process to process exactly once, a
// new sender whenever the old one dies, and everybody else to follow its grant. It
// would save streams, and the server gives 8 live ones to a client UUID: that is
// how many folders there are. A process that starts takes a free folder before it
// makes one, so there are as many as ever ran at once. A folder whose process is
// gone is adopted: whoever sends takes its lock, and sends what is in it, in its
// stream. The seat belongs to the client UUID and is one for all.
//
// # Files
//
//	lock              held while a process looks for a folder
//	device            the client UUID, if the application does not give one [CLI-4]
//	1/ … 8/           folders
//	  lock            held while a process has the folder
//	  state           client.State, and how many sheets were taken
//	  sheet-7         usage: at most 64 lines of one item, one report
//	damaged/          what was set aside
//
// A file is replaced as a whole: written beside, synced, renamed, the directory
// synced. It is there or it is not, there are no torn ends to tell from damage.
// Each ends with the CRC-32C of all before it. Adding rewrites the newest sheet, at
// most 4 KiB. An append-only file would save one of the two syncs, but its torn end
// looks like a flipped bit in its last record, and to drop that one for torn can
// mean to send a report again under another number.
//
// # Why once
//
// The state holds the report under way with its number, tag and lines, and the
// number of the newest sheet that was taken. Both are in one file, so a sheet
// becomes a report in one step, before anything is sent: from then on the sheet is
// nothing, and the report is sent as it is until it is answered. Sheets are taken in
// order, and their numbers are not used again.
//
// A file that is damaged is set aside and reported, see [Spool.Damaged]. Without its
// state a folder does not say which of its sheets were sent: all of it is set
// aside. So damage can lose usage, and says so; it can't make it count twice.
//
// A spool does not belong into backups: what was not sent yet when the backup was
// made would be sent again after it is restored.
//
// The directory has to be on a local file system. Locks are those of flock, on
// Windows LockFileEx; other systems get an error from Open.
package spool
