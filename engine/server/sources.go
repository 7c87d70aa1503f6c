package server

import (
	"hash/maphash"
	"net/netip"
)

// limiter bounds how often each source address does something: token buckets in
// memory of a fixed size. Sources share a bucket when their hashes meet; the
// seed is secret, so nobody can choose whose. One goroutine uses it.
type limiter struct {
	seed        maphash.Seed
	rate, burst uint32 // tokens a second, and at most
	buckets     [limiterBuckets]bucket
}

type bucket struct {
	spent  uint32
	second uint32 // when spent was brought up to date
}

const limiterBuckets = 4096

func (l *limiter) init(rate, burst uint32) {
	l.seed, l.rate, l.burst = maphash.MakeSeed(), rate, burst
}

// allow takes a token of a source's bucket at a unix second; false when there is none.
func (l *limiter) allow(source netip.Addr, now int64) bool {
	b := &l.buckets[maphash.Comparable(l.seed, network(source))%limiterBuckets]
	if second := uint32(now); second > b.second {
		back := uint64(second-b.second) * uint64(l.rate)
		b.spent -= uint32(min(back, uint64(b.spent)))
		b.second = second
	}
	if b.spent >= l.burst {
		return false
	}
	b.spent++
	return true
}

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
