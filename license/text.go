package license

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	beginLine   = "-----BEGIN LICENSE SIGNATURE-----"
	endLine     = "-----END LICENSE SIGNATURE-----"
	itemsLine   = "LicenseItems:"
	itemBegin   = "- "
	byteOrder   = "\ufeff"
	fieldIndent = "  "
)

// normalize undoes what mail does to a text, and refuses what is no text [FILE-1].
func normalize(data []byte) ([]byte, *Error) {
	if len(data) > FileSizeMax {
		return nil, fault(TooLarge, "", "the license file has %d bytes; the limit is %d, so this is probably another file", len(data), FileSizeMax)
	}
	data = bytes.TrimPrefix(data, []byte(byteOrder))
	data = bytes.Clone(data) // the file keeps its text
	if bytes.ContainsRune(data, '\r') {
		data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	}
	line := 1
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == '\n' {
			line++
		} else if r == utf8.RuneError && size == 1 || unicode.IsControl(r) || r == '\ufeff' {
			return nil, &Error{Kind: Syntax, Line: line, Text: "a byte that no license file has; the file is damaged or is not a license file"}
		}
		rest = rest[size:]
	}
	return data, nil
}

// sectionFieldsMax bounds the lines of the header and of an item: there are fewer
// fields than that, and none stands twice.
const sectionFieldsMax = 64

// layout is a license text taken apart into lines, before any value is understood.
type layout struct {
	header section
	items  []section
	signed []byte  // the text above the block
	block  section // the signature block
}

// splitText takes a normalized text apart. Lines that are blank or begin with # are passed over, above the block.
func splitText(text []byte) (layout, *Error) {
	l := layout{header: section{line: 1}}
	inItems := false
	number, offset := 0, 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		if line == beginLine {
			l.signed = text[:offset]
			l.block = section{line: number}
			return l, l.splitBlock(string(text[offset:]))
		}
		offset += len(line) + 1
		bare := strings.TrimSpace(line)
		switch {
		case bare == "" || bare[0] == '#':
			continue
		case line == itemsLine && !inItems:
			inItems = true
			continue
		case strings.HasPrefix(line, itemBegin) && inItems:
			if len(l.items) == ItemsMax {
				e := tooManyItems(ItemsMax + 1)
				e.Line = number
				return l, e
			}
			l.items = append(l.items, section{line: number})
			bare = strings.TrimSpace(line[len(itemBegin):])
			if !strings.HasPrefix(bare, "ItemId:") {
				return l, &Error{Kind: Syntax, Line: number, Text: "an item begins with \"- ItemId: …\""}
			}
		case (line[0] == ' ') != inItems || inItems && len(l.items) == 0:
			return l, &Error{Kind: Syntax, Line: number, Text: "the line stands where it does not belong: the header has no indentation, items stand below \"LicenseItems:\" and begin with \"- ItemId: …\""}
		}
		field, err := splitField(bare, number)
		if err != nil {
			return l, err
		}
		into := &l.header
		if inItems {
			into = &l.items[len(l.items)-1]
		}
		if len(into.fields) == sectionFieldsMax {
			return l, &Error{Kind: Syntax, Line: number, Text: fmt.Sprintf("the header or an item has more than %d lines; this is no license file", sectionFieldsMax)}
		}
		into.fields = append(into.fields, field)
	}
	return l, fault(NotSigned, "", "the text has no signature block (%q); ask the vendor for the complete file", beginLine)
}

func splitField(bare string, line int) (Field, *Error) {
	name, value, ok := strings.Cut(bare, ":")
	if !ok || !token(name, 64, "") {
		return Field{}, &Error{Kind: Syntax, Line: line, Text: "is not of the form \"Name: value\""}
	}
	return Field{Name: name, Value: strings.TrimSpace(value), Line: line}, nil
}

// blockFields are the lines of the signature block, in their only order.
var blockFields = []string{"KeyId", "TextSignature", "CertificateRoot", "CertificateSignature"}

// splitBlock takes the block apart. Nobody signs these lines, so they can be written in one way only.
func (l *layout) splitBlock(text string) *Error {
	lines := strings.SplitN(text, "\n", len(blockFields)+3) // what follows the block is one
	bad := func(i int, text string) *Error {
		return &Error{Kind: Syntax, Line: l.block.line + i, Text: text}
	}
	for i, line := range lines[1:] {
		switch {
		case i < len(blockFields):
			value, ok := strings.CutPrefix(line, blockFields[i]+": ")
			if !ok {
				return bad(i+1, "the signature block is damaged: here stands \""+blockFields[i]+": …\"")
			}
			l.block.fields = append(l.block.fields, Field{Name: blockFields[i], Value: value, Line: l.block.line + i + 1})
		case i == len(blockFields):
			if line != endLine {
				return bad(i+1, "the signature block does not end with \""+endLine+"\"")
			}
		case strings.TrimSpace(line) != "":
			return bad(i+1, "nothing may follow the signature block; it would not be signed")
		}
	}
	if len(lines) < len(blockFields)+2 {
		return bad(len(lines)-1, "the signature block is cut short; ask the vendor for the complete file")
	}
	return nil
}

// unsignedText is the file as text, up to the signature block.
func (f *File) unsignedText() []byte {
	var b bytes.Buffer
	for _, field := range writeFields(headerFields, f) {
		b.WriteString(field.Name + ": " + field.Value + "\n")
	}
	b.WriteString("\n" + itemsLine + "\n")
	for i := range f.Items {
		indent := itemBegin
		for _, field := range writeFields(itemFields, &f.Items[i]) {
			b.WriteString(indent + field.Name + ": " + field.Value + "\n")
			indent = fieldIndent
		}
		b.WriteString("\n")
	}
	return b.Bytes()
}
