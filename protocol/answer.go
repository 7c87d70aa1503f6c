package protocol

// Answer is one message from the server. Slices that DecodeAnswer sets are
// borrowed from the buffer it read.
type Answer struct {
	Kind uint8
	// ID is the id of the request answered.
	ID uint32
	// Seq is the last sequence number of the stream that the server has taken:
	// everything up to it is counted, durable and may be forgotten [CLI-3]. In
	// OutOfStep it is the number that the server expects next.
	Seq uint32
	// Stream and Token are set in Granted and Refused when the device has one.
	Stream uint32
	Token  uint64
	// Time is the server's clock in unix milliseconds (Granted, Pong).
	Time uint64
	// Code and Item say why (Refused); Item also names the item in Granted.
	Code Code
	Item uint32
	// ItemName is "LicenseId/ItemId" of the item that Refused is about, if any.
	ItemName []byte
	// Grant and Certificate are opaque here; package license reads them.
	// Certificate is empty when the device said that it holds it already.
	Grant       []byte
	Certificate []byte
	// RetryAfter is in milliseconds (Busy).
	RetryAfter uint32
	// Challenge is what the check-in that is answered has to show when it is sent
	// again (NoStream), 0 if that would not help.
	Challenge uint64
}

// AppendAnswer appends a as a message.
func AppendAnswer(dst []byte, a *Answer) []byte {
	switch a.Kind {
	case KindAccepted, KindOutOfStep:
		dst = appendAnswerHead(dst, 3, a)
		return appendUint(dst, uint64(a.Seq))
	case KindGranted:
		dst = appendStream(appendAnswerHead(dst, 9, a), a)
		dst = appendUint(dst, a.Time)
		dst = appendUint(dst, uint64(a.Item))
		return appendBin(appendBin(dst, a.Grant), a.Certificate)
	case KindRefused:
		dst = appendStream(appendAnswerHead(dst, 8, a), a)
		dst = appendUint(dst, uint64(a.Code))
		dst = appendUint(dst, uint64(a.Item))
		return appendString(dst, a.ItemName)
	case KindPong:
		return appendUint(appendAnswerHead(dst, 3, a), a.Time)
	case KindBusy:
		return appendUint(appendAnswerHead(dst, 3, a), uint64(a.RetryAfter))
	case KindNoStream:
		return appendUint(appendAnswerHead(dst, 3, a), a.Challenge)
	}
	return appendAnswerHead(dst, 2, a)
}

func appendAnswerHead(dst []byte, fields byte, a *Answer) []byte {
	return appendUint(append(dst, 0x90|fields, a.Kind), uint64(a.ID))
}

func appendStream(dst []byte, a *Answer) []byte {
	dst = appendUint(dst, uint64(a.Seq))
	dst = appendUint(dst, uint64(a.Stream))
	return appendUint(dst, a.Token)
}

// DecodeAnswer decodes the first message of b into a and returns the bytes behind it.
func DecodeAnswer(b []byte, a *Answer) (rest []byte, err error) {
	c := cursor{b: b}
	fields := c.array("message")
	*a = Answer{Kind: uint8(min(c.uint("type"), 255)), ID: c.uint32("request id")}
	known := 2
	switch a.Kind {
	case KindAccepted, KindOutOfStep:
		known = 3
		a.Seq = c.uint32("sequence")
	case KindGranted:
		known = 9
		c.stream(a)
		a.Time = c.uint("time")
		a.Item = c.uint32("item")
		a.Grant = c.blob(MaxRecord, "grant")
		a.Certificate = c.blob(MaxRecord, "certificate")
	case KindRefused:
		known = 8
		c.stream(a)
		a.Code = Code(c.uint16("code"))
		a.Item = c.uint32("item")
		a.ItemName = c.blob(MaxString, "item name")
	case KindPong:
		known = 3
		a.Time = c.uint("time")
	case KindBusy:
		known = 3
		a.RetryAfter = c.uint32("retry after")
	case KindNoStream:
		known = 3
		a.Challenge = c.uint("challenge")
	case KindTooLarge:
	default:
		c.fail("type")
	}
	if fields < known {
		c.fail("message")
	}
	c.skip(fields-known, "trailing fields")
	if c.fault != "" {
		return nil, &MalformedError{a.Kind, c.fault}
	}
	return b[c.at:], nil
}

// VisitAnswers decodes all messages of an opened Reply record into a, one after
// the other, and calls visit with it for each; it is valid until visit returns.
func VisitAnswers(plain []byte, a *Answer, visit func(*Answer)) (err error) {
	for rest := plain; len(rest) > 0; {
		if rest, err = DecodeAnswer(rest, a); err != nil {
			return err
		}
		visit(a)
	}
	return nil
}

func (c *cursor) stream(a *Answer) {
	a.Seq = c.uint32("sequence")
	a.Stream = c.uint32("stream")
	a.Token = c.uint("token")
}
