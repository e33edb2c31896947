package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func newStore(t testing.TB) *Store {
	t.Helper()
	s, err := Create(filepath.Join(t.TempDir(), "ckpt"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t testing.TB, s *Store) int {
	t.Helper()
	gen, err := s.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return gen
}

// randomPages returns n pages that nothing compresses, the same for a seed.
func randomPages(seed byte, n int) []byte {
	b := make([]byte, n*PageSize)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// textPages returns n different pages that compress well.
func textPages(seed byte, n int) []byte {
	var b bytes.Buffer
	for i := range n {
		line := fmt.Sprintf("page %d of the text %d; ", i, seed)
		b.WriteString(strings.Repeat(line, PageSize/len(line)+1)[:PageSize])
	}
	return b.Bytes()
}

// pod is what a test stores for one pod: objects by number.
type pod map[uint64][]byte

// pack stores the pages of a pod, as far as Sync.
func (p pod) pack(t testing.TB, s *Store, gen, number int, x *Index, opt WriterOptions, slots int) (*Writer, *PageTable) {
	t.Helper()
	w, err := s.newWriter(gen, number, x, opt, slots)
	if err != nil {
		t.Fatal(err)
	}
	tb := NewTable()
	p.add(t, w, tb)
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	pt, err := tb.Build(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	return w, pt
}

// write stores a pod in a generation as an agent does, and returns its images.
// Objects go in pieces of n pages from several goroutines.
func (p pod) write(t testing.TB, s *Store, gen, number int, x *Index, opt WriterOptions, slots int) (*Writer, []FileInfo) {
	t.Helper()
	w, pt := p.pack(t, s, gen, number, x, opt, slots)
	data, err := pt.Encode()
	if err != nil {
		t.Fatal(err)
	}
	pages, err1 := s.WriteImage(gen, number, KindPages, data)
	image, err2 := s.WriteImage(gen, number, KindJSON, fmt.Appendf(nil, `{"pod": %d}`, number))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return w, []FileInfo{pages, image}
}

func (p pod) add(t testing.TB, w *Writer, tb *TableBuilder) {
	t.Helper()
	const piece = 7 * PageSize
	var wg sync.WaitGroup
	for id, mem := range p {
		wg.Go(func() {
			tb.Add(id, 0, nil)
			for off := 0; off < len(mem); off += piece {
				refs, err := w.AddPages(nil, mem[off:min(off+piece, len(mem))])
				if err != nil {
					t.Error(err)
					return
				}
				tb.Add(id, uint64(off/PageSize), refs)
			}
		})
	}
	wg.Wait()
}

// check reads a pod back and compares it.
func (p pod) check(t testing.TB, s *Store, g *Generation, number int) {
	t.Helper()
	pt, err := g.PageTable(number)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.NewReader(pt)
	if err != nil {
		t.Fatal(err)
	}
	if len(pt.Objects) != len(p) {
		t.Errorf("pod %d has %d objects, want %d", number, len(pt.Objects), len(p))
	}
	for _, o := range pt.Objects {
		got := bytes.Repeat([]byte{0xee}, len(p[o.ID]))
		pages := 0
		for _, run := range o.Runs {
			dst := got[run.Page*PageSize:][:run.Count*PageSize]
			if err := r.ReadRun(run, dst); err != nil {
				t.Fatal(err)
			}
			pages += int(run.Count)
		}
		if pages != len(p[o.ID])/PageSize || !bytes.Equal(got, p[o.ID]) {
			t.Errorf("pod %d, object %d: %d pages are not the %d that were stored", number, o.ID, pages, len(p[o.ID])/PageSize)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// commitPods stores pods 0, 1, ... as the next generation.
func commitPods(t testing.TB, s *Store, x *Index, opt WriterOptions, pods ...pod) *Generation {
	t.Helper()
	gen := begin(t, s)
	var files []FileInfo
	for i, p := range pods {
		_, fis := p.write(t, s, gen, i, x, opt, maxSlots)
		files = append(files, fis...)
	}
	g, err := s.Commit(gen, Manifest{Files: files, Facts: []byte(`{"ranks": 2}`)})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func latest(t testing.TB, s *Store) int {
	t.Helper()
	g, _, err := s.Latest(context.Background())
	if errors.Is(err, ErrNoGeneration) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return g.Manifest.Generation
}

func packNames(t testing.TB, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.path(packDir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
