package protocol

// Frozen wire values. Devices in the field depend on each of them: values are
// added, never changed or reused.
const (
	// Version is the record version in the third byte of every record.
	Version = 1

	magic0 = 'M'
	magic1 = 's'

	// HeaderBytes is the length of the clear record header.
	HeaderBytes = 8
	// TicketBytes is the length of a ticket, see [Ticket].
	TicketBytes = 24
	// NonceBytes is the length of the AES-GCM nonce in a record.
	NonceBytes = 12
	// TagBytes is the length of the AES-GCM tag that ends a sealed body.
	TagBytes = 16
	// RequestOverhead is what a Request record adds to its messages.
	RequestOverhead = HeaderBytes + TicketBytes + NonceBytes + TagBytes
	// ReplyOverhead is what a Reply record adds to its messages.
	ReplyOverhead = HeaderBytes + NonceBytes + TagBytes

	// SlotSeconds is the length of a slot: 480 a day (domain rule "slot").
	SlotSeconds = 180
)

// Record types, the fourth byte of a record.
const (
	TypeHello      = 1
	TypeHelloReply = 2
	TypeRequest    = 3
	TypeReply      = 4
	TypeReject     = 5
)

// Message types, the first element of a message. Requests are below 32, answers above.
const (
	KindCheckIn uint8 = 1
	KindReport  uint8 = 2
	KindRelease uint8 = 3
	KindPing    uint8 = 4

	KindGranted   uint8 = 33
	KindAccepted  uint8 = 34
	KindRefused   uint8 = 35
	KindOutOfStep uint8 = 36
	KindPong      uint8 = 37
	KindBusy      uint8 = 38
	KindNoStream  uint8 = 39
	KindTooLarge  uint8 = 40
)

// Limits a peer may rely on. Larger input is malformed.
const (
	// MaxRecord bounds a record on TCP, header included, in bytes.
	MaxRecord = 64 << 10
	// MaxDatagram bounds a record on UDP, in bytes.
	MaxDatagram = 1200
	// MaxMessages bounds the messages of one record.
	MaxMessages = 1024
	// MaxReportLines bounds the (slot, module, count) lines of one report.
	MaxReportLines = 64
	// MaxModules bounds the modules that one check-in asks for.
	MaxModules = 64
	// MaxString bounds every string of a message, in bytes.
	MaxString = 255
	// MaxLineCount bounds the count of one report line: a device can't
	// overflow a counter, and needs no more in one slot.
	MaxLineCount = 1 << 30
	// MaxTicketRecords bounds the records sealed under one ticket in each
	// direction: of 2^30 random 96-bit nonces two are equal with a chance of 2^-37
	// (NIST SP 800-38D allows 2^32 of them at 2^-33).
	MaxTicketRecords = 1 << 30
)
