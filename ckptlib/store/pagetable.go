package store

import (
	"fmt"
	"slices"
	"sort"
)

// A Run is a part of a memory object whose pages follow each other in a pack,
// or are all zero.
type Run struct {
	Page  uint64 // index in the object of the first page
	Count uint32 // pages
	Ref   Ref    // of the first page; the n-th has the slot n further on. 0: zeros
}

// An Object is a piece of memory that the caller gave a number, such as a
// mapping or a shared memory segment. Pages that no run has were never
// populated.
type Object struct {
	ID   uint64
	Runs []Run // in the order of pages, without overlap
}

// A PageTable says where the pages of a pod are.
type PageTable struct {
	Packs   []FileInfo // what refs count in
	Objects []Object   // in the order of their numbers
}

// maxPage bounds indexes of pages: 2^52 pages are all that 64 bits can address.
const maxPage = 1 << 52

// Object returns the object with a number, or nil.
func (t *PageTable) Object(id uint64) *Object {
	i, ok := slices.BinarySearchFunc(t.Objects, id, func(o Object, id uint64) int {
		switch {
		case o.ID < id:
			return -1
		case o.ID > id:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &t.Objects[i]
}

// Lookup returns the ref of one page, and whether the object has it.
func (o *Object) Lookup(page uint64) (Ref, bool) {
	i := sort.Search(len(o.Runs), func(i int) bool { return o.Runs[i].Page > page }) - 1
	if i < 0 || page-o.Runs[i].Page >= uint64(o.Runs[i].Count) {
		return 0, false
	}
	if o.Runs[i].Ref == 0 {
		return 0, true
	}
	return o.Runs[i].Ref + Ref(page-o.Runs[i].Page), true
}

// Pages returns how many pages the objects have, and how many of them are zero.
func (t *PageTable) Pages() (all, zero int64) {
	for _, o := range t.Objects {
		for _, r := range o.Runs {
			all += int64(r.Count)
			if r.Ref == 0 {
				zero += int64(r.Count)
			}
		}
	}
	return all, zero
}

// validate checks all that a reader relies on.
func (t *PageTable) validate() error {
	seen := map[string]bool{}
	for _, fi := range t.Packs {
		if _, _, _, ok := parsePack(fi.Name); !ok || seen[fi.Name] {
			return fmt.Errorf("%q is no name of a pack, or is named twice", fi.Name)
		}
		if fi.Pages > maxSlots || fi.Size < trailerSize {
			return fmt.Errorf("%s cannot have %d pages in %d bytes", fi.Name, fi.Pages, fi.Size)
		}
		seen[fi.Name] = true
	}
	if len(t.Packs) > maxPacks {
		return fmt.Errorf("it names %d packs, and may %d", len(t.Packs), maxPacks)
	}
	for i, o := range t.Objects {
		if i > 0 && o.ID <= t.Objects[i-1].ID {
			return fmt.Errorf("object %d comes after object %d", o.ID, t.Objects[i-1].ID)
		}
		var next uint64
		for _, r := range o.Runs {
			if r.Count == 0 || r.Page < next || r.Page > maxPage || r.Page+uint64(r.Count) > maxPage {
				return fmt.Errorf("object %d: the run of %d pages at page %d is out of place", o.ID, r.Count, r.Page)
			}
			next = r.Page + uint64(r.Count)
			if err := t.checkRef(r); err != nil {
				return fmt.Errorf("object %d, page %d: %w", o.ID, r.Page, err)
			}
		}
	}
	return nil
}

func (t *PageTable) checkRef(r Run) error {
	if r.Ref == 0 {
		return nil
	}
	n := r.Ref.pack()
	if n < 1 || n > len(t.Packs) {
		return fmt.Errorf("it is in pack %d of %d", n, len(t.Packs))
	}
	if have := uint64(t.Packs[n-1].Pages); uint64(r.Ref.slot())+uint64(r.Count) > have {
		return fmt.Errorf("it is in slots %d to %d of %s, which has %d",
			r.Ref.slot(), uint64(r.Ref.slot())+uint64(r.Count)-1, t.Packs[n-1].Name, have)
	}
	return nil
}
