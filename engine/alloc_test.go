package engine

import (
	"crypto/ed25519"
	"testing"

	"muster/protocol"
)

// TestReportAllocatesNothing is the steady state of the hot path: a batch of
// reports from decision to published counters.
func TestReportAllocatesNothing(t *testing.T) {
	b := newBed(t)
	p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "1000", "Modules", "QR"})
	const n = 100
	ds := make([]Decision, n)
	for i := range ds {
		d := b.device(p)
		d.mustCheckIn()
		r := d.reportRequest(1)
		r.Seq = 0
		ds[i] = Decision{Request: r, Project: p.Ordinal, Generation: p.Generation}
	}
	buffer := make([]byte, 0, 1<<20)
	allocs := testing.AllocsPerRun(100, func() {
		b.now = b.now.Add(1e6)
		b.core.Begin(b.now.UnixNano(), buffer)
		for i := range ds {
			ds[i].Request.Seq++
		}
		b.core.Decide(ds)
		b.core.Close()
		b.core.Publish()
	})
	if allocs != 0 {
		t.Errorf("%v allocations in a batch of %d reports, want 0", allocs, n)
	}
	if ds[0].Reply.Kind != protocol.KindAccepted || b.uses(1) != 101*n {
		t.Errorf("answered %d, %d uses; want accepted and %d", ds[0].Reply.Kind, b.uses(1), 101*n)
	}
}

func BenchmarkReport(b *testing.B) {
	bed := newBed(b)
	p := bed.imported("1", []string{"ChargeWay", "device-daily", "Quota", "10000"})
	const n = 900
	ds := make([]Decision, n)
	for i := range ds {
		d := bed.device(p)
		d.mustCheckIn()
		r := d.reportRequest(1)
		r.Seq = 0
		ds[i] = Decision{Request: r, Project: p.Ordinal, Generation: p.Generation}
	}
	buffer := make([]byte, 0, 1<<20)
	for b.Loop() {
		bed.core.Begin(bed.now.UnixNano(), buffer)
		for i := range ds {
			ds[i].Request.Seq++
		}
		bed.core.Decide(ds)
		bed.core.Close()
		bed.core.Publish()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/report")
}

// renewals are check-ins of n devices, with an answers' memory, to be decided
// again and again.
func renewals(b *bed, n int) []Decision {
	p := b.imported("1", []string{"ChargeWay", "device-daily", "Quota", "10000"})
	ds, memory := make([]Decision, n), new(Answers)
	for i := range ds {
		d := b.device(p)
		d.mustCheckIn()
		r := d.change(protocol.KindCheckIn)
		r.Seq, r.CheckIn = 0, want("DBR")
		ds[i] = Decision{Request: r, Project: p.Ordinal, Generation: p.Generation, Memory: memory}
	}
	return ds
}

// renew decides them as one batch and signs their grants.
func renew(b *bed, ds []Decision, buffer []byte) {
	ds[0].Memory.Reset()
	b.core.Begin(b.now.UnixNano(), buffer)
	for i := range ds {
		ds[i].Request.Seq++
	}
	b.core.Decide(ds)
	b.core.Close()
	b.core.SignGrants(func(statement []byte) []byte { return ed25519.Sign(b.signing, statement) })
	b.core.Publish()
}

// TestCheckInAllocatesByTheBatch: grants and their answers stand in memory that
// is used again; what is left are a few pieces for the signature of the batch.
func TestCheckInAllocatesByTheBatch(t *testing.T) {
	b := newBed(t)
	const n = 200
	ds := renewals(b, n)
	buffer := make([]byte, 0, 1<<20)
	allocs := testing.AllocsPerRun(100, func() { renew(b, ds, buffer) })
	if allocs > 10 {
		t.Errorf("%v allocations in a batch of %d check-ins, want 10 at most", allocs, n)
	}
	if a := ds[n-1].Answer(); a.Kind != protocol.KindGranted || len(a.Grant) == 0 {
		t.Errorf("answered %d with a grant of %d bytes", a.Kind, len(a.Grant))
	}
}

// BenchmarkCheckIn decides renewals of 1,024 devices as one batch and signs their
// grants.
func BenchmarkCheckIn(b *testing.B) {
	bed := newBed(b)
	const n = 1024
	ds := renewals(bed, n)
	buffer := make([]byte, 0, 1<<20)
	for b.Loop() {
		renew(bed, ds, buffer)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/check-in")
}
