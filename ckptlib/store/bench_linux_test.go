package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/zeebo/xxh3"
)

// benchBytes is the memory that each measurement writes or reads once.
const benchBytes = 1 << 30

// benchPart is the buffer that a goroutine of the agent would use.
const benchPart = 1 << 20

var benchMemory = sync.OnceValue(func() []byte {
	var seed [32]byte
	mem := make([]byte, benchBytes)
	_, _ = rand.NewChaCha8(seed).Read(mem)
	return mem
})

// parts lets g goroutines each do a share of the parts of n bytes.
func parts(g, n int, do func(worker, off int)) {
	var wg sync.WaitGroup
	share := n / g
	for i := range g {
		wg.Go(func() {
			for off := i * share; off < (i+1)*share; off += benchPart {
				do(i, off)
			}
		})
	}
	wg.Wait()
}

func sub(b *testing.B, run func(b *testing.B, g int)) {
	for _, g := range []int{1, 2} {
		b.Run(fmt.Sprintf("goroutines=%d", g), func(b *testing.B) {
			benchMemory()
			b.SetBytes(benchBytes)
			cpu := cpuTime(b)
			b.ResetTimer()
			run(b, g)
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/GiB")
			// On a host with neighbours this says more than the time on the wall.
			b.ReportMetric(float64((cpuTime(b)-cpu).Milliseconds())/float64(b.N), "cpu-ms/GiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpuTime is what the process has used, in user and system mode.
func cpuTime(b *testing.B) time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// BenchmarkFloorWrite is what AddPages cannot beat: xxh3 of each page and
// write, from one file per goroutine, nothing else.
func BenchmarkFloorWrite(b *testing.B) {
	sub(b, func(b *testing.B, g int) {
		mem, dir := benchMemory(), b.TempDir()
		for range b.N {
			files := make([]*os.File, g)
			for i := range files {
				f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
				if err != nil {
					b.Fatal(err)
				}
				files[i] = f
			}
			parts(g, len(mem), func(w, off int) {
				part := mem[off : off+benchPart]
				for i := 0; i < len(part); i += 64 * PageSize {
					hashPages(part[i : i+64*PageSize])
					if _, err := files[w].Write(part[i : i+64*PageSize]); err != nil {
						b.Error(err)
					}
				}
			})
			b.StopTimer()
			for _, f := range files {
				_, _ = f.Close(), os.Remove(f.Name())
			}
			b.StartTimer()
		}
	})
}

func hashPages(part []byte) (s uint64) {
	for i := 0; i < len(part); i += PageSize {
		s += xxh3.Hash128(part[i:][:PageSize]).Lo
	}
	return s
}

func BenchmarkAddPages(b *testing.B) {
	for _, c := range []Compression{None, S2, Zstd, Auto} {
		b.Run("compress="+c.String(), func(b *testing.B) { benchAdd(b, c) })
	}
}

func benchAdd(b *testing.B, c Compression) {
	sub(b, func(b *testing.B, g int) {
		mem := benchMemory()
		s := newStore(b)
		for range b.N {
			gen := begin(b, s)
			w, err := s.NewWriter(gen, 0, nil, WriterOptions{Compression: c})
			if err != nil {
				b.Fatal(err)
			}
			addParts(b, w, NewTable(), mem, g)
			if err := w.Finish(); err != nil {
				b.Fatal(err)
			}
			if got := w.Stats().PagesStored; got != benchBytes/PageSize {
				b.Fatalf("%d pages stored, want %d", got, benchBytes/PageSize)
			}
			b.StopTimer()
			if err := w.Abort(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

func addParts(b *testing.B, w *Writer, t *TableBuilder, mem []byte, g int) {
	b.Helper()
	parts(g, len(mem), func(_, off int) {
		refs, err := w.AddPages(nil, mem[off:off+benchPart])
		if err != nil {
			b.Error(err)
		}
		t.Add(1, uint64(off/PageSize), refs)
	})
}

// BenchmarkAddPagesAgain stores 1 GiB of which everything is known already.
func BenchmarkAddPagesAgain(b *testing.B) {
	mem := benchMemory()
	s := newStore(b)
	g1, _, _ := benchGeneration(b, s, mem)
	x, err := s.Index(b.Context(), g1, IndexOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("", func(b *testing.B) {
		sub(b, func(b *testing.B, g int) {
			for range b.N {
				w, err := s.NewWriter(begin(b, s), 0, x, WriterOptions{})
				if err != nil {
					b.Fatal(err)
				}
				addParts(b, w, NewTable(), mem, g)
				if got := w.Stats(); got.PagesStored != 0 {
					b.Fatalf("%d pages stored, want none", got.PagesStored)
				}
			}
		})
	})
}
