package ckptlib

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// part is a range of an object's memory and what it contains.
type part struct {
	object image.ObjectID
	run    mem.Run
	filled []mem.Filled
}

// take lists parts of what is outstanding in a range, up to partPages.
func (l *lazy) take(of mem.Run) (parts []part) {
	room := partPages
	for _, id := range slices.Sorted(maps.Keys(l.left)) {
		runs := l.pages.Object(uint64(id)).Runs
		for _, r := range l.left[id] {
			if r.Start >= of.End || of.Start >= r.End {
				continue
			}
			// Always from where the last part of the mapping ended: parts that grow
			// together are one mapping for the kernel.
			p := part{object: id, run: mem.Run{Start: r.Start, End: r.Start}}
			for p.run.End < r.End && p.run.End < of.End {
				step := mem.Run{Start: p.run.End, End: min(r.End, (p.run.End/partStep+1)*partStep)}
				n := stored(runs, step)
				if n == 0 { // as far as there is nothing
					step.End = emptyUntil(runs, step.End, min(r.End, of.End))
				}
				if n > room {
					if p.run.End > p.run.Start {
						parts = append(parts, p)
					}
					return parts
				}
				room -= n
				p.run.End = step.End
			}
			parts = append(parts, p)
		}
	}
	return parts
}

// fetch reads the pages of parts from the store, which checks them.
func (l *lazy) fetch(parts []part, arena []byte) error {
	type job struct {
		run store.Run
		to  []byte
	}
	var jobs []job
	for i := range parts {
		p := &parts[i]
		for _, r := range within(l.pages.Object(uint64(p.object)).Runs, p.run) {
			for r.Ref != 0 && r.Count > 0 {
				n := min(r.Count, mem.MaxPiece)
				b := arena[: n*mem.PageSize : n*mem.PageSize]
				arena = arena[len(b):]
				p.filled = append(p.filled, mem.Filled{Start: r.Page * mem.PageSize, Data: b})
				jobs = append(jobs, job{store.Run{Page: r.Page, Count: n, Ref: r.Ref}, b})
				r.Page, r.Count, r.Ref = r.Page+uint64(n), r.Count-n, r.Ref+store.Ref(n)
			}
		}
	}
	errs := make([]error, len(jobs))
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, j := range jobs {
		limit <- struct{}{}
		wg.Go(func() {
			errs[i] = l.reader.ReadRun(j.run, j.to)
			<-limit
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
