package store

import (
	"fmt"
	"sort"

	"github.com/zeebo/xxh3"
)

// readPages is how many raw pages are read and then checked at a time. They
// should still be in the CPU's cache when their turn comes.
const readPages = 64

// findBlock returns which block has the slot.
func findBlock(blocks []block, slot uint32) int {
	return sort.Search(len(blocks), func(i int) bool { return blocks[i].first > slot }) - 1
}

// read fills dst with n pages from slot on, checked against their keys. cache
// may be nil.
func (p *packReader) read(slot uint32, n int, dst []byte, cache *blockCache) error {
	if have := int(p.info.Pages); int(slot)+n > have {
		return damagedf(p.info.Name, "pages %d to %d are wanted, and it has %d", slot, int(slot)+n-1, have)
	}
	keys, err := p.keysOf(slot, n)
	if err != nil {
		return err
	}
	for i := findBlock(p.blocks, slot); n > 0; i++ {
		b := &p.blocks[i]
		skip := slot - b.first
		k := min(n, int(b.pages-skip))
		if b.codec == None {
			err = p.readRaw(b.off+int64(skip)*PageSize, slot, dst[:k*PageSize], keys)
		} else {
			err = p.readBlock(b, skip, dst[:k*PageSize], keys, cache)
		}
		if err != nil {
			return err
		}
		slot, n, dst, keys = slot+uint32(k), n-k, dst[k*PageSize:], keys[k*keySize:]
	}
	return nil
}

func (p *packReader) readRaw(off int64, slot uint32, dst, keys []byte) error {
	for len(dst) > 0 {
		part := dst[:min(len(dst), readPages*PageSize)]
		if err := p.readAt(part, off); err != nil {
			return err
		}
		if err := p.check(slot, part, keys); err != nil {
			return err
		}
		n := len(part) / PageSize
		off, slot, dst, keys = off+int64(len(part)), slot+uint32(n), dst[len(part):], keys[n*keySize:]
	}
	return nil
}

// readBlock takes pages out of a compressed block, from its page skip on.
func (p *packReader) readBlock(b *block, skip uint32, dst, keys []byte, cache *blockCache) error {
	if len(dst) == int(b.pages)*PageSize {
		if err := p.unpack(b, dst); err != nil {
			return err
		}
		return p.check(b.first, dst, keys)
	}
	raw, err := cache.get(p, b)
	if err != nil {
		return err
	}
	copy(dst, raw[int(skip)*PageSize:])
	return p.check(b.first+skip, dst, keys)
}

// unpack reads and decompresses a block.
func (p *packReader) unpack(b *block, dst []byte) error {
	stored := make([]byte, b.stored)
	if err := p.readAt(stored, b.off); err != nil {
		return err
	}
	if xxh3.Hash(stored) != b.sum { // before a decoder has to cope with it
		return damagedf(p.info.Name, "the compressed block of pages %d to %d does not match its checksum",
			b.first, b.first+b.pages-1)
	}
	if err := decode(b.codec, dst, stored); err != nil {
		return &DamagedError{File: p.info.Name, Err: fmt.Errorf("block of pages %d to %d: %w", b.first, b.first+b.pages-1, err)}
	}
	return nil
}

// check compares the pages from slot on with their keys.
func (p *packReader) check(slot uint32, pages, keys []byte) error {
	for i := range len(pages) / PageSize {
		if got := KeyOf(pages[i*PageSize:][:PageSize]); got != Key(keys[i*keySize:]) {
			return damagedf(p.info.Name, "page %d does not match its key", int(slot)+i)
		}
	}
	return nil
}
