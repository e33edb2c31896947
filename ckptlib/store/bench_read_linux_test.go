package store

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkFloorRead is what ReadPages cannot beat: pread and xxh3 of each page.
func BenchmarkFloorRead(b *testing.B) {
	path := filepath.Join(b.TempDir(), "f")
	if err := os.WriteFile(path, benchMemory(), fileMode); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	sub(b, func(b *testing.B, g int) {
		bufs := readBuffers(g)
		for range b.N {
			parts(g, benchBytes, func(w, off int) {
				for i := 0; i < benchPart; i += 64 * PageSize {
					part := bufs[w][i : i+64*PageSize]
					if _, err := f.ReadAt(part, int64(off+i)); err != nil {
						b.Error(err)
					}
					hashPages(part)
				}
			})
		}
	})
}

func readBuffers(g int) [][]byte {
	bufs := make([][]byte, g)
	for i := range bufs {
		bufs[i] = make([]byte, benchPart)
	}
	return bufs
}

func BenchmarkReadPages(b *testing.B) {
	s := newStore(b)
	_, t, _ := benchGeneration(b, s, benchMemory())
	sub(b, func(b *testing.B, g int) {
		bufs := readBuffers(g)
		for range b.N {
			r, err := s.NewReader(t)
			if err != nil {
				b.Fatal(err)
			}
			parts(g, benchBytes, func(w, off int) {
				if err := r.ReadPages(refsOf(t.Object(1), uint64(off/PageSize), benchPart/PageSize), bufs[w]); err != nil {
					b.Error(err)
				}
			})
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func refsOf(o *Object, page uint64, n int) []Ref {
	refs := make([]Ref, n)
	for i := range refs {
		refs[i], _ = o.Lookup(page + uint64(i))
	}
	return refs
}

// benchGeneration commits a generation with mem as object 1 of pod 0.
func benchGeneration(b *testing.B, s *Store, mem []byte) (*Generation, *PageTable, []byte) {
	b.Helper()
	gen := begin(b, s)
	w, err := s.NewWriter(gen, 0, nil, WriterOptions{})
	if err != nil {
		b.Fatal(err)
	}
	tb := NewTable()
	addParts(b, w, tb, mem, 2)
	if err := w.Sync(); err != nil {
		b.Fatal(err)
	}
	t, err := tb.Build(w)
	if err != nil {
		b.Fatal(err)
	}
	data, err := t.Encode()
	if err != nil {
		b.Fatal(err)
	}
	fi, err := s.WriteImage(gen, 0, KindPages, data)
	if err != nil {
		b.Fatal(err)
	}
	g, err := s.Commit(gen, Manifest{Files: []FileInfo{fi}})
	if err != nil {
		b.Fatal(err)
	}
	return g, t, data
}

// BenchmarkIndex loads the keys of 1 GiB and reports the memory they take.
func BenchmarkIndex(b *testing.B) {
	s := newStore(b)
	g, _, data := benchGeneration(b, s, benchMemory())
	var x *Index
	for b.Loop() {
		var err error
		if x, err = s.Index(b.Context(), g, IndexOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(x.Bytes()), "bytes/GiB")
	b.ReportMetric(float64(x.Bytes())/float64(x.Pages()), "bytes/page")
	b.ReportMetric(float64(len(data)), "table-bytes/GiB")
}

// BenchmarkScattered stores 1 GiB of which every fourth page is new.
func BenchmarkScattered(b *testing.B) {
	sub(b, func(b *testing.B, g int) {
		s := newStore(b)
		mem := append([]byte(nil), benchMemory()...)
		g1, _, _ := benchGeneration(b, s, mem)
		x, err := s.Index(b.Context(), g1, IndexOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for n := range b.N {
			b.StopTimer()
			for i := 0; i < len(mem); i += 4 * PageSize {
				binary.LittleEndian.PutUint64(mem[i:], uint64(n+1)<<32|uint64(i/PageSize))
			}
			w, err := s.NewWriter(begin(b, s), 0, x, WriterOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			addParts(b, w, NewTable(), mem, g)
			if err := w.Finish(); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := w.Abort(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}
