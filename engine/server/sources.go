package server

import (
	"hash/maphash"
	"net/netip"
)

// limiter bounds how often something happens for each of many keys, such as
// source addresses: token buckets in memory of a fixed size. Keys share a bucket
// when their hashes meet; the seed is secret, so nobody can choose with whom.
// One goroutine uses it.
type limiter struct {
	seed      maphash.Seed
	perMinute uint64 // tokens that come back
	burst     uint64 // tokens at most
	buckets   [limiterBuckets]bucket
}

type bucket struct {
	spent  uint64 // sixtieths of tokens
	second uint32 // when spent was brought up to date
}

const limiterBuckets = 4096

func (l *limiter) init(perMinute, burst uint64) {
	l.seed, l.perMinute, l.burst = maphash.MakeSeed(), perMinute, burst
}

// allow takes a token of a source network at a second of uptime; false when there
// is none.
func (l *limiter) allow(source netip.Addr, now int64) bool {
	b := l.bucket(maphash.Comparable(l.seed, network(source)), now)
	if !b.has(l.burst) {
		return false
	}
	b.spent += 60
	return true
}

// bucket is that of a hash, up to date.
func (l *limiter) bucket(hash uint64, now int64) *bucket {
	b := &l.buckets[hash%limiterBuckets]
	if second := uint32(now); second > b.second {
		b.spent -= min(b.spent, uint64(second-b.second)*l.perMinute)
		b.second = second
	}
	return b
}

func (b *bucket) has(burst uint64) bool { return b.spent+60 <= burst*60 }

// network is who a source is: the address of IPv4, the /64 of IPv6, which one
// host can fill at will.
func network(a netip.Addr) (n [8]byte) {
	if a.Is4() {
		v4 := a.As4()
		copy(n[4:], v4[:])
		return n
	}
	full := a.As16()
	copy(n[:], full[:])
	return n
}
