package storage

import (
	"fmt"
	"hash/crc32"

	"muster/engine"
	"muster/storage/journal"
)

// checkpointer writes passes beside the decider. The decider
// fills one of two buffers while the other is written; when both are full it
// goes on deciding and tries again after the next batch: the disk sets the pace.
type checkpointer struct {
	pages    Pages
	disk     journal.Disk // of the manifest
	release  func(below uint64) error
	work     chan func()
	free     chan *pageBuffer
	filling  *pageBuffer
	manifest manifest // as it will be when the pass is complete
	err      error    // of the pass under way; used by the writer only
}

type pageBuffer struct {
	pages [engine.CheckpointPages]engine.Page
	ids   [engine.CheckpointPages]engine.PageID
}

func newCheckpointer(m Media, last *manifest, release func(uint64) error) *checkpointer {
	c := &checkpointer{
		pages: m.Pages, disk: m.Manifest, manifest: *last, release: release,
		work: make(chan func(), 4), free: make(chan *pageBuffer, 2),
	}
	c.free <- new(pageBuffer)
	c.free <- new(pageBuffer)
	m.Writer(c.work)
	return c
}

// Begin implements engine.Checkpointer.
func (c *checkpointer) Begin(start engine.CheckpointStart) {
	c.work <- func() {
		c.err = nil
		c.manifest.previous, c.manifest.begin = c.manifest.begin, start.Index
		c.manifest.rows = start.Rows
		for from := 0; from < len(start.Objects) && c.err == nil; from += objectsPerTxn {
			c.err = c.writeObjects(start.Objects[from:min(from+objectsPerTxn, len(start.Objects))])
		}
	}
}

// objectsPerTxn keeps a transaction of the largest objects, license files of
// 1 MiB, below Badger's limit of a sixth of a memtable.
const objectsPerTxn = 1

// Buffer implements engine.Checkpointer.
func (c *checkpointer) Buffer() ([]engine.Page, []engine.PageID, bool) {
	if c.filling == nil {
		select {
		case c.filling = <-c.free:
		default:
			return nil, nil, false
		}
	}
	return c.filling.pages[:], c.filling.ids[:], true
}

// Write implements engine.Checkpointer.
func (c *checkpointer) Write(n int) {
	buf := c.filling
	c.filling = nil
	c.work <- func() {
		if c.err == nil {
			c.err = c.writePages(buf.pages[:n], buf.ids[:n])
		}
		c.free <- buf
	}
}

// Finish implements engine.Checkpointer.
func (c *checkpointer) Finish(done func(error)) {
	c.work <- func() {
		err := c.err
		if err == nil {
			err = replaceFile(c.disk, manifestName, c.manifest.encode())
		}
		if err == nil {
			err = c.release(c.manifest.previous + 1)
		}
		if err == nil {
			err = c.pages.Settle()
		}
		if err != nil {
			err = fmt.Errorf("checkpoint at journal index %d: %w; nothing is lost, the journal has it: check the disk and start again", c.manifest.begin, err)
		}
		done(err)
	}
}

func (c *checkpointer) stop() { close(c.work) }

func (c *checkpointer) writeObjects(objects []engine.ObjectCopy) error {
	list := make([]KeyValue, len(objects))
	for i, o := range objects {
		list[i] = KeyValue{objectKey(o.Key), objectValue(o)}
		c.manifest.objects[o.Key] = pageMark{o.Index, crc32.Checksum(list[i].Value, castagnoli)}
	}
	return c.pages.Put(list)
}

func (c *checkpointer) writePages(pages []engine.Page, ids []engine.PageID) error {
	list := make([]KeyValue, len(pages))
	for i := range pages {
		crc := pages[i].Seal()
		list[i] = KeyValue{pageKey(ids[i]), pages[i][:]}
		c.mark(ids[i], pageMark{pages[i].Index(), crc})
	}
	return c.pages.Put(list)
}

func (c *checkpointer) mark(id engine.PageID, m pageMark) {
	marks := &c.manifest.pages[id.Table]
	for uint32(len(*marks)) <= id.Number {
		*marks = append(*marks, pageMark{})
	}
	(*marks)[id.Number] = m
}
