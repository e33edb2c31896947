package store

import (
	"fmt"
)

const (
	// blockTarget is the number of pages that are compressed together: 1 MiB.
	// Compressed one by one pages take 5 to 10 points more.
	blockTarget = 256

	// gatherPages bounds what an uncompressed lane collects from short runs.
	gatherPages = 64

	// directPages is the run of new pages from which on writing them from the
	// caller's memory beats collecting them: a pwrite costs as much as copying
	// a few pages that are in the cache.
	directPages = 8
)

// A lane is one open pack and the goroutine that is writing to it. Lanes are
// there because the kernel lets one thread at a time write to a file (ext4
// holds the inode's lock over a buffered write): two goroutines writing 1 GiB
// took 370 to 450 ms with one file and 210 to 240 ms with a file each.
type lane struct {
	w       *Writer
	pack    *packWriter
	enc     *encoder
	pending []byte // pages that have the last slots and are not in the file yet
	limit   int    // of pending, in pages
}

func newLane(w *Writer) (*lane, error) {
	l := &lane{w: w, limit: gatherPages}
	if w.opt.Compression != None {
		l.limit = blockTarget
	}
	var err error
	l.enc, err = newEncoder(w.opt.Compression)
	return l, err
}

// add gives each of the pages its ref, where zero does not say that it is none:
// refs must be 0 before. It is the only place where keys get slots.
func (l *lane) add(pages []byte, keys []Key, zero []bool, refs []Ref) error {
	verify := l.w.opt.VerifyPages
	var deduped, stored int64
	run := 0 // pages before i that are new and not yet handed on
	for i := range keys {
		var err error
		fresh := false
		if !zero[i] {
			if refs[i], fresh, err = l.find(pages, i, &keys[i], &run); err != nil {
				return err
			}
		}
		switch {
		case fresh:
			stored++
			run++
			if verify { // the next page may have to be compared with this one
				err = l.flushRun(pages, i+1, &run)
			}
		case zero[i]:
			err = l.flushRun(pages, i, &run)
		default:
			deduped++
			err = l.flushRun(pages, i, &run)
			if verify && err == nil {
				err = l.w.compare(l, refs[i], pages[i*PageSize:][:PageSize])
			}
		}
		if err != nil {
			return err
		}
	}
	l.w.deduped.Add(deduped)
	l.w.stored.Add(stored)
	return l.flushRun(pages, len(keys), &run)
}

// find returns the ref of page i, which is a fresh one of the lane's pack if the
// page is known nowhere. Before another pack is begun for it the run goes out.
func (l *lane) find(pages []byte, i int, k *Key, run *int) (ref Ref, fresh bool, err error) {
	if ref := l.w.lookup(k); ref != 0 {
		return ref, false, nil
	}
	if l.pack == nil || int(l.pack.slots) == l.w.slots {
		if err := l.flushRun(pages, i, run); err != nil {
			return 0, false, err
		}
		if err := l.roll(); err != nil {
			return 0, false, err
		}
	}
	ref, fresh = l.w.place(k, l.pack)
	return ref, fresh, nil
}

// flushRun hands on the run of new pages that ends before page end.
func (l *lane) flushRun(pages []byte, end int, run *int) error {
	if *run == 0 {
		return nil
	}
	part := pages[(end-*run)*PageSize : end*PageSize]
	*run = 0
	if len(part) >= directPages*PageSize && (l.w.opt.Compression == None || l.w.opt.Compression == Auto && !l.enc.worth(part)) {
		if err := l.flush(); err != nil {
			return err
		}
		return l.pack.writeRaw(part)
	}
	if l.pending == nil {
		l.pending = make([]byte, 0, l.limit*PageSize)
	}
	for len(part) > 0 {
		n := min(len(part), cap(l.pending)-len(l.pending))
		l.pending = append(l.pending, part[:n]...)
		part = part[n:]
		if len(l.pending) == cap(l.pending) {
			if err := l.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush writes what is pending.
func (l *lane) flush() error {
	if len(l.pending) == 0 {
		return nil
	}
	err := l.pack.writeBlock(l.pending, l.enc)
	l.pending = l.pending[:0]
	return err
}

// roll ends the pack, if there is one, and begins the next.
func (l *lane) roll() error {
	if err := l.end(); err != nil {
		return err
	}
	var err error
	l.pack, err = l.w.newPack()
	return err
}

// end completes the pack of the lane.
func (l *lane) end() error {
	if l.pack == nil {
		return nil
	}
	if err := l.flush(); err != nil {
		return err
	}
	p := l.pack
	l.pack = nil
	if p.slots == 0 { // other lanes had all the pages
		return p.discard()
	}
	if err := p.seal(); err != nil {
		return fmt.Errorf("complete pack: %w", err)
	}
	return nil
}
