package main

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// diskGuard stops serving before the disk is full: what is decided must have room
// in the journal, and Badger does not live through a full disk.
type diskGuard struct {
	low  atomic.Bool
	free atomic.Uint64
	quit chan struct{}
	done chan struct{}
}

const (
	// diskEvery is how often free space is looked at. At the fastest journal that
	// was measured, far less than diskFloorDefault is written meanwhile.
	diskEvery        = time.Second
	diskFloorDefault = 1 << 30
)

// watchDisk looks at the free space, and at who was refused, until stopDisk.
func (p *program) watchDisk() {
	p.disk.quit, p.disk.done = make(chan struct{}), make(chan struct{})
	p.lookAtDisk()
	go func() {
		defer close(p.disk.done)
		tick := time.NewTicker(diskEvery)
		defer tick.Stop()
		for {
			select {
			case <-p.disk.quit:
				return
			case <-tick.C:
				p.lookAtDisk()
				if p.refused.looks++; p.refused.looks%refusalsEvery == 0 {
					p.lookAtRefusals()
				}
			}
		}
	}()
}

// stopDisk ends watching. It looks once more: the last checkpoint needs room.
func (p *program) stopDisk() {
	close(p.disk.quit)
	<-p.disk.done
	p.lookAtDisk()
}

// lookAtDisk suspends serving below the floor, and resumes it a tenth above.
func (p *program) lookAtDisk() {
	free, err := p.dir.Free()
	if err != nil {
		p.notices.Tell(slog.LevelWarn, "disk", 1, "can't see how much room there is on the disk, so a full one would go unnoticed; see that the data directory is there and can be read", "error", err)
		return
	}
	p.disk.free.Store(free)
	floor := p.config.DiskFloor
	switch low := p.disk.low.Load(); {
	case !low && free < floor:
		p.log.Error("the disk is nearly full: devices are answered 100 until there is room again; free space, or move the data directory", "data", p.config.Data, "free", free, "floor", floor)
		p.suspend(true)
	case low && free >= floor+floor/10:
		p.log.Info("there is room on the disk again: devices are served", "free", free)
		p.suspend(false)
	}
}

func (p *program) suspend(low bool) {
	p.disk.low.Store(low)
	p.decider.HoldCheckpoints(low)
	if low {
		p.front.Suspend()
	} else {
		p.front.Resume()
	}
}
