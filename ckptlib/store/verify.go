package store

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// verifyPages is how many pages are read in one go while verifying: a block.
const verifyPages = blockTarget

// Verify checks the files of the generation: that all are there, the content of
// images and page tables, and that the packs end as the ones that were written.
// With full it checks every page of every pack against its key too, which reads
// all of the checkpoint. The error joins one for each file that is damaged.
func (g *Generation) Verify(ctx context.Context, full bool) error {
	var wg sync.WaitGroup
	errs := make([]error, len(g.Manifest.Files))
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var buf []byte
			for i := range next {
				fi := g.Manifest.Files[i]
				if !full || !fi.isPack() {
					errs[i] = g.verifyFile(fi)
					continue
				}
				if need := int(min(fi.Pages, verifyPages)) * PageSize; len(buf) < need {
					buf = make([]byte, need)
				}
				errs[i] = g.s.verifyPack(ctx, fi, buf)
			}
		})
	}
	for i := range g.Manifest.Files {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// verifyFile checks what can be checked without reading pages.
func (g *Generation) verifyFile(fi FileInfo) error {
	if fi.isPack() {
		return g.s.checkPack(fi)
	}
	if fi.isTable() {
		_, err := g.table(fi)
		return err
	}
	_, err := g.s.readFile(fi)
	return err
}

// verifyPack reads every page of a pack.
func (s *Store) verifyPack(ctx context.Context, fi FileInfo, buf []byte) error {
	var p packReader
	if err := p.openIndex(s, fi); err != nil {
		return err
	}
	var cache blockCache
	err := func() error {
		for slot := uint32(0); slot < fi.Pages; {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(int(fi.Pages-slot), len(buf)/PageSize)
			if err := p.read(slot, n, buf[:n*PageSize], &cache); err != nil {
				return err
			}
			slot += uint32(n)
		}
		return nil
	}()
	return errors.Join(err, p.close())
}
