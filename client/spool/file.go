package spool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"muster/internal/files"
)

// version is the format of the files, the third word of each.
const version = 1

var (
	// ErrDamaged means that a file is not as it was written.
	ErrDamaged = errors.New("spool: damaged")
	// ErrVersion means that a file was written by a later version of this package.
	ErrVersion = errors.New("spool: written by a later version of this application")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const trailerBytes = len("crc32c 01234567\n")

// encode makes the content of a file: a line that says what it is, v as JSON, and
// the CRC-32C of both.
func encode(kind string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	b := fmt.Appendf(nil, "muster spool %d %s\n%s\n", version, kind, body)
	return fmt.Appendf(b, "crc32c %08x\n", crc32.Checksum(b, castagnoli)), nil
}

// decode reads what encode made.
func decode(kind string, b []byte, v any) error {
	if len(b) < trailerBytes {
		return fmt.Errorf("%w: it has only %d bytes", ErrDamaged, len(b))
	}
	content, trailer := b[:len(b)-trailerBytes], b[len(b)-trailerBytes:]
	if want := fmt.Appendf(nil, "crc32c %08x\n", crc32.Checksum(content, castagnoli)); !bytes.Equal(trailer, want) {
		return fmt.Errorf("%w: the checksum does not match", ErrDamaged)
	}
	head, body, _ := bytes.Cut(content, []byte("\n"))
	var saysVersion int
	var saysKind string
	if _, err := fmt.Sscanf(string(head), "muster spool %d %s", &saysVersion, &saysKind); err != nil {
		return fmt.Errorf("%w: it is no file of a spool", ErrDamaged)
	}
	switch {
	case saysVersion != version:
		return fmt.Errorf("%w: version %d", ErrVersion, saysVersion)
	case saysKind != kind:
		return fmt.Errorf("%w: it is a %s file", ErrDamaged, saysKind)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// read decodes a file. An error names it; one that is not there is [os.ErrNotExist].
func read(d files.Disk, path, kind string, v any) error {
	b, err := d.Read(path)
	if err != nil {
		return err
	}
	if err := decode(kind, b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
