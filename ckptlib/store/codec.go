package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// Compression is how blocks of pages are stored. The numbers are part of the
// format.
type Compression uint32

// What a Writer may be told. A block that does not get smaller is stored raw
// under any of them.
const (
	None Compression = iota // pages as they are
	S2                      // fast: some 400 MB/s on one core
	Zstd                    // smaller: some 100 MB/s on one core

	// Auto is none of a block, but a choice for each: S2 where a sample of its
	// pages gets smaller by an eighth or more, else None.
	Auto Compression = 1 << 16
)

var compressionNames = []string{"none", "s2", "zstd"}

// ParseCompression reads auto, none, s2 or zstd.
func ParseCompression(name string) (Compression, error) {
	if name == "auto" {
		return Auto, nil
	}
	for i, n := range compressionNames {
		if n == name {
			return Compression(i), nil
		}
	}
	return None, fmt.Errorf("compression %q is not known: choose one of auto, %s", name, strings.Join(compressionNames, ", "))
}

// String returns the name that ParseCompression reads.
func (c Compression) String() string {
	if c == Auto {
		return "auto"
	}
	if int(c) < len(compressionNames) {
		return compressionNames[c]
	}
	return fmt.Sprintf("codec %d", uint32(c))
}

// An encoder compresses the blocks of one lane, with memory of its own.
type encoder struct {
	codec Compression
	out   []byte
	zstd  *zstd.Encoder
}

func newEncoder(c Compression) (*encoder, error) {
	e := &encoder{codec: c}
	switch c {
	case Auto:
		e.codec = S2
	case None, S2:
	case Zstd:
		var err error
		// Blocks have a checksum in the pack. Lanes are the concurrency.
		e.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(blockTarget*PageSize))
		if err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("compression %v is not known", c)
	}
	return e, nil
}

// encode returns the bytes to store and what they are. They are valid until the
// next call.
func (e *encoder) encode(raw []byte) ([]byte, Compression) {
	switch e.codec {
	case S2:
		if e.out == nil {
			e.out = make([]byte, s2.MaxEncodedLen(blockTarget*PageSize))
		}
		e.out = s2.Encode(e.out[:cap(e.out)], raw)
	case Zstd:
		e.out = e.zstd.EncodeAll(raw, e.out[:0])
	default:
		return raw, None
	}
	if len(e.out) >= len(raw) {
		return raw, None
	}
	return e.out, e.codec
}

// worth tells from a few pages, one in 64 and at most four, whether S2 makes a run
// of pages smaller. Of random numbers it finds out in a hundredth of the time that
// hashing them takes. The pages are no power of two apart, as records of a table
// may be.
func (e *encoder) worth(pages []byte) bool {
	if e.out == nil {
		e.out = make([]byte, s2.MaxEncodedLen(blockTarget*PageSize))
	}
	n := len(pages) / PageSize
	samples := min(4, 1+n/64)
	size := 0
	for i := range samples {
		at := ((2*i+1)*n/(2*samples) + i) * PageSize
		size += len(s2.Encode(e.out[:cap(e.out)], pages[at:at+PageSize]))
	}
	return size <= samples*PageSize*7/8
}

var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlockPages*PageSize))
})

var errBlock = errors.New("it does not decompress to its pages")

// decode fills dst with the pages of a compressed block.
func decode(c Compression, dst, stored []byte) error {
	switch c {
	case S2:
		if n, err := s2.DecodedLen(stored); err != nil || n != len(dst) {
			return errBlock
		}
		if _, err := s2.Decode(dst, stored); err != nil {
			return fmt.Errorf("%w: %w", errBlock, err)
		}
	case Zstd:
		d, err := zstdDecoder()
		if err != nil {
			return err
		}
		out, err := d.DecodeAll(stored, dst[:0:len(dst)])
		if err != nil {
			return fmt.Errorf("%w: %w", errBlock, err)
		}
		if len(out) != len(dst) {
			return errBlock
		}
		if len(out) > 0 && &out[0] != &dst[0] { // the decoder wanted more room on the way
			copy(dst, out)
		}
	default:
		return fmt.Errorf("codec %d is not known", uint32(c))
	}
	return nil
}
