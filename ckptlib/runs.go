package ckptlib

import (
	"sort"

	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// within clips runs of pages to a range of addresses.
func within(runs []store.Run, of mem.Run) []store.Run {
	var out []store.Run
	first, end := of.Start/mem.PageSize, of.End/mem.PageSize
	for _, r := range runs[search(runs, first):] {
		if r.Page >= end {
			break
		}
		if skip := max(r.Page, first) - r.Page; skip > 0 {
			r.Page += skip
			r.Count -= uint32(skip)
			if r.Ref != 0 {
				r.Ref += store.Ref(skip)
			}
		}
		r.Count = uint32(min(uint64(r.Count), end-r.Page))
		out = append(out, r)
	}
	return out
}

// stored counts the pages of a range that are in packs.
func stored(runs []store.Run, of mem.Run) (n int) {
	for _, r := range within(runs, of) {
		if r.Ref != 0 {
			n += int(r.Count)
		}
	}
	return n
}

// search returns the index of the first run that ends after a page.
func search(runs []store.Run, page uint64) int {
	return sort.Search(len(runs), func(i int) bool { return runs[i].Page+uint64(runs[i].Count) > page })
}

// emptyUntil returns the last multiple of partStep up to which there are no pages
// from an address on, at most end.
func emptyUntil(runs []store.Run, from, end uint64) uint64 {
	for _, r := range runs[search(runs, from/mem.PageSize):] {
		if at := r.Page * mem.PageSize; r.Ref != 0 && at < end {
			return max(from, at/partStep*partStep)
		}
	}
	return max(from, end)
}

// subtract takes a range out of others.
func subtract(runs []mem.Run, out mem.Run) (rest []mem.Run) {
	for _, r := range runs {
		if r.Start < out.Start {
			rest = append(rest, mem.Run{Start: r.Start, End: min(r.End, out.Start)})
		}
		if out.End < r.End {
			rest = append(rest, mem.Run{Start: max(r.Start, out.End), End: r.End})
		}
	}
	return rest
}
