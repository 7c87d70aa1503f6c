package engine

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"testing"
)

// TestExpiriesAgainstAList checks the ring and the map against a plain list. [DEV-2]
func TestExpiriesAgainstAList(t *testing.T) {
	for seed := range uint64(50) {
		r := mathrand.New(mathrand.NewPCG(seed, 2))
		var x expiries
		now := uint32(1_700_000_000)
		x.advance(now)
		var ends []uint32
		for range 3000 {
			switch r.IntN(6) {
			case 0:
				now += r.Uint32N([]uint32{2, 300, 5000}[r.IntN(3)])
				x.advance(now)
			case 1, 2:
				end := now + r.Uint32N([]uint32{2, 900, 2000, 400_000}[r.IntN(4)])
				x.add(end, 1)
				ends = append(ends, end)
			default:
				if len(ends) > 0 { // refresh one, as a report does
					i := r.IntN(len(ends))
					to := now + 1000
					x.add(ends[i], -1)
					x.add(to, 1)
					ends[i] = to
				}
			}
			held := uint64(0)
			for _, end := range ends {
				if end > now {
					held++
				}
			}
			if x.held != held {
				t.Fatalf("seed %d: %d held at %d, want %d", seed, x.held, now, held)
			}
		}
	}
}

// TestIndexFindsEveryRow grows an index through many sizes, and fills one that has
// room from the start.
func TestIndexFindsEveryRow(t *testing.T) {
	for _, room := range []uint32{0, 200_000} {
		findEveryRow(t, room)
	}
}

func findEveryRow(t *testing.T, room uint32) {
	devices := &table{alloc: func(n int) []byte { return make([]byte, n) }}
	x := newIndex(room)
	const n = 200_000
	for i := range uint32(n) {
		d := (*deviceRow)(devices.edit(i, 1))
		rand.Read(d.uuid[:])
		x.add(&d.uuid, i, devices)
	}
	words := 0
	for i := range x.shards {
		words += len(x.shards[i].words)
	}
	if perDevice := float64(words*4) / n; perDevice > 7 {
		t.Errorf("%.1f bytes of index a device, want at most 7", perDevice)
	}
	for i := range uint32(n) {
		got, ok := x.find(&(*deviceRow)(devices.at(i)).uuid, devices)
		if !ok || got != i {
			t.Fatalf("row %d: found %d, %v", i, got, ok)
		}
	}
	if _, ok := x.find(&[16]byte{1, 2, 3}, devices); ok {
		t.Error("found a device that was never added")
	}
}
