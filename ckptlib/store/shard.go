package store

import (
	"bytes"
	"fmt"
	"sync"
)

// A shard is the part of a writer's own keys whose low word ends in the number
// of the shard. Its lock also orders the keys of packs: a key is put into its
// slot before the shard tells of the slot.
type shard struct {
	mu    sync.Mutex
	table table
	_     [24]byte // the next shard's lock is on another cache line
}

// lookup returns the ref of a page in a committed generation, or 0.
func (w *Writer) lookup(k *Key) Ref {
	if w.known == nil {
		return 0
	}
	return w.known.table.get(w.known.packs, k)
}

// place returns the ref of a page that lookup did not find: where this writer
// put it already, or else the next slot of p, in which case the caller has to
// write the page there.
func (w *Writer) place(k *Key, p *packWriter) (ref Ref, fresh bool) {
	s := &w.shards[lowWord(k)%uint64(len(w.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	// The list is read under the lock: each pack that the shard can tell of was
	// on it before its keys got there.
	if r := s.table.get(*w.packs.Load(), k); r != 0 {
		return r, false
	}
	r := makeRef(p.number, p.slots)
	copy(p.keys[int(p.slots)*keySize:], k[:])
	p.slots++
	s.table.put(k, r)
	return r, true
}

// compare makes sure that a page is the one that ref leads to.
func (w *Writer) compare(l *lane, ref Ref, page []byte) error {
	old := make([]byte, PageSize)
	known := 0
	if w.known != nil {
		known = len(w.known.packs)
	}
	var err error
	name := ""
	if n := ref.pack(); n > known {
		p := w.own[n-known-1] // VerifyPages has one lane: nobody else is opening packs
		var pending []byte
		if p == l.pack {
			pending = l.pending
		}
		name, err = p.info.Name, p.readBack(ref.slot(), pending, old, &w.cache)
	} else {
		name = w.known.packs[n-1].info.Name
		err = w.readKnown(n, ref.slot(), old)
	}
	if err != nil {
		return fmt.Errorf("compare with page %d of %s: %w", ref.slot(), name, err)
	}
	if !bytes.Equal(old, page) {
		return fmt.Errorf("page %d of %s has the key %s of a page with other content: xxh3-128 has met a collision",
			ref.slot(), name, KeyOf(page))
	}
	return nil
}

func (w *Writer) readKnown(pack int, slot uint32, dst []byte) error {
	r := w.readers[pack]
	if r == nil {
		r = &packReader{}
		if err := r.open(w.s, w.known.packs[pack-1].info); err != nil {
			return err
		}
		if w.readers == nil {
			w.readers = map[int]*packReader{}
		}
		w.readers[pack] = r
	}
	return r.read(slot, 1, dst, &w.cache)
}

func (w *Writer) closeReaders() {
	for _, r := range w.readers {
		_ = r.close() // only read from
	}
	w.readers = nil
}
