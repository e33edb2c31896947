package store

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mixedPods have pages that are zero, repeated within an object, between
// objects and between pods, that compress and that do not.
func mixedPods() []pod {
	zeros := make([]byte, 40*PageSize)
	return []pod{
		{
			1:       slices.Concat(randomPages(1, 300), zeros, textPages(2, 70), randomPages(1, 5)),
			2:       slices.Concat(zeros, randomPages(3, 33), zeros[:PageSize]),
			3:       {},
			1 << 40: slices.Concat(textPages(2, 300), randomPages(3, 1)),
		},
		{1: slices.Concat(randomPages(1, 100), textPages(9, 100))},
	}
}

func TestPagesComeBackAsTheyWereStored(t *testing.T) {
	for _, c := range []Compression{None, S2, Zstd, Auto} {
		for _, lanes := range []int{1, 3} {
			for _, slots := range []int{maxSlots, 50} {
				for _, verify := range []bool{false, true} {
					t.Run(fmt.Sprintf("%v/lanes=%d/slots=%d/verify=%t", c, lanes, slots, verify), func(t *testing.T) {
						t.Parallel()
						testRoundTrip(t, WriterOptions{Compression: c, Lanes: lanes, VerifyPages: verify}, slots)
					})
				}
			}
		}
	}
}

func testRoundTrip(t *testing.T, opt WriterOptions, slots int) {
	s := newStore(t)
	var x *Index
	var w *Writer
	for range 3 {
		gen := begin(t, s)
		var files []FileInfo
		for i, p := range mixedPods() {
			var fis []FileInfo
			w, fis = p.write(t, s, gen, i, x, opt, slots)
			files = append(files, fis...)
			if x != nil && w.Stats().PagesStored != 0 {
				t.Errorf("generation %d stores %d pages of pod %d again", gen, w.Stats().PagesStored, i)
			}
		}
		g, err := s.Commit(gen, Manifest{Files: files})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Verify(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		for i, p := range mixedPods() {
			p.check(t, s, g, i)
		}
		if x, err = s.Index(t.Context(), g, IndexOptions{Have: w}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStatsCountEveryPageOnce(t *testing.T) {
	s := newStore(t)
	gen := begin(t, s)
	w, err := s.NewWriter(gen, 0, nil, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddPages(nil, slices.Concat(randomPages(1, 100), make([]byte, 20*PageSize), randomPages(1, 10))); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	want := Stats{
		PagesLogical: 130, PagesZero: 20, PagesDeduped: 10, PagesStored: 100, BytesLogical: 130 * PageSize,
		BytesWritten: 100*PageSize + blockSize + 100*keySize + trailerSize,
	}
	if got := w.Stats(); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
}

func TestZerosTakeNoPack(t *testing.T) {
	s := newStore(t)
	g := commitPods(t, s, nil, WriterOptions{}, pod{1: make([]byte, 1000*PageSize)})
	if names := packNames(t, s); len(names) != 0 {
		t.Errorf("packs = %v, want none", names)
	}
	pod{1: make([]byte, 1000*PageSize)}.check(t, s, g, 0)
}

func TestSamePageFromManyGoroutinesIsStoredOnce(t *testing.T) {
	s := newStore(t)
	w, err := s.NewWriter(begin(t, s), 0, nil, WriterOptions{Lanes: 4})
	if err != nil {
		t.Fatal(err)
	}
	p := pod{}
	for id := range uint64(8) {
		p[id] = randomPages(1, 200)
	}
	p.add(t, w, NewTable())
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if got := w.Stats(); got.PagesStored != 200 || got.PagesDeduped != 7*200 {
		t.Errorf("%d pages stored and %d deduped, want 200 and 1400", got.PagesStored, got.PagesDeduped)
	}
}

func TestCompressionMakesTextSmallerAndLeavesNoiseRaw(t *testing.T) {
	for _, c := range []Compression{S2, Zstd, Auto} {
		for name, mem := range map[string][]byte{"text": textPages(1, 512), "noise": randomPages(1, 512)} {
			s := newStore(t)
			w, _ := pod{1: mem}.write(t, s, begin(t, s), 0, nil, WriterOptions{Compression: c, Lanes: 1}, maxSlots)
			got := w.Stats().BytesWritten
			raw := int64(512*PageSize + blockSize + 512*keySize + trailerSize)
			if name == "noise" && got != raw {
				t.Errorf("%v: noise takes %d bytes, want %d", c, got, raw)
			}
			if name == "text" && got > raw/7 {
				t.Errorf("%v: text takes %d bytes of %d", c, got, raw)
			}
		}
	}
}

// A sample must not meet the same part of each record.
func TestRecordsOfAPowerOfTwoOfPagesAreSampledInAllTheirParts(t *testing.T) {
	noise, text := randomPages(1, blockTarget), textPages(1, blockTarget)
	for first := range 4 {
		mem := slices.Clone(text)
		for i := first; i < blockTarget; i += 4 {
			copy(mem[i*PageSize:], noise[i*PageSize:][:PageSize])
		}
		s := newStore(t)
		w, err := s.NewWriter(begin(t, s), 0, nil, WriterOptions{Compression: Auto, Lanes: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddPages(nil, mem); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
		if got := w.Stats().BytesWritten; got > int64(len(mem))/2 {
			t.Errorf("pages, of which one in four is noise, beginning with page %d, take %d bytes of %d", first, got, len(mem))
		}
	}
}

func TestReadPagesTakesRefsInAnyOrder(t *testing.T) {
	for _, c := range []Compression{None, S2} {
		s := newStore(t)
		mem := slices.Concat(textPages(1, 600), make([]byte, 3*PageSize))
		g := commitPods(t, s, nil, WriterOptions{Compression: c}, pod{1: mem})
		pt, err := g.PageTable(0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.NewReader(pt)
		if err != nil {
			t.Fatal(err)
		}
		var refs []Ref
		var want []byte
		for _, page := range []uint64{599, 0, 1, 2, 601, 602, 300, 299, 298, 255, 256, 257, 601} {
			ref, ok := pt.Object(1).Lookup(page)
			if !ok {
				t.Fatalf("Lookup(%d) finds nothing", page)
			}
			refs = append(refs, ref)
			want = append(want, mem[page*PageSize:][:PageSize]...)
		}
		got := bytes.Repeat([]byte{1}, len(want))
		if err := r.ReadPages(refs, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: ReadPages gives other pages", c)
		}
		if _, ok := pt.Object(1).Lookup(603); ok {
			t.Error("Lookup finds a page behind the end")
		}
		if pt.Object(2) != nil {
			t.Error("Object finds an object that is not there")
		}
		_ = r.Close()
		if err := r.ReadPages(refs[:1], got[:PageSize]); err == nil && c == None {
			t.Error("a closed Reader reads")
		}
	}
}

func TestPodsWriteAtTheSameTimeThroughStoresOfTheirOwn(t *testing.T) {
	s := newStore(t)
	gen := begin(t, s)
	pods := mixedPods()
	files := make([][]FileInfo, len(pods))
	done := make(chan struct{})
	for i, p := range pods {
		go func() {
			defer func() { done <- struct{}{} }()
			agent, err := Open(s.Dir())
			if err != nil {
				t.Error(err)
				return
			}
			_, files[i] = p.write(t, agent, gen, i, nil, WriterOptions{}, 50)
		}()
	}
	for range pods {
		<-done
	}
	g, err := s.Commit(gen, Manifest{Files: slices.Concat(files...)})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range pods {
		p.check(t, s, g, i)
	}
	if got := g.Pods(); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("Pods() = %v, want 0 and 1", got)
	}
}

func TestNobodyElseMayLookIntoAStore(t *testing.T) {
	s := newStore(t)
	commitPods(t, s, nil, WriterOptions{}, mixedPods()...)
	err := filepath.WalkDir(s.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(fileMode)
		if d.IsDir() {
			want = dirMode
		}
		if st.Mode().Perm() != want {
			t.Errorf("mode of %s = %v, want %v", path, st.Mode().Perm(), want)
		}
		if strings.Contains(path, tempMark) {
			t.Errorf("%s was left behind", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
