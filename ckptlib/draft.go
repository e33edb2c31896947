package ckptlib

import (
	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// A draft is a generation in the making: its packs, and in which place the pages
// are that need not be read in the pause. Prepare begins it, and Snapshot takes
// it over.
type draft struct {
	gen    int
	writer *store.Writer
	last   *base          // what the trackers counted from when it was begun, or nil
	carry  *store.Carrier // from there; not nil if last is not
	// rounds are what was read while the pod ran, newest first; in them objects
	// are processes, by pid in the pod.
	rounds []*store.Carrier
	lost   map[int][]mem.Run // what the trackers take for read and is nowhere
}

// begin returns the draft of a generation, a new one if Prepare has not begun it.
func (p *Pod) begin(st *store.Store, gen int, o SnapshotOptions) (*draft, error) {
	t := &p.track
	if p.Drafting(gen) {
		return t.draft, nil
	}
	if err := t.drop(t.draft); err != nil {
		return nil, err
	}
	compression, err := store.ParseCompression(o.Compress)
	if err != nil {
		return nil, err
	}
	w, err := st.NewWriter(gen, p.c.ID, o.Known, store.WriterOptions{Compression: compression, VerifyPages: o.VerifyPages, Stage: o.Stage})
	if err != nil {
		return nil, err
	}
	d := &draft{gen: gen, writer: w, lost: map[int][]mem.Run{}}
	if last := t.base; last != nil && last.gen == o.Newest && !o.Untracked {
		if d.carry = w.Carrier(last.table); d.carry != nil {
			d.last = last
		}
	}
	// The trackers are about to count from this generation, and until it is
	// complete from nothing.
	t.base, t.draft = nil, d
	return d, nil
}

// Drafting tells whether Prepare has begun a generation, and so has what it needs of
// the one before.
func (p *Pod) Drafting(gen int) bool { return p.track.draft != nil && p.track.draft.gen == gen }

// drop gives a draft up, if there is one: its packs are removed, and the trackers
// count from nothing.
func (t *tracking) drop(d *draft) error {
	if d == nil {
		return nil
	}
	t.draft, t.base, t.failed = nil, nil, true
	return d.writer.Abort()
}

// Discard gives up what Prepare has made of a generation that is not to be.
func (p *Pod) Discard() error {
	if err := p.occupy(); err != nil {
		return err
	}
	defer p.free()
	return p.track.drop(p.track.draft)
}

// put stores pages of an object and notes in a table where they are.
func (d *draft) put(table *store.TableBuilder, id image.ObjectID, page uint64, b []byte) error {
	var few [256]store.Ref // a megabyte's
	refs, err := d.writer.AddPages(few[:0], b)
	if err != nil {
		return err
	}
	table.Add(uint64(id), page, refs)
	return nil
}

// A layer is where pages of one process are.
type layer struct {
	carry  *store.Carrier
	object uint64 // in it
	early  bool   // they were read for this generation, before the pause
}

// layers are the places of the pages of a process, each hiding those after it.
type layers []layer

// layers of the process with a pid in the pod; nil if its pages are nowhere.
func (d *draft) layers(pid int) (ls layers) {
	for _, r := range d.rounds {
		ls = append(ls, layer{r, uint64(pid), true})
	}
	if old := d.last.process(pid); old != nil {
		ls = append(ls, layer{d.carry, uint64(old.Object), false})
	}
	return ls
}

// cover tells whether the layers have all of the runs.
func (ls layers) cover(runs []mem.Run) bool {
	return ls.each(runs, func(*layer, uint64, uint64) {})
}

// each calls fn for the ranges of the runs, each with the layer that has it, and
// tells whether there is one for all.
func (ls layers) each(runs []mem.Run, fn func(l *layer, page, count uint64)) bool {
	all := true
	for _, r := range runs {
		all = ls.pages(r.Start/mem.PageSize, r.Bytes()/mem.PageSize, fn) && all
	}
	return all
}

func (ls layers) pages(page, count uint64, fn func(l *layer, page, count uint64)) bool {
	if count == 0 || len(ls) == 0 {
		return count == 0
	}
	all, at := true, page
	ls[0].carry.Each(ls[0].object, page, count, func(first, n uint64) {
		all = ls[1:].pages(at, first-at, fn) && all
		fn(&ls[0], first, n)
		at = first + n
	})
	return ls[1:].pages(at, page+count-at, fn) && all
}

// missing tells whether one of the runs, which are unchanged for their tracker,
// could not be read when it was told so.
func (d *draft) missing(pid int, runs []mem.Run) bool {
	for _, l := range d.lost[pid] {
		for _, r := range runs {
			if l.Start < r.End && r.Start < l.End {
				return true
			}
		}
	}
	return false
}
