package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"muster/client"
	"muster/internal/files"
	"muster/license"
)

// foldersMax is how many processes use a spool at once: a client UUID has so many
// live streams [CLI-9].
const foldersMax = 8

// ErrTaken means that there is no folder for one more process.
var ErrTaken = fmt.Errorf("spool: %d processes use this directory already, or it holds usage for other license servers: give this one a directory of its own", foldersMax)

func (o *Options) folderPath(number int) string { return filepath.Join(o.Dir, strconv.Itoa(number)) }

func (o *Options) asidePath() string { return filepath.Join(o.Dir, "damaged") }

// gate is held while folders are looked through, so that nobody finds one busy that
// is only looked at.
func (o *Options) gate() (io.Closer, error) { return o.Disk.Lock(filepath.Join(o.Dir, "lock"), true) }

// choose takes a folder for this process. The caller holds the gate.
func choose(o *Options) (chosen *folder, damage, err error) {
	best := fitsNot
	for n := 1; n <= foldersMax && best != fitsWell; n++ {
		if _, err := o.Disk.List(o.folderPath(n)); missing(err) && best <= fitsBlank {
			break // they are made one after the other
		}
		if err := files.MakeDir(o.Disk, o.folderPath(n)); err != nil {
			return nil, damage, errors.Join(err, closeFolder(chosen))
		}
		f, bad, err := openFolder(o.folderPath(n), o.asidePath(), o.Disk)
		damage = errors.Join(damage, bad)
		switch {
		case errors.Is(err, files.ErrLocked):
			continue
		case err != nil:
			return nil, damage, errors.Join(err, closeFolder(chosen))
		}
		worse := f
		if how := o.fit(f); how < best {
			worse, chosen, best = chosen, f, how
		}
		if err := closeFolder(worse); err != nil {
			return nil, damage, errors.Join(err, closeFolder(chosen))
		}
	}
	if chosen == nil {
		return nil, damage, ErrTaken
	}
	switch best {
	case fitsBlank, fitsBare:
		chosen.kept.State = client.State{UUID: o.UUID}
	case fitsOther:
		chosen.kept.State.Grant = nil
	}
	return chosen, damage, nil
}

func closeFolder(f *folder) error {
	if f == nil {
		return nil
	}
	return f.close()
}

// fit is how well a free folder serves a process, best first.
type fit int

const (
	fitsWell  fit = iota // the same application's, with its stream and grant
	fitsBlank            // never used
	fitsOther            // of another use: the stream serves, the grant does not
	fitsBare             // of another server or client UUID, nothing in it waits
	fitsNot
)

func (o *Options) fit(f *folder) fit {
	state := &f.kept.State
	switch same := f.serves(o.key) && state.UUID == o.UUID; {
	case state.UUID == license.UUID{}:
		return fitsBlank
	case same && equal(state.Use, &o.Use):
		return fitsWell
	case same:
		return fitsOther
	case !f.waits():
		return fitsBare
	}
	return fitsNot
}

// equal compares uses as they are kept.
func equal(a, b *client.Use) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// device is what the device file holds.
type device struct {
	UUID license.UUID `json:"uuid"`
}

// deviceUUID reads the client UUID of the directory, or draws one [CLI-4]. If its
// file is damaged, the folders have it too. The caller holds the gate.
func deviceUUID(o *Options) (uuid license.UUID, damage, err error) {
	const name = "device"
	path := filepath.Join(o.Dir, name)
	known := device{}
	switch err := read(o.Disk, path, name, &known); {
	case err == nil:
		return known.UUID, nil, nil
	case errors.Is(err, ErrDamaged):
		damage = err
	case !missing(err):
		return uuid, nil, err
	}
	for n := 1; n <= foldersMax && known.UUID == (license.UUID{}); n++ {
		k := kept{}
		if read(o.Disk, filepath.Join(o.folderPath(n), stateName), stateName, &k) == nil {
			known.UUID = k.State.UUID
		}
	}
	if known.UUID == (license.UUID{}) {
		rand.Read(known.UUID[:])
		if damage != nil {
			damage = fmt.Errorf("%w; this is a new device now", damage)
		}
	}
	data, err := encode(name, &known)
	if err != nil {
		return uuid, damage, err
	}
	return known.UUID, damage, files.Replace(o.Disk, path, data)
}
