package store

import (
	"errors"
	"io"
	"os"
)

// A packReader is a pack being read. After open any number of goroutines may
// read.
type packReader struct {
	info   FileInfo
	file   *os.File
	blocks []block
	keysAt int64  // where in the file the keys begin
	keys   []byte // all of them after openIndex, else nil
}

// open opens the pack, checks by its trailer that it is the one that the manifest
// or page table names, and reads where its blocks are. The keys stay in the file
// until their pages are read: 16 bytes for each page would have to be read before
// the first of them.
func (p *packReader) open(s *Store, fi FileInfo) error {
	if p.file == nil {
		if err := p.pin(s, fi); err != nil {
			return err
		}
	}
	return p.orClose(p.readBlocks())
}

// openIndex is open for who needs all keys: the index is read as a whole and
// checked against its sum.
func (p *packReader) openIndex(s *Store, fi FileInfo) error {
	if err := p.open(s, fi); err != nil {
		return err
	}
	return p.orClose(p.readKeys())
}

// orClose closes the pack if there is an error.
func (p *packReader) orClose(err error) error {
	if err != nil {
		err = errors.Join(err, p.close())
	}
	return err
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

// readBlocks needs no sum: a page that is looked for in the wrong place does not
// match its key.
func (p *packReader) readBlocks() error {
	t, err := readTrailer(p.file, p.info)
	if err != nil {
		return err
	}
	raw := make([]byte, int(t.blocks)*blockSize)
	if err := p.readAt(raw, t.data); err != nil {
		return err
	}
	if p.blocks, err = decodeBlocks(raw, t.pages, t.data); err != nil {
		return &DamagedError{File: p.info.Name, Err: err}
	}
	p.keysAt = t.data + int64(len(raw))
	return nil
}

func (p *packReader) readKeys() error {
	size := len(p.blocks) * blockSize
	index := make([]byte, p.info.Size-p.keysAt+int64(size))
	if err := p.readAt(index, p.keysAt-int64(size)); err != nil {
		return err
	}
	end := len(index) - trailerSize
	if sum := packSum(index[:size], index[size:end], index[end:]); sum != p.info.Hash {
		return damagedf(p.info.Name, "the checksum of its index is %s, and %s was written", sum, p.info.Hash)
	}
	p.keys = index[size:end]
	return nil
}

// keysOf returns the keys of n pages from slot on.
func (p *packReader) keysOf(slot uint32, n int) ([]byte, error) {
	if p.keys != nil {
		return p.keys[int(slot)*keySize:][:n*keySize], nil
	}
	b := make([]byte, n*keySize)
	return b, p.readAt(b, p.keysAt+int64(slot)*keySize)
}

// readTrailer reads the last bytes of a pack and checks that it is the pack that
// fi names.
func readTrailer(f *os.File, fi FileInfo) (trailer, error) {
	if fi.Size < trailerSize {
		return trailer{}, damagedf(fi.Name, "%d bytes are too few for a pack", fi.Size)
	}
	tail := make([]byte, trailerSize)
	if _, err := f.ReadAt(tail, fi.Size-trailerSize); err != nil {
		return trailer{}, readError(fi.Name, err)
	}
	t, err := decodeTrailer(fi.Name, tail, fi.Size)
	if err != nil {
		return trailer{}, err
	}
	if t.sum != fi.Hash || t.pages != fi.Pages {
		return trailer{}, damagedf(fi.Name, "it is another pack (%d pages, %s) than the one written (%d pages, %s)",
			t.pages, t.sum, fi.Pages, fi.Hash)
	}
	return t, nil
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
