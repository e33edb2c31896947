package store

import (
	"cmp"
	"slices"
	"sort"
)

// A Carrier takes pages that have not changed from the page table of the
// generation before into the one being built, by runs: they are neither read nor
// hashed again.
type Carrier struct {
	from   *PageTable
	number []int // of from's packs, as the new refs count; nil if from counts as they do
}

// Carrier returns a Carrier from a table of the generation whose index the writer
// was given, or nil if not all packs of that table may be relied on: the index
// has left damaged ones out.
func (w *Writer) Carrier(from *PageTable) *Carrier {
	if w.known == nil {
		return nil
	}
	at := map[FileInfo]int{}
	for i, p := range w.known.packs {
		at[p.info] = i + 1
	}
	c := &Carrier{from: from, number: make([]int, len(from.Packs)+1)}
	for i, fi := range from.Packs {
		if c.number[i+1] = at[fi]; c.number[i+1] == 0 {
			return nil
		}
	}
	return c
}

// Carrier returns a Carrier from what has been added so far, into another table
// of the same writer.
func (b *TableBuilder) Carrier() *Carrier {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &PageTable{}
	for id, runs := range b.objects {
		runs = slices.Clone(runs)
		slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.Page, b.Page) })
		t.Objects = append(t.Objects, Object{ID: id, Runs: runs})
	}
	slices.SortFunc(t.Objects, func(a, b Object) int { return cmp.Compare(a.ID, b.ID) })
	return &Carrier{from: t}
}

// Covers tells whether an object of the old table has all of count pages from
// page on.
func (c *Carrier) Covers(object, page, count uint64) bool {
	covered := uint64(0)
	c.Each(object, page, count, func(_, n uint64) { covered += n })
	return covered == count
}

// Each calls fn for the ranges that an object of the old table has of count pages
// from page on, in order.
func (c *Carrier) Each(object, page, count uint64, fn func(page, count uint64)) {
	c.each(object, page, count, func(r Run) { fn(r.Page, uint64(r.Count)) })
}

// Carry adds count pages, from page on, of an object of the old table to an
// object of the new one, where they have the same place.
//
// Preconditions: Covers is true of them.
func (c *Carrier) Carry(b *TableBuilder, from, to, page, count uint64) {
	var runs []Run
	c.each(from, page, count, func(r Run) {
		if r.Ref != 0 && c.number != nil {
			r.Ref = makeRef(c.number[r.Ref.pack()], r.Ref.slot())
		}
		runs = append(runs, r)
	})
	b.addRuns(to, runs)
}

// each calls fn for the parts of an object's runs that lie in a range of pages.
func (c *Carrier) each(object, page, count uint64, fn func(Run)) {
	o := c.from.Object(object)
	if o == nil {
		return
	}
	i := sort.Search(len(o.Runs), func(i int) bool { return o.Runs[i].Page+uint64(o.Runs[i].Count) > page })
	for end := page + count; i < len(o.Runs) && o.Runs[i].Page < end; i++ {
		r := o.Runs[i]
		if r.Page < page {
			skip := page - r.Page
			r.Page, r.Count = page, r.Count-uint32(skip)
			if r.Ref != 0 {
				r.Ref += Ref(skip)
			}
		}
		r.Count = uint32(min(uint64(r.Count), end-r.Page))
		fn(r)
	}
}
