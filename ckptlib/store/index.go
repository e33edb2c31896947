package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// An Index knows the pages of committed generations by their keys, so that a
// Writer stores none of them again. It does not change once made, and any number
// of goroutines and Writers may use it. It takes about 27 bytes per page, which
// is 7 MiB per GiB.
type Index struct {
	packs   []*packKeys
	table   table
	skipped []error
	left    int
}

// IndexOptions says which pages an Index should know. The zero value means all
// pages of the generation.
type IndexOptions struct {
	// Pods are the pods whose own pages come first; the rest follows as far as
	// MaxBytes allows.
	Pods []int

	// MaxBytes bounds the memory of the index; 0 is no bound. The keys of packs
	// that do not fit are not read, and pages in them will be stored once more if
	// they occur again; a Carrier can still name them.
	MaxBytes int64

	// Have is a finished Writer whose keys are still in memory: only packs that
	// it does not know are read.
	Have *Writer
}

// bytesPerPage is what an Index takes in memory for one page: its key, and one
// and a third places of the table.
const bytesPerPage = keySize + 8*4.0/3

// Index reads the keys of the packs that a generation names. This must be the
// newest generation: packs of older ones may be pruned while the index is in
// use. A pack whose index is damaged is left out, see Damaged; the next
// generation then stores what it needs of it anew.
func (s *Store) Index(ctx context.Context, g *Generation, opt IndexOptions) (*Index, error) {
	files, err := g.packsFor(opt.Pods)
	if err != nil {
		return nil, fmt.Errorf("index generation %d: %w", g.Manifest.Generation, err)
	}
	have := opt.Have.keysByPack()
	x := &Index{}
	var total int64
	for _, fi := range files {
		if len(x.packs) == maxPacks/2 {
			x.left++
			continue
		}
		p := &packKeys{info: fi, keys: have[fi]}
		if n := int64(fi.Pages); opt.MaxBytes > 0 && float64(total+n)*bytesPerPage > float64(opt.MaxBytes) {
			p.keys, p.unread = nil, true
			x.left++
		} else {
			total += n
		}
		x.packs = append(x.packs, p)
	}
	if err := x.load(ctx, s); err != nil {
		return nil, fmt.Errorf("index generation %d: %w", g.Manifest.Generation, err)
	}
	x.build()
	return x, nil
}

// load reads the missing keys. Packs it cannot use go to skipped.
func (x *Index) load(ctx context.Context, s *Store) error {
	var wg sync.WaitGroup
	errs := make([]error, len(x.packs))
	limit := make(chan struct{}, 4*runtime.GOMAXPROCS(0)) // a parallel file system answers slowly, and many at once
	for i, p := range x.packs {
		if p.keys != nil || p.unread {
			continue
		}
		if err := ctx.Err(); err != nil {
			wg.Wait()
			return err
		}
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			var r packReader
			if errs[i] = r.openIndex(s, p.info); errs[i] == nil {
				p.keys = r.keys
				errs[i] = r.close()
			}
		})
	}
	wg.Wait()
	kept := x.packs[:0]
	for i, p := range x.packs {
		if errs[i] != nil {
			x.skipped = append(x.skipped, errs[i])
			continue
		}
		kept = append(kept, p)
	}
	x.packs = kept
	return ctx.Err()
}

func (x *Index) build() {
	n := 0
	for _, p := range x.packs {
		n += p.pages()
	}
	x.table = newTable(n)
	for i, p := range x.packs {
		for slot := range uint32(p.pages()) {
			k := p.key(slot)
			if x.table.get(x.packs, &k) == 0 { // two pods may have stored the same page
				x.table.put(&k, makeRef(i+1, slot))
			}
		}
	}
}

// Pages returns how many different pages the index knows.
func (x *Index) Pages() int {
	if x == nil {
		return 0
	}
	return x.table.used
}

// Bytes returns the memory that the index takes.
func (x *Index) Bytes() int64 {
	if x == nil {
		return 0
	}
	n := int64(len(x.table.places)) * 8
	for _, p := range x.packs {
		n += int64(len(p.keys))
	}
	return n
}

// Damaged returns why packs were left out that could not be read, nil if there
// are none.
func (x *Index) Damaged() error {
	if x == nil {
		return nil
	}
	return errors.Join(x.skipped...)
}

// Unread returns of how many packs the keys were not read for want of memory.
func (x *Index) Unread() int {
	if x == nil {
		return 0
	}
	return x.left
}

// packsFor returns the packs of a generation, those of the given pods first.
func (g *Generation) packsFor(pods []int) ([]FileInfo, error) {
	var files []FileInfo
	seen := map[string]bool{}
	add := func(list []FileInfo) {
		for _, fi := range list {
			if !seen[fi.Name] {
				seen[fi.Name] = true
				files = append(files, fi)
			}
		}
	}
	for _, pod := range pods {
		if !slices.Contains(g.Pods(), pod) {
			continue // the pods of a restarted job may be others
		}
		t, err := g.PageTable(pod)
		if err != nil {
			return nil, err
		}
		add(t.Packs)
	}
	add(g.packs())
	return files, nil
}
