package store

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// A TableBuilder collects where the pages of a pod went, while they are being
// written. Any number of goroutines may Add.
type TableBuilder struct {
	mu      sync.Mutex
	objects map[uint64][]Run
}

// NewTable returns an empty builder.
func NewTable() *TableBuilder { return &TableBuilder{objects: map[uint64][]Run{}} }

// Add notes refs, which AddPages returned, for the pages of an object from page
// on. Parts of an object may come in any order, each page once. An object that
// has no populated page is made by Add with no refs.
func (b *TableBuilder) Add(object, page uint64, refs []Ref) {
	b.mu.Lock()
	defer b.mu.Unlock()
	runs := b.objects[object]
	for len(refs) > 0 {
		n := runLength(refs)
		runs = appendRun(runs, Run{Page: page, Count: uint32(n), Ref: refs[0]})
		page += uint64(n)
		refs = refs[n:]
	}
	b.objects[object] = runs
}

// addRuns notes runs of an object whose refs are those of the writer's packs.
func (b *TableBuilder) addRuns(object uint64, runs []Run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	have := b.objects[object]
	for _, r := range runs {
		have = appendRun(have, r)
	}
	b.objects[object] = have
}

// appendRun joins r to the last run if it goes on where that ends.
func appendRun(runs []Run, r Run) []Run {
	if last := len(runs) - 1; last >= 0 {
		p := &runs[last]
		if p.Page+uint64(p.Count) == r.Page && r.Ref.follows(p.Ref, p.Count) && uint64(p.Count)+uint64(r.Count) < 1<<32 {
			p.Count += r.Count
			return runs
		}
	}
	return append(runs, r)
}

// Build returns the page table of what was added. The refs must be those of w,
// which must be finished. The table names the packs that it needs, no others.
func (b *TableBuilder) Build(w *Writer) (*PageTable, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	infos, err := w.packInfos()
	if err != nil {
		return nil, err
	}
	t := &PageTable{}
	renumber := make([]int, len(infos)+1)
	for id, runs := range b.objects {
		runs = slices.Clone(runs)
		slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.Page, b.Page) })
		joined := runs[:0]
		for _, r := range runs {
			if n := r.Ref.pack(); r.Ref != 0 {
				if n >= len(renumber) {
					return nil, fmt.Errorf("build page table: object %d has pages of another writer", id)
				}
				if renumber[n] == 0 {
					t.Packs = append(t.Packs, infos[n-1])
					renumber[n] = len(t.Packs)
				}
				r.Ref = makeRef(renumber[n], r.Ref.slot())
			}
			joined = appendRun(joined, r)
		}
		t.Objects = append(t.Objects, Object{ID: id, Runs: joined})
	}
	slices.SortFunc(t.Objects, func(a, b Object) int { return cmp.Compare(a.ID, b.ID) })
	if err := t.validate(); err != nil {
		return nil, fmt.Errorf("build page table: %w", err)
	}
	return t, nil
}

// packInfos returns the packs in the order that refs count in.
func (w *Writer) packInfos() ([]FileInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	if !w.complete {
		return nil, fmt.Errorf("build page table: the writer of pod %d is not finished", w.pod)
	}
	var infos []FileInfo
	for _, p := range *w.packs.Load() {
		infos = append(infos, p.info)
	}
	return infos, nil
}
