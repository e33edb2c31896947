package store

import (
	"encoding/binary"
	"math/bits"
)

// A table maps keys to refs. It does not hold the keys: an entry of 8 bytes
// leads to the slot whose key stands in the index of its pack, which is in
// memory anyway. With 3 of 4 places taken that is 27 bytes per page in all;
// a Go map of the same takes 60.
//
// An entry is tag (30 bits), pack (16), slot (18). Packs count from 1, so no
// entry is 0, which is an empty place. The tag is the upper end of the key's
// low word: it alone tells the place, so that growing touches no key.
type table struct {
	places []uint64
	used   int
}

const (
	slotBits = 18
	packBits = 16
	tagBits  = 64 - slotBits - packBits

	// maxSlots and maxPacks are what one pack and one list of packs can hold:
	// 1 GiB, and 64 TiB.
	maxSlots = 1 << slotBits
	maxPacks = 1<<packBits - 1
)

// packKeys is what the index of a pack says: the key of each slot, one after
// the other.
type packKeys struct {
	info   FileInfo
	keys   []byte
	unread bool // keys is nil, and is to stay so
}

func (p *packKeys) key(slot uint32) Key { return Key(p.keys[int(slot)*keySize:]) }

func (p *packKeys) pages() int { return len(p.keys) / keySize }

func lowWord(k *Key) uint64 { return binary.BigEndian.Uint64(k[8:]) }

// newTable returns a table in which n keys find room without growing.
func newTable(n int) table { return table{places: make([]uint64, n+n/3+8)} }

func (t *table) place(tag uint64) int {
	// Scaling the tag to the length needs no power of two, so a table can have
	// the size its keys want.
	hi, lo := bits.Mul64(tag, uint64(len(t.places)))
	return int(hi<<(64-tagBits) | lo>>tagBits)
}

// get returns the ref of k, or 0. packs is the list that refs count in.
func (t *table) get(packs []*packKeys, k *Key) Ref {
	if len(t.places) == 0 {
		return 0
	}
	tag := lowWord(k) >> (64 - tagBits)
	for i := t.place(tag); ; {
		e := t.places[i]
		if e == 0 {
			return 0
		}
		if e>>(slotBits+packBits) == tag {
			r := makeRef(int(e>>slotBits&maxPacks), uint32(e&(maxSlots-1)))
			if packs[r.pack()-1].key(r.slot()) == *k {
				return r
			}
		}
		if i++; i == len(t.places) {
			i = 0
		}
	}
}

// put adds a key that get did not find.
func (t *table) put(k *Key, r Ref) {
	if 4*(t.used+1) > 3*len(t.places) {
		t.grow()
	}
	tag := lowWord(k) >> (64 - tagBits)
	t.insert(tag<<(slotBits+packBits) | uint64(r.pack())<<slotBits | uint64(r.slot()))
	t.used++
}

func (t *table) insert(e uint64) {
	i := t.place(e >> (slotBits + packBits))
	for t.places[i] != 0 {
		if i++; i == len(t.places) {
			i = 0
		}
	}
	t.places[i] = e
}

func (t *table) grow() {
	old := t.places
	t.places = make([]uint64, max(64, 2*len(old)))
	for _, e := range old {
		if e != 0 {
			t.insert(e)
		}
	}
}
