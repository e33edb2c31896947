package store

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/zeebo/xxh3"
)

// PageSize is the unit of the store in bytes. It is part of the format and does
// not follow the kernel's page size.
const PageSize = 4096

const keySize = 16

// A Key names a page by its content: xxh3-128 in its canonical, big-endian
// form. It protects from accidents, not from someone who chooses the pages.
type Key [keySize]byte

// KeyOf returns the key of one page of PageSize bytes.
func KeyOf(page []byte) Key { return xxh3.Hash128(page).Bytes() }

// String returns the key in hexadecimal.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

var zeroPage [PageSize]byte

// isZero stops at the first difference, which on pages in use is nearly always
// in their first words: it costs some 15 ms per GiB.
func isZero(page []byte) bool { return bytes.Equal(page, zeroPage[:]) }

// A Ref says where a page is: a pack, by its place in a list of packs, and a
// slot in it. The list is that of the Writer which returned the Ref, or that of
// the PageTable which holds it; a Ref means nothing without it. The zero Ref is
// the page of zeros, which is stored nowhere.
type Ref uint64

func makeRef(pack int, slot uint32) Ref { return Ref(pack)<<32 | Ref(slot) }

// pack counts from 1, so that no stored page has the zero Ref.
func (r Ref) pack() int { return int(r >> 32) }

func (r Ref) slot() uint32 { return uint32(r) }

// follows reports whether r is the page that a run of n pages starting at first
// goes on with.
func (r Ref) follows(first Ref, n uint32) bool {
	if first == 0 {
		return r == 0
	}
	return r.pack() == first.pack() && uint64(r.slot()) == uint64(first.slot())+uint64(n)
}

// A Sum is the xxh3-128 of a file, or of the index of a pack. In JSON it is 32
// hexadecimal digits.
type Sum [16]byte

func sumOf(data []byte) Sum { return xxh3.Hash128(data).Bytes() }

// String returns the sum in hexadecimal.
func (s Sum) String() string { return hex.EncodeToString(s[:]) }

// MarshalText implements encoding.TextMarshaler.
func (s Sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It accepts lower-case
// digits only, so that a sum has one spelling.
func (s *Sum) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(s)) || bytes.ContainsAny(text, "ABCDEF") {
		return fmt.Errorf("%q is no checksum: want %d hexadecimal digits", text, hex.EncodedLen(len(s)))
	}
	_, err := hex.Decode(s[:], text)
	return err
}
