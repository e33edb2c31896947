package store

import (
	"errors"
	"fmt"
	"sync"
)

// A Reader reads the pages that one page table refers to. Any number of
// goroutines may use it. It keeps the packs it has met open.
type Reader struct {
	s     *Store
	packs []lazyPack
	cache blockCache
}

type lazyPack struct {
	once sync.Once
	pack packReader
	info FileInfo
	err  error
}

// NewReader returns a reader for the refs in pt. Packs are opened when they are
// first needed.
func (s *Store) NewReader(pt *PageTable) (*Reader, error) {
	r := &Reader{s: s, packs: make([]lazyPack, len(pt.Packs))}
	for i, fi := range pt.Packs {
		if _, _, _, ok := parsePack(fi.Name); !ok {
			return nil, fmt.Errorf("read pages: %q is no name of a pack", fi.Name)
		}
		r.packs[i].info = fi
	}
	return r, nil
}

// Pin opens all packs, so that they can be read although they have been removed
// from the store meanwhile. No read may be under way.
func (r *Reader) Pin() error {
	for i := range r.packs {
		l := &r.packs[i]
		if err := l.pack.pin(r.s, l.info); err != nil {
			return err
		}
	}
	return nil
}

// ReadRun fills dst, which has run.Count pages, with the pages of a run. Each
// is checked against its key.
func (r *Reader) ReadRun(run Run, dst []byte) error {
	if len(dst) != int(run.Count)*PageSize {
		panic(fmt.Sprintf("store: ReadRun of %d pages into %d bytes", run.Count, len(dst)))
	}
	if run.Ref == 0 {
		clear(dst)
		return nil
	}
	n := run.Ref.pack()
	if n < 1 || n > len(r.packs) {
		return fmt.Errorf("read pages: pack %d of %d is wanted", n, len(r.packs))
	}
	l := &r.packs[n-1]
	l.once.Do(func() { l.err = l.pack.open(r.s, l.info) })
	if l.err != nil {
		return l.err
	}
	return l.pack.read(run.Ref.slot(), int(run.Count), dst, &r.cache)
}

// ReadPages fills dst with the pages at refs, in their order. Refs that follow
// each other in a pack are read together.
func (r *Reader) ReadPages(refs []Ref, dst []byte) error {
	if len(dst) != len(refs)*PageSize {
		panic(fmt.Sprintf("store: ReadPages of %d pages into %d bytes", len(refs), len(dst)))
	}
	for len(refs) > 0 {
		n := runLength(refs)
		if err := r.ReadRun(Run{Count: uint32(n), Ref: refs[0]}, dst[:n*PageSize]); err != nil {
			return err
		}
		refs, dst = refs[n:], dst[n*PageSize:]
	}
	return nil
}

// runLength returns how many refs from the first on make one run.
func runLength(refs []Ref) int {
	n := 1
	for n < len(refs) && refs[n].follows(refs[0], uint32(n)) {
		n++
	}
	return n
}

// Close closes the packs. No read may be under way.
func (r *Reader) Close() error {
	var errs []error
	for i := range r.packs {
		l := &r.packs[i]
		l.once.Do(func() { l.err = errors.New("read pages: the reader is closed") })
		errs = append(errs, l.pack.close())
	}
	return errors.Join(errs...)
}
