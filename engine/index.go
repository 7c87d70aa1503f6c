package engine

import "hash/maphash"

// index finds the primary row of a client UUID. It holds no keys: an open
// addressed word is a row number and five bits of the hash, and the row itself
// is compared. It is derived from the device table and never stored.
//
// It has 4,096 shards that grow one by one, by a quarter: no pause when one
// grows, and a load between 0.68 and 0.85, that is 4.7 to 5.9 bytes a device.
type index struct {
	seed   maphash.Seed
	shards [1 << shardBits]shard
}

type shard struct {
	words []uint32 // hash tag << rowBits | row + 1, 0: free
	used  int
}

const (
	shardBits = 12
	rowBits   = 27
	rowMask   = 1<<rowBits - 1
	shardMin  = 8
)

// newIndex makes an index with room for so many devices: growing goes through
// every row of a shard again.
func newIndex(devices uint32) *index {
	x := &index{seed: maphash.MakeSeed()}
	if words := int(devices>>shardBits) * 5 / 4; words >= shardMin {
		for i := range x.shards {
			x.shards[i].words = make([]uint32, words)
		}
	}
	return x
}

func (x *index) hash(uuid *[16]byte) uint64 { return maphash.Bytes(x.seed, uuid[:]) }

// place returns the shard of a hash, the slot where probing starts and the tag
// in its place in a word.
func (x *index) place(h uint64) (s *shard, slot int, tag uint32) {
	s = &x.shards[h>>(64-shardBits)]
	slot = int(uint64(uint32(h)) * uint64(len(s.words)) >> 32)
	return s, slot, uint32(h>>32) << rowBits
}

// find returns the primary row of uuid, or ok = false.
func (x *index) find(uuid *[16]byte, devices *table) (n uint32, ok bool) {
	s, slot, tag := x.place(x.hash(uuid))
	if len(s.words) == 0 {
		return 0, false
	}
	for {
		w := s.words[slot]
		if w == 0 {
			return 0, false
		}
		if w&^rowMask == tag {
			n = w&rowMask - 1
			if (*deviceRow)(devices.at(n)).uuid == *uuid {
				return n, true
			}
		}
		if slot++; slot == len(s.words) {
			slot = 0
		}
	}
}

// touch reads the slot where a search for uuid would begin: see [Core.prefetch].
func (x *index) touch(uuid *[16]byte) (sum uint32) {
	if s, slot, _ := x.place(x.hash(uuid)); len(s.words) > 0 {
		sum = s.words[slot]
	}
	return sum
}

// add enters a row that is not in the index yet.
func (x *index) add(uuid *[16]byte, n uint32, devices *table) {
	h := x.hash(uuid)
	s := &x.shards[h>>(64-shardBits)]
	if s.used*100 >= len(s.words)*85 {
		x.growShard(s, devices)
	}
	x.enter(h, n)
	s.used++
}

func (x *index) enter(h uint64, n uint32) {
	s, slot, tag := x.place(h)
	for s.words[slot] != 0 {
		if slot++; slot == len(s.words) {
			slot = 0
		}
	}
	s.words[slot] = tag | (n + 1)
}

func (x *index) growShard(s *shard, devices *table) {
	old := s.words
	s.words = make([]uint32, max(shardMin, len(old)*5/4))
	for _, w := range old {
		if w != 0 {
			n := w&rowMask - 1
			x.enter(x.hash(&(*deviceRow)(devices.at(n)).uuid), n)
		}
	}
}
