package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/zeebo/xxh3"
)

// beginBytes is how much of a pack the kernel is told to write to the disk at a time.
const beginBytes = 8 << 20

// A packWriter is a pack being written. It belongs to one lane until it is
// sealed; only keys is looked at by other goroutines, see shard.
type packWriter struct {
	packKeys
	number  int // its place in the writer's list, from 1
	path    string
	file    *os.File
	staged  bool        // the file is in the staging directory
	leave   func(error) // gives the staging directory up
	trailer trailer
	slots   uint32 // pages that have a slot
	written uint32 // pages of them that are in the file
	end     int64  // of the data
	begun   int64  // of it, what the kernel has been told to write to the disk
	blocks  []block
	sealed  bool
	back    packReader // for readBack
}

// makePack makes the file: in the staging directory, if there is one to be used,
// else in the store.
func (w *Writer) makePack(seq int) (*packWriter, error) {
	name := packName(w.gen, w.pod, seq)
	p := &packWriter{
		packKeys: packKeys{info: FileInfo{Name: name}, keys: make([]byte, w.slots*keySize)},
		path:     w.s.path(name),
		trailer:  trailer{gen: w.gen, pod: w.pod, seq: seq},
		leave:    w.leaveStage,
	}
	if dir := w.stageDir(); dir != "" {
		f, err := openStaged(dir)
		if err == nil {
			p.file, p.staged = f, true
			return p, nil
		}
		w.leaveStage(err)
	}
	return p, p.place(0)
}

// writeRaw appends pages that have the next slots, as they are. Raw blocks that
// touch become one, so that a reader can take any run of them in one read.
func (p *packWriter) writeRaw(pages []byte) error {
	if err := p.write(pages); err != nil {
		return err
	}
	n := uint32(len(pages) / PageSize)
	if last := len(p.blocks) - 1; last >= 0 && p.blocks[last].codec == None {
		p.blocks[last].pages += n
		p.blocks[last].stored += uint32(len(pages))
	} else {
		p.blocks = append(p.blocks, block{first: p.written, pages: n, off: p.end, stored: uint32(len(pages))})
	}
	p.end += int64(len(pages))
	p.written += n
	return nil
}

// writeBlock appends the pages of the next slots, compressed if that helps.
func (p *packWriter) writeBlock(pages []byte, enc *encoder) error {
	stored, codec := enc.encode(pages)
	if codec == None {
		return p.writeRaw(pages)
	}
	if err := p.write(stored); err != nil {
		return err
	}
	n := uint32(len(pages) / PageSize)
	p.blocks = append(p.blocks, block{
		first: p.written, pages: n, off: p.end,
		stored: uint32(len(stored)), codec: codec, sum: xxh3.Hash(stored),
	})
	p.end += int64(len(stored))
	p.written += n
	return nil
}

// write appends to the data, and has the kernel begin to write to the disk what came
// before: it would leave that for fsync, and the disk idle while pages are read and
// hashed. The last page of a block may not be whole yet, and stays for later.
func (p *packWriter) write(data []byte) error {
	if err := p.writeAt(data, p.end); err != nil {
		return err
	}
	if n := (p.end+int64(len(data)))&^(PageSize-1) - p.begun; n >= beginBytes {
		beginWriteback(p.file, p.begun, n)
		p.begun += n
	}
	return nil
}

// seal writes what follows the data. The file is complete then, but durable
// only after sync.
func (p *packWriter) seal() error {
	keys := p.keys[:int(p.slots)*keySize] // p.keys stays: other lanes are looking into it
	blocks := encodeBlocks(p.blocks)
	t := p.trailer
	t.blocks, t.pages, t.data = uint32(len(p.blocks)), p.slots, p.end
	tail := encodeTrailer(t)
	t.sum = packSum(blocks, keys, tail)
	copy(tail[trailerSum:], t.sum[:])
	// What a reader will be told is read back before it is relied on.
	if _, err := decodeBlocks(blocks, t.pages, t.data); err != nil {
		return fmt.Errorf("seal %s: %w", p.info.Name, err)
	}
	off := p.end
	for _, part := range [][]byte{blocks, keys, tail} {
		if err := p.writeAt(part, off); err != nil {
			return err
		}
		off += int64(len(part))
	}
	p.info = FileInfo{Name: p.info.Name, Size: off, Hash: t.sum, Pages: t.pages}
	p.sealed = true
	return nil
}

// discard removes the pack.
func (p *packWriter) discard() error {
	var err error
	if p.file != nil {
		err = p.file.Close()
		p.file = nil
	}
	if e := os.Remove(p.path); err == nil && !errors.Is(e, fs.ErrNotExist) {
		err = e
	}
	return err
}

// sync makes the pack durable and closes it. One that is staged stays open: what
// it is synced for is to hear of a failed write-back before it is read back.
func (p *packWriter) sync() error {
	if p.file == nil {
		return nil
	}
	err := p.file.Sync()
	if p.staged && err == nil {
		return nil
	}
	if e := p.file.Close(); err == nil {
		err = e
	}
	p.file = nil
	if err != nil {
		return remedy(err)
	}
	return nil
}

// readBack returns a page that has a slot here, for the comparison of bytes.
// pending are the pages of the last slots, which are not in the file yet.
func (p *packWriter) readBack(slot uint32, pending, dst []byte, cache *blockCache) error {
	if slot >= p.written {
		copy(dst, pending[(slot-p.written)*PageSize:][:PageSize])
		return nil
	}
	b := p.blocks[findBlock(p.blocks, slot)]
	if b.codec == None {
		_, err := p.file.ReadAt(dst, b.off+int64(slot-b.first)*PageSize)
		return err
	}
	p.back.info, p.back.file = p.info, p.file
	raw, err := cache.get(&p.back, &b)
	if err != nil {
		return err
	}
	copy(dst, raw[(slot-b.first)*PageSize:][:PageSize])
	return nil
}
