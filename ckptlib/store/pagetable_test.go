package store

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func exampleTable() *PageTable {
	return &PageTable{
		Packs: []FileInfo{
			{Name: packName(7, 1, 0), Size: 1 << 20, Hash: Sum{1, 2, 3}, Pages: 200},
			{Name: packName(6, 12345, 100), Size: 1 << 30, Hash: Sum{0xff}, Pages: maxSlots},
		},
		Objects: []Object{
			{ID: 0, Runs: []Run{{Page: 0, Count: 3}, {Page: 3, Count: 200, Ref: makeRef(1, 0)}, {Page: 1 << 40, Count: 1, Ref: makeRef(2, maxSlots-1)}}},
			{ID: 5, Runs: []Run{}},
			{ID: 1<<64 - 1, Runs: []Run{{Page: maxPage - 2, Count: 2, Ref: makeRef(1, 17)}}},
		},
	}
}

func TestPageTableComesBackAsItWasEncoded(t *testing.T) {
	want := exampleTable()
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodePageTable(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("DecodePageTable(Encode()) differs (-want +got):\n%s", diff)
	}
	if all, zero := got.Pages(); all != 206 || zero != 3 {
		t.Errorf("Pages() = %d, %d, want 206, 3", all, zero)
	}
}

// TestPageTableBytesAreThoseOfTheDocument holds the layout in docs/format.md.
func TestPageTableBytesAreThoseOfTheDocument(t *testing.T) {
	pt := &PageTable{
		Packs: []FileInfo{{Name: "packs/000001-0002-03.pack", Size: 0x123456, Hash: Sum{0xaa, 15: 0xbb}, Pages: 0x40}},
		Objects: []Object{{ID: 9, Runs: []Run{
			{Page: 0x10, Count: 2}, {Page: 0x20, Count: 3, Ref: makeRef(1, 0x3d)},
		}}},
	}
	data, err := pt.Encode()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"676f6d706950540a", "01000000", "01000000", "01000000", // gompiPT\n, version, packs, objects
		"5634120000000000", "aa0000000000000000000000000000bb", "40000000", "19000000", // size, sum, pages, length
		hex.EncodeToString([]byte("packs/000001-0002-03.pack")),
		"0900000000000000", "02000000", // object 9, two runs
		"1000000000000000", "02000000", "00000000", "00000000", // zeros
		"2000000000000000", "03000000", "3d000000", "01000000", // slots 0x3d to 0x3f of pack 1
		sumOf(data[:len(data)-tableSumSize]).String(),
	}, "")
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("Encode() =\n%s, want\n%s", got, want)
	}
}

func TestPageTablesThatContradictThemselvesAreRefused(t *testing.T) {
	for what, spoil := range map[string]func(*PageTable){
		"pack twice":          func(p *PageTable) { p.Packs[1].Name = p.Packs[0].Name },
		"pack outside":        func(p *PageTable) { p.Packs[0].Name = "packs/../job.json" },
		"too many pages":      func(p *PageTable) { p.Packs[1].Pages++ },
		"negative size":       func(p *PageTable) { p.Packs[0].Size = -1 },
		"objects out of turn": func(p *PageTable) { p.Objects[1].ID = 0 },
		"empty run":           func(p *PageTable) { p.Objects[0].Runs[0].Count = 0 },
		"runs overlap":        func(p *PageTable) { p.Objects[0].Runs[0].Count = 4 },
		"runs out of turn":    func(p *PageTable) { slices.Reverse(p.Objects[0].Runs) },
		"no such pack":        func(p *PageTable) { p.Objects[0].Runs[1].Ref = makeRef(3, 0) },
		"pack 0":              func(p *PageTable) { p.Objects[0].Runs[1].Ref = Ref(1) },
		"slots past the end":  func(p *PageTable) { p.Objects[0].Runs[1].Ref = makeRef(1, 1) },
		"page past the end":   func(p *PageTable) { p.Objects[2].Runs[0].Page++ },
	} {
		pt := exampleTable()
		spoil(pt)
		if _, err := pt.Encode(); err == nil {
			t.Errorf("%s: Encode accepts it", what)
		}
	}
}

func TestAPageTakesTwentyBytesAtWorstAndAFreshGigabyteNone(t *testing.T) {
	s := newStore(t)
	w, err := s.NewWriter(begin(t, s), 0, nil, WriterOptions{Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	refs, err := w.AddPages(nil, randomPages(1, 4000))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	size := func(refs []Ref) int {
		tb := NewTable()
		tb.Add(1, 0, refs)
		pt, err := tb.Build(w)
		if err != nil {
			t.Fatal(err)
		}
		data, err := pt.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return len(data)
	}
	fixed := size(nil)
	if got := size(refs) - fixed; got > 100 {
		t.Errorf("4000 pages in a row take %d bytes", got)
	}
	slices.Reverse(refs)
	if got := size(refs) - fixed; got > 4000*trunSize+100 {
		t.Errorf("4000 scattered pages take %d bytes, want at most %d each", got, trunSize)
	}
}

func TestBuilderJoinsPartsThatCameInAnyOrder(t *testing.T) {
	s := newStore(t)
	w, err := s.NewWriter(begin(t, s), 0, nil, WriterOptions{Lanes: 1})
	if err != nil {
		t.Fatal(err)
	}
	refs, err := w.AddPages(nil, slices.Concat(randomPages(1, 10), make([]byte, 10*PageSize)))
	if err != nil {
		t.Fatal(err)
	}
	tb := NewTable()
	tb.Add(1, 115, refs[15:])
	tb.Add(1, 105, refs[5:15])
	tb.Add(1, 100, refs[:5])
	if _, err := tb.Build(w); err == nil {
		t.Error("Build takes a writer that is not finished")
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	pt, err := tb.Build(w)
	if err != nil {
		t.Fatal(err)
	}
	want := []Object{{ID: 1, Runs: []Run{{Page: 100, Count: 10, Ref: makeRef(1, 0)}, {Page: 110, Count: 10}}}}
	if diff := cmp.Diff(want, pt.Objects); diff != "" {
		t.Errorf("objects differ (-want +got):\n%s", diff)
	}
	tb.Add(1, 119, refs[:1])
	if _, err := tb.Build(w); err == nil {
		t.Error("Build accepts a page that was added twice")
	}
}

// FuzzDecodePageTable gives the decoder bytes under a right checksum, so that
// what is behind the checksum is met too.
func FuzzDecodePageTable(f *testing.F) {
	data, err := exampleTable().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:len(data)-tableSumSize])
	f.Add(data[:tableHeadSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := sumOf(body)
		data := append(slices.Clone(body), sum[:]...)
		pt, err := DecodePageTable(data)
		if err != nil {
			return
		}
		again, err := pt.Encode()
		if err != nil {
			t.Fatalf("what decodes does not encode: %v", err)
		}
		if !slices.Equal(data, again) {
			t.Errorf("Encode(DecodePageTable(x)) = %x, want %x", again, data)
		}
	})
}

// FuzzPackIndex gives the decoders of a pack bytes that no checksum covers.
func FuzzPackIndex(f *testing.F) {
	blocks := []block{{pages: 3, stored: 3 * PageSize}, {pages: 20, stored: 100, codec: S2, sum: 7}}
	t := trailer{blocks: 2, pages: 23, data: 3*PageSize + 100, gen: 1, pod: 2, seq: 3}
	f.Add(encodeBlocks(blocks), encodeTrailer(t))
	f.Fuzz(func(t *testing.T, raw, tail []byte) {
		if len(tail) != trailerSize {
			return
		}
		size := int64(len(raw)+trailerSize) + 23*keySize + 3*PageSize + 100
		tr, err := decodeTrailer(packName(1, 2, 3), tail, size)
		if err != nil || int(tr.blocks)*blockSize != len(raw) {
			return
		}
		blocks, err := decodeBlocks(raw, tr.pages, tr.data)
		if err != nil {
			return
		}
		if got := encodeBlocks(blocks); !slices.Equal(got, raw) {
			t.Errorf("encodeBlocks(decodeBlocks(x)) = %x, want %x", got, raw)
		}
		for slot := range tr.pages {
			b := blocks[findBlock(blocks, slot)]
			if slot < b.first || slot >= b.first+b.pages {
				t.Fatalf("findBlock(%d) gives the block of %d pages from %d on", slot, b.pages, b.first)
			}
		}
	})
}
