package store

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A page table on disk, all numbers little endian:
//
//	type header struct {            // documentation only
//		Magic   [8]byte                // "gompiPT\n"
//		Version uint32
//		Packs   uint32
//		Objects uint32
//	}
//
//	type pack struct {              // documentation only
//		Size   uint64
//		Sum    [16]byte                // of its trailer
//		Pages  uint32
//		Length uint32                  // of its name, which follows
//	}
//
//	type object struct {            // documentation only
//		ID   uint64
//		Runs uint32                    // that many runs follow
//	}
//
//	type run struct {               // documentation only
//		Page  uint64
//		Count uint32
//		Slot  uint32
//		Pack  uint32                   // from 1; 0 is zeros
//	}
//
// The xxh3-128 of all this ends the file.
const (
	tableMagicAt  = 0
	tableVersion  = tableMagicAt + 8
	tablePacks    = tableVersion + 4
	tableObjects  = tablePacks + 4
	tableHeadSize = tableObjects + 4

	tpackSize     = 0
	tpackSum      = tpackSize + 8
	tpackPages    = tpackSum + 16
	tpackLength   = tpackPages + 4
	tpackHeadSize = tpackLength + 4

	tobjectID   = 0
	tobjectRuns = tobjectID + 8
	tobjectSize = tobjectRuns + 4

	trunPage  = 0
	trunCount = trunPage + 8
	trunSlot  = trunCount + 4
	trunPack  = trunSlot + 4
	trunSize  = trunPack + 4

	tableSumSize = 16
	tableMagic   = "gompiPT\n"
)

// Encode returns the table as bytes.
func (t *PageTable) Encode() ([]byte, error) {
	if err := t.validate(); err != nil {
		return nil, fmt.Errorf("encode page table: %w", err)
	}
	le := binary.LittleEndian
	size := tableHeadSize + tableSumSize
	for _, p := range t.Packs {
		size += tpackHeadSize + len(p.Name)
	}
	for _, o := range t.Objects {
		size += tobjectSize + len(o.Runs)*trunSize
	}
	b := make([]byte, 0, size)
	b = append(b, tableMagic...)
	b = le.AppendUint32(b, FormatVersion)
	b = le.AppendUint32(b, uint32(len(t.Packs)))
	b = le.AppendUint32(b, uint32(len(t.Objects)))
	for _, p := range t.Packs {
		b = le.AppendUint64(b, uint64(p.Size))
		b = append(b, p.Hash[:]...)
		b = le.AppendUint32(b, p.Pages)
		b = le.AppendUint32(b, uint32(len(p.Name)))
		b = append(b, p.Name...)
	}
	for _, o := range t.Objects {
		b = le.AppendUint64(b, o.ID)
		b = le.AppendUint32(b, uint32(len(o.Runs)))
		for _, r := range o.Runs {
			b = le.AppendUint64(b, r.Page)
			b = le.AppendUint32(b, r.Count)
			b = le.AppendUint32(b, r.Ref.slot())
			b = le.AppendUint32(b, uint32(r.Ref.pack()))
		}
	}
	sum := sumOf(b)
	return append(b, sum[:]...), nil
}

var errTableShort = errors.New("it ends too early")

// DecodePageTable reads what Encode wrote, and refuses anything else.
func DecodePageTable(data []byte) (*PageTable, error) {
	le := binary.LittleEndian
	if len(data) < tableHeadSize+tableSumSize {
		return nil, fmt.Errorf("decode page table: %w", errTableShort)
	}
	if string(data[:tableVersion]) != tableMagic {
		return nil, errors.New("decode page table: it does not begin as one")
	}
	if v := le.Uint32(data[tableVersion:]); v != FormatVersion {
		return nil, &FormatError{File: "page table", Version: int64(v)}
	}
	body, end := data[:len(data)-tableSumSize], data[len(data)-tableSumSize:]
	if sumOf(body) != Sum(end) {
		return nil, errors.New("decode page table: its checksum does not match: it is torn or was changed")
	}
	t := &PageTable{}
	rest, err := t.decodePacks(body[tableHeadSize:], int(le.Uint32(body[tablePacks:])))
	if err == nil {
		rest, err = t.decodeObjects(rest, int(le.Uint32(body[tableObjects:])))
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow its end", len(rest))
	}
	if err == nil {
		err = t.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("decode page table: %w", err)
	}
	return t, nil
}

// decodePacks compares counts with what is left of the file before it allocates
// by them, as decodeObjects does.
func (t *PageTable) decodePacks(b []byte, n int) ([]byte, error) {
	le := binary.LittleEndian
	if n > len(b)/tpackHeadSize {
		return nil, errTableShort
	}
	t.Packs = make([]FileInfo, n)
	for i := range t.Packs {
		if len(b) < tpackHeadSize {
			return nil, errTableShort
		}
		size, length := le.Uint64(b[tpackSize:]), int(le.Uint32(b[tpackLength:]))
		if length > len(b)-tpackHeadSize {
			return nil, errTableShort
		}
		t.Packs[i] = FileInfo{
			Name:  string(b[tpackHeadSize:][:length]),
			Size:  int64(size), // a size of 2^63 and more is negative, and refused as too small
			Hash:  Sum(b[tpackSum:]),
			Pages: le.Uint32(b[tpackPages:]),
		}
		b = b[tpackHeadSize+length:]
	}
	return b, nil
}

func (t *PageTable) decodeObjects(b []byte, n int) ([]byte, error) {
	le := binary.LittleEndian
	if n > len(b)/tobjectSize {
		return nil, errTableShort
	}
	t.Objects = make([]Object, n)
	for i := range t.Objects {
		if len(b) < tobjectSize {
			return nil, errTableShort
		}
		runs := int(le.Uint32(b[tobjectRuns:]))
		t.Objects[i].ID = le.Uint64(b[tobjectID:])
		b = b[tobjectSize:]
		if runs > len(b)/trunSize {
			return nil, errTableShort
		}
		t.Objects[i].Runs = make([]Run, runs)
		for j := range t.Objects[i].Runs {
			pack, slot := le.Uint32(b[trunPack:]), le.Uint32(b[trunSlot:])
			if pack == 0 && slot != 0 {
				return nil, fmt.Errorf("object %d: a run of zeros has slot %d", t.Objects[i].ID, slot)
			}
			t.Objects[i].Runs[j] = Run{Page: le.Uint64(b[trunPage:]), Count: le.Uint32(b[trunCount:]), Ref: Ref(pack)<<32 | Ref(slot)}
			b = b[trunSize:]
		}
	}
	return b, nil
}
