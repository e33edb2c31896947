package store

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// small stores a generation whose files are short: 3 raw pages, or more that
// compress.
func small(t *testing.T, c Compression) (*Store, *Generation) {
	t.Helper()
	s := newStore(t)
	mem := randomPages(1, 3)
	if c != None {
		mem = textPages(1, 20)
	}
	g := commitPods(t, s, nil, WriterOptions{Compression: c, Lanes: 1}, pod{1: slices.Concat(mem, make([]byte, PageSize))})
	return s, g
}

// loadAndVerify is what a restart does before it relies on a generation.
func loadAndVerify(t *testing.T, s *Store) error {
	g, err := s.Load(1)
	if err != nil {
		return err
	}
	return g.Verify(t.Context(), true)
}

// filesOf returns all files of a generation, its manifest too.
func filesOf(g *Generation) []string {
	names := []string{generationName(g.Manifest.Generation) + "/" + manifestName}
	for _, fi := range g.Manifest.Files {
		names = append(names, fi.Name)
	}
	return names
}

func TestAFlippedBitAnywhereIsFoundAndItsFileNamed(t *testing.T) {
	for _, c := range []Compression{None, S2, Zstd, Auto} {
		t.Run(c.String(), func(t *testing.T) {
			s, g := small(t, c)
			if err := loadAndVerify(t, s); err != nil {
				t.Fatal(err)
			}
			for _, name := range filesOf(g) {
				f, err := os.OpenFile(s.path(name), os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				data, err := os.ReadFile(s.path(name))
				if err != nil {
					t.Fatal(err)
				}
				if len(data) > 20000 {
					t.Fatalf("%s has %d bytes: too many to flip each", name, len(data))
				}
				for off := 0; off < len(data); off += flipStep {
					b := data[off]
					_, err := f.WriteAt([]byte{b ^ 1<<(off%8)}, int64(off))
					if err != nil {
						t.Fatal(err)
					}
					checkNamed(t, loadAndVerify(t, s), name, fmt.Sprintf("bit %d of byte %d flipped", off%8, off))
					if _, err := f.WriteAt([]byte{b}, int64(off)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := loadAndVerify(t, s); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A restart reads pages only: it looks at the keys of those that it wants.
func TestAReaderFindsAFlippedBitAnywhereInAPack(t *testing.T) {
	for _, c := range []Compression{None, Zstd} {
		s, g := small(t, c)
		table, err := g.PageTable(0)
		if err != nil {
			t.Fatal(err)
		}
		pack := table.Packs[0]
		f, err := os.OpenFile(s.path(pack.Name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for off := int64(0); off < pack.Size; off += flipStep {
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, off); err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte{b[0] ^ 1<<(off%8)}, off); err != nil {
				t.Fatal(err)
			}
			checkNamed(t, readAll(s, table), pack.Name, fmt.Sprintf("bit %d of byte %d flipped", off%8, off))
			if _, err := f.WriteAt(b, off); err != nil {
				t.Fatal(err)
			}
		}
		if err := readAll(s, table); err != nil {
			t.Fatal(err)
		}
	}
}

// readAll reads every page that a table names.
func readAll(s *Store, table *PageTable) error {
	r, err := s.NewReader(table)
	if err != nil {
		return err
	}
	for _, o := range table.Objects {
		for _, run := range o.Runs {
			if err := r.ReadRun(run, make([]byte, run.Count*PageSize)); err != nil {
				return errors.Join(err, r.Close())
			}
		}
	}
	return r.Close()
}

func checkNamed(t *testing.T, err error, name, what string) {
	t.Helper()
	var de *DamagedError
	var fe *FormatError
	if !(errors.As(err, &de) && de.File == name || errors.As(err, &fe) && fe.File == name) || !strings.Contains(err.Error(), name) {
		t.Fatalf("%s, %s: %v, want an error that names it", name, what, err)
	}
}

func TestATruncatedFileIsFoundAndNamed(t *testing.T) {
	for _, c := range []Compression{None, Zstd} {
		s, g := small(t, c)
		for _, name := range filesOf(g) {
			data, err := os.ReadFile(s.path(name))
			if err != nil {
				t.Fatal(err)
			}
			for n := len(data) - 1; n >= 0; n -= flipStep {
				if err := os.Truncate(s.path(name), int64(n)); err != nil {
					t.Fatal(err)
				}
				checkNamed(t, loadAndVerify(t, s), name, fmt.Sprintf("cut to %d of %d bytes", n, len(data)))
			}
			if err := os.WriteFile(s.path(name), append(slices.Clone(data), 0), fileMode); err != nil {
				t.Fatal(err)
			}
			checkNamed(t, loadAndVerify(t, s), name, "one byte longer")
			if err := os.WriteFile(s.path(name), data, fileMode); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAMissingFileIsFoundAndNamed(t *testing.T) {
	s, g := small(t, None)
	for _, fi := range g.Manifest.Files {
		if err := os.Rename(s.path(fi.Name), s.path("aside")); err != nil {
			t.Fatal(err)
		}
		checkNamed(t, g.Verify(t.Context(), false), fi.Name, "gone")
		if got := latest(t, s); got != 0 {
			t.Errorf("without %s the newest generation is %d, want none", fi.Name, got)
		}
		if err := os.Rename(s.path("aside"), s.path(fi.Name)); err != nil {
			t.Fatal(err)
		}
	}
	if got := latest(t, s); got != 1 {
		t.Errorf("the newest generation is %d, want 1", got)
	}
}

func TestAJobFileIsWholeOrRefused(t *testing.T) {
	s := newStore(t)
	if err := s.WriteJob([]byte(`{"program":"./a.out"}`)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.path(jobName))
	if err != nil {
		t.Fatal(err)
	}
	try := func(bad []byte, what string) {
		t.Helper()
		if err := os.WriteFile(s.path(jobName), bad, fileMode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(s.Dir())
		checkNamed(t, err, jobName, what)
	}
	for off := range data {
		bad := slices.Clone(data)
		bad[off] ^= 1 << (off % 8)
		try(bad, fmt.Sprintf("bit %d of byte %d flipped", off%8, off))
		try(data[:off], fmt.Sprintf("cut to %d bytes", off))
	}
}

func TestReaderNamesThePackAndThePageThatIsBad(t *testing.T) {
	s := newStore(t)
	g := commitPods(t, s, nil, WriterOptions{Lanes: 1}, pod{1: randomPages(1, 200)})
	pack := g.packs()[0].Name
	f, err := os.OpenFile(s.path(pack), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("damage"), 123*PageSize+99); err != nil {
		t.Fatal(err)
	}
	pt, err := g.PageTable(0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.NewReader(pt)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = r.ReadRun(pt.Objects[0].Runs[0], make([]byte, 200*PageSize))
	if want := pack + " is damaged: page 123 does not match its key"; err == nil || err.Error() != want {
		t.Errorf("ReadRun() = %v, want %s", err, want)
	}
	good := make([]byte, 123*PageSize)
	if err := r.ReadRun(Run{Count: 123, Ref: pt.Objects[0].Runs[0].Ref}, good); err != nil {
		t.Errorf("pages before the bad one: %v", err)
	}
}

func TestLatestFallsBackToTheGenerationBefore(t *testing.T) {
	s := newStore(t)
	commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(1, 3)})
	commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(2, 3)})
	name := imageName(2, 0, KindJSON)
	if err := os.WriteFile(s.path(name), []byte(`{"pod": 7}`), fileMode); err != nil {
		t.Fatal(err)
	}
	g, damaged, err := s.Latest(t.Context())
	if err != nil || g.Manifest.Generation != 1 {
		t.Fatalf("Latest() = %v, %v, want generation 1", g, err)
	}
	checkNamed(t, damaged, name, "changed")
}
