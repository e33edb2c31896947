package store

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/v1 anew; only before a format is released")

// oldPods are what the stores in testdata hold: one generation per codec.
func oldPods() []pod {
	return []pod{
		{1: slices.Concat(randomPages(1, 2), make([]byte, 3*PageSize), randomPages(1, 1))},
		{1: slices.Concat(textPages(2, 30), randomPages(1, 2)), 7: textPages(2, 3)},
		{1: slices.Concat(textPages(3, 30), textPages(2, 30)), 9: {}},
	}
}

// TestStoresOfFormat1StayReadable reads a store that the first release wrote.
// A later format adds a directory beside it; this one stays for ever.
func TestStoresOfFormat1StayReadable(t *testing.T) {
	dir := filepath.Join("testdata", "v1")
	if *update {
		writeOld(t, dir)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if job, err := s.ReadJob(); err != nil || string(job) != `{"program":"./a.out"}` {
		t.Errorf("ReadJob() = %s, %v", job, err)
	}
	for i, p := range oldPods() {
		g, err := s.Load(i + 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Verify(t.Context(), true); err != nil {
			t.Error(err)
		}
		p.check(t, s, g, 0)
	}
}

func writeOld(t *testing.T, dir string) {
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.WriteJob([]byte(`{"program":"./a.out"}`)); err != nil {
		t.Fatal(err)
	}
	var x *Index
	for i, p := range oldPods() {
		gen := begin(t, s)
		_, files := p.write(t, s, gen, 0, x, WriterOptions{Compression: Compression(i), Lanes: 1}, maxSlots)
		g, err := s.Commit(gen, Manifest{Files: files, Created: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		if x, err = s.Index(t.Context(), g, IndexOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}
