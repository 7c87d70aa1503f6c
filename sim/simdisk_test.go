package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"

	"muster/storage"
	"muster/storage/journal"
	"muster/storage/journal/simdisk"
)

// simPages keeps pages on a simulated disk: a file for each transaction. It
// promises what Badger does, whole transactions, and no more: names and lengths
// have a checksum, values are checked by those who read them.
type simPages struct {
	disk   *simdisk.Disk
	values map[string][]byte
	next   int
}

func openSimPages(disk *simdisk.Disk) (*simPages, error) {
	p := &simPages{disk: disk, values: map[string][]byte{}}
	names, err := disk.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names { // in order
		if !strings.HasPrefix(name, "pages-") || strings.HasSuffix(name, ".new") {
			continue
		}
		if err := p.read(disk.Contents(name)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Sscanf(name, "pages-%d", &p.next)
	}
	return p, nil
}

var errSimPages = errors.New("damaged transaction")

func (p *simPages) read(b []byte) error {
	for len(b) > 0 {
		if len(b) < 9 {
			return errSimPages
		}
		key, value := int(b[0]), int(binary.LittleEndian.Uint32(b[1:]))
		if len(b) < 9+key+value || crc32.ChecksumIEEE(slices.Concat(b[:5], b[9:9+key])) != binary.LittleEndian.Uint32(b[5:]) {
			return errSimPages
		}
		p.values[string(b[9:9+key])] = b[9+key : 9+key+value]
		b = b[9+key+value:]
	}
	return nil
}

// Put implements storage.Pages.
func (p *simPages) Put(list []storage.KeyValue) error {
	var b []byte
	for _, kv := range list {
		head := binary.LittleEndian.AppendUint32([]byte{byte(len(kv.Key))}, uint32(len(kv.Value)))
		sum := crc32.ChecksumIEEE(slices.Concat(head, kv.Key))
		b = append(append(binary.LittleEndian.AppendUint32(append(b, head...), sum), kv.Key...), kv.Value...)
	}
	p.next++
	name := fmt.Sprintf("pages-%08d", p.next)
	f, err := p.disk.Create(name + ".new")
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = p.disk.Rename(name+".new", name)
	}
	if err == nil {
		err = p.disk.SyncDir()
	}
	return errors.Join(err, f.Close())
}

// Scan implements storage.Pages.
func (p *simPages) Scan(prefix byte, visit func(key, value []byte) error) error {
	for _, key := range slices.Sorted(maps.Keys(p.values)) {
		if key[0] == prefix {
			if err := visit([]byte(key), p.values[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Loaded implements storage.Pages.
func (p *simPages) Loaded() error { return nil }

// Settle implements storage.Pages.
func (p *simPages) Settle() error { return nil }

// Close implements storage.Pages.
func (p *simPages) Close() error { p.values = nil; return nil }

// simMachine is the disks of the server's machine, which lose power together.
type simMachine struct{ journal, state *simdisk.Disk }

func (m simMachine) each(f func(*simdisk.Disk) *simdisk.Disk) simMachine {
	return simMachine{f(m.journal), f(m.state)}
}

func (m simMachine) media(writer func(<-chan func())) (storage.Media, error) {
	pages, err := openSimPages(m.state)
	return storage.Media{Journal: journal.Disk(m.journal), Pages: pages, Manifest: m.state, Inline: true, Writer: writer}, err
}
