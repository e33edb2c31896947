package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/zeebo/xxh3"
)

// A packReader is a pack being read, with its index in memory. After open any
// number of goroutines may read.
type packReader struct {
	info   FileInfo
	file   *os.File
	blocks []block
	keys   []byte
}

// readPages is how many raw pages are read and then checked at a time. They
// should still be in the CPU's cache when their turn comes.
const readPages = 64

// open opens the pack and checks its index against its sum, and the sum against
// what the manifest or page table says.
func (p *packReader) open(s *Store, fi FileInfo) error {
	if p.file == nil {
		if err := p.pin(s, fi); err != nil {
			return err
		}
	}
	if err := p.readIndex(); err != nil {
		f := p.file
		p.file = nil
		return errors.Join(err, f.Close())
	}
	return nil
}

// pin opens the file.
func (p *packReader) pin(s *Store, fi FileInfo) error {
	p.info = fi
	if err := s.statFile(fi); err != nil {
		return err
	}
	f, err := os.Open(s.path(fi.Name))
	if err != nil {
		return readError(fi.Name, err)
	}
	p.file = f
	return nil
}

func (p *packReader) readIndex() error {
	tail, t, err := readTrailer(p.file, p.info)
	if err != nil {
		return err
	}
	index := make([]byte, int(t.blocks)*blockSize+int(t.pages)*keySize)
	if err := p.readAt(index, t.data); err != nil {
		return err
	}
	blocks, keys := index[:int(t.blocks)*blockSize], index[int(t.blocks)*blockSize:]
	if sum := packSum(blocks, keys, tail); sum != t.sum {
		return damagedf(p.info.Name, "the checksum of its index is %s, and %s was written", sum, t.sum)
	}
	p.keys = keys
	if p.blocks, err = decodeBlocks(blocks, t.pages, t.data); err != nil {
		return &DamagedError{File: p.info.Name, Err: err}
	}
	return nil
}

// readTrailer reads the last bytes of a pack and checks that it is the pack that
// fi names.
func readTrailer(f *os.File, fi FileInfo) ([]byte, trailer, error) {
	if fi.Size < trailerSize {
		return nil, trailer{}, damagedf(fi.Name, "%d bytes are too few for a pack", fi.Size)
	}
	tail := make([]byte, trailerSize)
	if _, err := f.ReadAt(tail, fi.Size-trailerSize); err != nil {
		return nil, trailer{}, readError(fi.Name, err)
	}
	t, err := decodeTrailer(fi.Name, tail, fi.Size)
	if err != nil {
		return nil, trailer{}, err
	}
	if t.sum != fi.Hash || t.pages != fi.Pages {
		return nil, trailer{}, damagedf(fi.Name, "it is another pack (%d pages, %s) than the one written (%d pages, %s)",
			t.pages, t.sum, fi.Pages, fi.Hash)
	}
	return tail, t, nil
}

func (p *packReader) readAt(b []byte, off int64) error {
	if _, err := p.file.ReadAt(b, off); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it was cut short")
		}
		return readError(p.info.Name, err)
	}
	return nil
}

func (p *packReader) close() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Close()
	p.file = nil
	return err
}

// findBlock returns which block has the slot.
func findBlock(blocks []block, slot uint32) int {
	return sort.Search(len(blocks), func(i int) bool { return blocks[i].first > slot }) - 1
}

// read fills dst with n pages from slot on, checked against their keys. cache
// may be nil.
func (p *packReader) read(slot uint32, n int, dst []byte, cache *blockCache) error {
	if have := len(p.keys) / keySize; int(slot)+n > have {
		return damagedf(p.info.Name, "pages %d to %d are wanted, and it has %d", slot, int(slot)+n-1, have)
	}
	for i := findBlock(p.blocks, slot); n > 0; i++ {
		b := &p.blocks[i]
		skip := slot - b.first
		k := min(n, int(b.pages-skip))
		var err error
		if b.codec == None {
			err = p.readRaw(b.off+int64(skip)*PageSize, slot, dst[:k*PageSize])
		} else {
			err = p.readBlock(b, skip, dst[:k*PageSize], cache)
		}
		if err != nil {
			return err
		}
		slot, n, dst = slot+uint32(k), n-k, dst[k*PageSize:]
	}
	return nil
}

func (p *packReader) readRaw(off int64, slot uint32, dst []byte) error {
	for len(dst) > 0 {
		part := dst[:min(len(dst), readPages*PageSize)]
		if err := p.readAt(part, off); err != nil {
			return err
		}
		if err := p.check(slot, part); err != nil {
			return err
		}
		off, slot, dst = off+int64(len(part)), slot+uint32(len(part)/PageSize), dst[len(part):]
	}
	return nil
}

// readBlock takes pages out of a compressed block, from its page skip on.
func (p *packReader) readBlock(b *block, skip uint32, dst []byte, cache *blockCache) error {
	if len(dst) == int(b.pages)*PageSize {
		if err := p.unpack(b, dst); err != nil {
			return err
		}
		return p.check(b.first, dst)
	}
	raw, err := cache.get(p, b)
	if err != nil {
		return err
	}
	copy(dst, raw[int(skip)*PageSize:])
	return p.check(b.first+skip, dst)
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
func (p *packReader) check(slot uint32, pages []byte) error {
	for i := 0; i < len(pages); i += PageSize {
		if got := KeyOf(pages[i:][:PageSize]); got != Key(p.keys[int(slot)*keySize:]) {
			return damagedf(p.info.Name, "page %d does not match its key", slot)
		}
		slot++
	}
	return nil
}
