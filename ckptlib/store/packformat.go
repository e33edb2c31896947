package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/zeebo/xxh3"
)

// A pack, all numbers little endian:
//
//	data     blocks, one after the other without gaps, from the first byte on
//	blocks   20 bytes for each block
//	keys     16 bytes for each page, in the order of slots
//	trailer  60 bytes
//
// Nothing stands before the data: behind a header of one page, writes of 256 KiB
// took half as long again, since ext4 keeps pages of a file in large folios only
// where a write covers them from a boundary of their size on.
//
//	type block struct { // documentation only
//		Pages  uint32 // it holds the next Pages slots
//		Stored uint32 // bytes in the file
//		Codec  uint32 // 0 none, 1 s2, 2 zstd
//		Sum    uint64 // xxh3-64 of the stored bytes; 0 if raw
//	}
//
//	type trailer struct { // documentation only
//		Data       uint64 // bytes of data
//		Blocks     uint32
//		Pages      uint32
//		Generation uint32
//		Pod        uint32
//		Sequence   uint32
//		PageSize   uint32
//		Sum        [16]byte // xxh3-128 of blocks, keys and the trailer up to here
//		Version    uint32
//		Magic      [8]byte // "gompiPK\n"
//	}
const (
	blockPagesAt  = 0
	blockStoredAt = blockPagesAt + 4
	blockCodecAt  = blockStoredAt + 4
	blockSumAt    = blockCodecAt + 4
	blockSize     = blockSumAt + 8

	trailerData    = 0
	trailerBlocks  = trailerData + 8
	trailerPages   = trailerBlocks + 4
	trailerGen     = trailerPages + 4
	trailerPod     = trailerGen + 4
	trailerSeq     = trailerPod + 4
	trailerPage    = trailerSeq + 4
	trailerSum     = trailerPage + 4
	trailerVersion = trailerSum + 16
	trailerMagic   = trailerVersion + 4
	trailerSize    = trailerMagic + 8

	packMagic = "gompiPK\n"

	// maxBlockPages bounds a compressed block, and so what reading one page can
	// cost in memory: 4 MiB.
	maxBlockPages = 1024
)

// A block is a part of a pack that is read as a whole if it is compressed.
type block struct {
	first  uint32 // slot of its first page
	pages  uint32
	off    int64 // in the file
	stored uint32
	codec  Compression
	sum    uint64
}

func encodeBlocks(blocks []block) []byte {
	out := make([]byte, len(blocks)*blockSize)
	le := binary.LittleEndian
	for i, b := range blocks {
		p := out[i*blockSize:]
		le.PutUint32(p[blockPagesAt:], b.pages)
		le.PutUint32(p[blockStoredAt:], b.stored)
		le.PutUint32(p[blockCodecAt:], uint32(b.codec))
		le.PutUint64(p[blockSumAt:], b.sum)
	}
	return out
}

// decodeBlocks also fills in what follows from the order: slots and offsets.
// pages and data are the totals in the trailer.
func decodeBlocks(raw []byte, pages uint32, data int64) ([]block, error) {
	blocks := make([]block, len(raw)/blockSize)
	le := binary.LittleEndian
	var slot uint32
	var off int64
	for i := range blocks {
		p := raw[i*blockSize:]
		b := block{
			first:  slot,
			off:    off,
			pages:  le.Uint32(p[blockPagesAt:]),
			stored: le.Uint32(p[blockStoredAt:]),
			codec:  Compression(le.Uint32(p[blockCodecAt:])),
			sum:    le.Uint64(p[blockSumAt:]),
		}
		if b.pages == 0 || b.pages > pages-slot {
			return nil, fmt.Errorf("block %d has %d pages, with %d of %d left", i, b.pages, pages-slot, pages)
		}
		raw := int64(b.pages) * PageSize
		switch {
		case b.codec == None && (int64(b.stored) != raw || b.sum != 0):
			return nil, fmt.Errorf("raw block %d of %d pages has %d bytes", i, b.pages, b.stored)
		case b.codec != None && (b.pages > maxBlockPages || int64(b.stored) >= raw || b.codec > Zstd):
			return nil, fmt.Errorf("block %d of %d pages has %d bytes in codec %d", i, b.pages, b.stored, b.codec)
		}
		blocks[i] = b
		slot += b.pages
		off += int64(b.stored)
	}
	if slot != pages || off != data {
		return nil, errors.New("its blocks are not as many or as long as the trailer says")
	}
	return blocks, nil
}

// A trailer is the end of a pack.
type trailer struct {
	data          int64
	blocks, pages uint32
	gen, pod, seq int
	sum           Sum
}

func encodeTrailer(t trailer) []byte {
	b := make([]byte, trailerSize)
	le := binary.LittleEndian
	le.PutUint64(b[trailerData:], uint64(t.data))
	le.PutUint32(b[trailerBlocks:], t.blocks)
	le.PutUint32(b[trailerPages:], t.pages)
	le.PutUint32(b[trailerGen:], uint32(t.gen))
	le.PutUint32(b[trailerPod:], uint32(t.pod))
	le.PutUint32(b[trailerSeq:], uint32(t.seq))
	le.PutUint32(b[trailerPage:], PageSize)
	copy(b[trailerSum:], t.sum[:])
	le.PutUint32(b[trailerVersion:], FormatVersion)
	copy(b[trailerMagic:], packMagic)
	return b
}

// decodeTrailer checks the numbers against the size of the file before anything
// is allocated by them. Version and magic are not under the sum: they have one
// value.
func decodeTrailer(file string, b []byte, size int64) (trailer, error) {
	le := binary.LittleEndian
	if string(b[trailerMagic:]) != packMagic {
		return trailer{}, damagedf(file, "it does not end as a pack: it is torn")
	}
	if v := le.Uint32(b[trailerVersion:]); v != FormatVersion {
		return trailer{}, &FormatError{File: file, Version: int64(v)}
	}
	if n := le.Uint32(b[trailerPage:]); n != PageSize {
		return trailer{}, damagedf(file, "its pages have %d bytes, want %d", n, PageSize)
	}
	t := trailer{
		data:   int64(le.Uint64(b[trailerData:])),
		blocks: le.Uint32(b[trailerBlocks:]),
		pages:  le.Uint32(b[trailerPages:]),
		gen:    int(le.Uint32(b[trailerGen:])),
		pod:    int(le.Uint32(b[trailerPod:])),
		seq:    int(le.Uint32(b[trailerSeq:])),
		sum:    Sum(b[trailerSum:]),
	}
	if t.pages > maxSlots || t.blocks > t.pages || t.data < 0 || t.data > maxSlots*PageSize ||
		size != t.data+int64(t.blocks)*blockSize+int64(t.pages)*keySize+trailerSize {
		return trailer{}, damagedf(file, "%d pages in %d blocks and %d bytes do not make a file of %d bytes",
			t.pages, t.blocks, t.data, size)
	}
	if name := packName(t.gen, t.pod, t.seq); name != file {
		return trailer{}, damagedf(file, "it is %s under another name", name)
	}
	return t, nil
}

// packSum is the identity of a pack. Through the keys and the sums of the
// blocks it stands for every bit of the file.
func packSum(blocks, keys, trailer []byte) Sum {
	h := xxh3.New128()
	for _, part := range [][]byte{blocks, keys, trailer[:trailerSum]} {
		_, _ = h.Write(part)
	}
	return h.Sum128().Bytes()
}
