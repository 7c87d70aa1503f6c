package server

import (
	"crypto/ed25519"
	"testing"
	"time"

	"muster/engine"
	"muster/license"
	"muster/protocol"
)

// nowhere is a journal that keeps nothing.
type nowhere struct {
	buffer []byte
	index  uint64
}

func (n *nowhere) Buffer() []byte { return n.buffer[:0] }

func (n *nowhere) Append(uint8, uint64, int64, []byte) (uint64, error) {
	n.index++
	return n.index, nil
}

// copies counts the pages of a checkpoint.
type copies struct {
	pages [64]engine.Page
	ids   [64]engine.PageID
	n     int
}

func (c *copies) Begin(engine.CheckpointStart)                   {}
func (c *copies) Buffer() ([]engine.Page, []engine.PageID, bool) { return c.pages[:], c.ids[:], true }
func (c *copies) Write(n int)                                    { c.n += n }
func (c *copies) Finish(done func(error))                        { done(nil) }

// A checkpoint with many pages takes its time, and is not held up by a clock that
// goes back.
func TestCheckpointTakesItsTime(t *testing.T) {
	const pages = 1000
	began := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		later time.Duration
		most  int
	}{
		"at once":           {0, 64 * 2},
		"a third later":     {checkpointSpread / 3, pages/3 + 64*2},
		"at the end":        {checkpointSpread, 2 * pages},
		"the clock is back": {-time.Hour, 2 * pages},
	} {
		now := began
		journal, written := &nowhere{buffer: make([]byte, 0, 1<<20)}, &copies{}
		core := engine.New(engine.Config{
			Server:  license.ServerIdentity{Mode: license.BindKey, SigningKey: make(ed25519.PublicKey, ed25519.PublicKeySize)},
			Trusted: &license.KeyRing{}, Alloc: func(bytes int) []byte { return make([]byte, bytes) },
		})
		if err := core.Start(0); err != nil {
			t.Fatal(err)
		}
		y := NewCycle(DeciderConfig{Core: core, Journal: journal, Checkpoint: written, Now: func() int64 { return now.UnixNano() }})
		for p := range uint32(pages) { // each project has records of its own
			y.begin()
			core.Deny(p+1, protocol.NoSuchProject, 0, protocol.UUID{})
			y.commit()
		}
		y.beginCheckpoint()
		now = now.Add(test.later)
		for range 200 {
			if err := y.Run(nil); err != nil {
				t.Fatal(err)
			}
		}
		y.Close()
		t.Logf("%s: %d pages", name, written.n)
		if done := y.Stats.Passes.Load() == 1; written.n > test.most || done != (test.most > pages) {
			t.Errorf("%s: %d pages are copied, want at most %d; the pass is through: %v", name, written.n, test.most, done)
		}
	}
}
