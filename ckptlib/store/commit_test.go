package store

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOnlyTheManifestMakesACheckpoint(t *testing.T) {
	s := newStore(t)
	commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(1, 5)})
	stays := func(after string) {
		t.Helper()
		if got := latest(t, s); got != 1 {
			t.Fatalf("after %s the newest generation is %d, want 1", after, got)
		}
	}
	gen := begin(t, s)
	stays("Begin")
	w, err := s.NewWriter(gen, 0, nil, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tb := NewTable()
	pod{1: randomPages(2, 100)}.add(t, w, tb)
	stays("AddPages")
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	stays("Finish")
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	stays("Sync")
	pt, err := tb.Build(w)
	if err != nil {
		t.Fatal(err)
	}
	data, err := pt.Encode()
	if err != nil {
		t.Fatal(err)
	}
	fi, err := s.WriteImage(gen, 0, KindPages, data)
	if err != nil {
		t.Fatal(err)
	}
	stays("WriteImage")
	if _, err := s.Commit(gen, Manifest{Files: []FileInfo{fi}}); err != nil {
		t.Fatal(err)
	}
	if got := latest(t, s); got != 2 {
		t.Errorf("after Commit the newest generation is %d, want 2", got)
	}
}

func TestCommitRefusesFilesThatAreNotThere(t *testing.T) {
	break1 := map[string]func(t *testing.T, s *Store, files []FileInfo) (string, []FileInfo){
		"the image is gone": func(t *testing.T, s *Store, files []FileInfo) (string, []FileInfo) {
			return files[1].Name, removed(t, s, files, files[1].Name)
		},
		"the page table is gone": func(t *testing.T, s *Store, files []FileInfo) (string, []FileInfo) {
			return files[0].Name, removed(t, s, files, files[0].Name)
		},
		"a pack is gone": func(t *testing.T, s *Store, files []FileInfo) (string, []FileInfo) {
			name := packDir + "/" + packNames(t, s)[0]
			return name, removed(t, s, files, name)
		},
		"a pack is torn": func(t *testing.T, s *Store, files []FileInfo) (string, []FileInfo) {
			name := packDir + "/" + packNames(t, s)[0]
			if err := os.Truncate(s.path(name), PageSize); err != nil {
				t.Fatal(err)
			}
			return name, files
		},
		"a pack has lost its end": func(t *testing.T, s *Store, files []FileInfo) (string, []FileInfo) {
			name := packDir + "/" + packNames(t, s)[0]
			st, err := os.Stat(s.path(name))
			if err != nil {
				t.Fatal(err)
			}
			// What a crash leaves where the size was durable and the data was not.
			if err := errors.Join(os.Truncate(s.path(name), st.Size()-8), os.Truncate(s.path(name), st.Size())); err != nil {
				t.Fatal(err)
			}
			return name, files
		},
		"an image has another size": func(_ *testing.T, _ *Store, files []FileInfo) (string, []FileInfo) {
			files[1].Size++
			return files[1].Name, files
		},
		"two sums for one file": func(_ *testing.T, _ *Store, files []FileInfo) (string, []FileInfo) {
			other := files[1]
			other.Hash[0]++
			return other.Name, append(files, other)
		},
		"a file of another generation": func(_ *testing.T, _ *Store, files []FileInfo) (string, []FileInfo) {
			files[1].Name = imageName(7, 0, KindJSON)
			return files[1].Name, files
		},
		"a file out of the store": func(_ *testing.T, _ *Store, files []FileInfo) (string, []FileInfo) {
			files[1].Name = "../../etc/passwd"
			return files[1].Name, files
		},
	}
	for what, spoil := range break1 {
		t.Run(what, func(t *testing.T) {
			s := newStore(t)
			gen := begin(t, s)
			_, files := pod{1: randomPages(1, 5)}.write(t, s, gen, 0, nil, WriterOptions{}, maxSlots)
			name, files := spoil(t, s, files)
			_, err := s.Commit(gen, Manifest{Files: files})
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("Commit() = %v, want an error that names %s", err, name)
			}
			if got := latest(t, s); got != 0 {
				t.Errorf("the newest generation is %d, want none", got)
			}
		})
	}
}

func removed(t *testing.T, s *Store, files []FileInfo, name string) []FileInfo {
	t.Helper()
	if err := os.Remove(s.path(name)); err != nil {
		t.Fatal(err)
	}
	return files
}

func TestAGenerationIsCommittedOnce(t *testing.T) {
	s := newStore(t)
	g := commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(1, 5)})
	if _, err := s.Commit(1, g.Manifest); !errors.Is(err, ErrCommitted) {
		t.Errorf("Commit() = %v, want %v", err, ErrCommitted)
	}
	if _, err := s.NewWriter(1, 0, nil, WriterOptions{}); !errors.Is(err, ErrCommitted) {
		t.Errorf("NewWriter() = %v, want %v", err, ErrCommitted)
	}
	if _, err := s.WriteImage(1, 0, KindJSON, nil); !errors.Is(err, ErrCommitted) {
		t.Errorf("WriteImage() = %v, want %v", err, ErrCommitted)
	}
	if _, err := s.NewWriter(2, 0, nil, WriterOptions{}); err == nil {
		t.Error("NewWriter takes a generation that nobody began")
	}
}

func TestManifestComesBack(t *testing.T) {
	s := newStore(t)
	gen := begin(t, s)
	_, files := pod{1: randomPages(1, 5)}.write(t, s, gen, 3, nil, WriterOptions{}, maxSlots)
	created := time.Date(2026, 11, 22, 1, 2, 3, 4, time.UTC)
	if _, err := s.Commit(gen, Manifest{Files: files, Created: created, Facts: []byte(`{"pause_ms":12}`)}); err != nil {
		t.Fatal(err)
	}
	g, err := s.Load(gen)
	if err != nil {
		t.Fatal(err)
	}
	m := g.Manifest
	if m.Format != FormatVersion || m.Generation != gen || !m.Created.Equal(created) || len(m.Files) != 3 {
		t.Errorf("manifest = %+v", m)
	}
	if got := strings.Join(strings.Fields(string(m.Facts)), ""); got != `{"pause_ms":12}` {
		t.Errorf("facts = %s", got)
	}
	data, err := g.ReadImage(3, KindJSON)
	if err != nil || string(data) != `{"pod": 3}` {
		t.Errorf("ReadImage() = %s, %v", data, err)
	}
	if _, err := g.ReadImage(4, KindJSON); err == nil {
		t.Error("ReadImage reads a pod that is not there")
	}
}

func TestNumbersOfGenerationsAreNeverClaimedTwice(t *testing.T) {
	s := newStore(t)
	claims := make(chan int)
	for range 8 {
		go func() {
			gen, err := s.Begin()
			if err != nil {
				t.Error(err)
			}
			claims <- gen
		}()
	}
	var got []int
	for range 8 {
		got = append(got, <-claims)
	}
	slices.Sort(got)
	if !slices.Equal(got, []int{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("8 claims at once = %v, want 1 to 8", got)
	}
	if _, err := s.Remove(8); err != nil {
		t.Fatal(err)
	}
	if gen := begin(t, s); gen != 9 {
		t.Errorf("Begin() after Remove(8) = %d, want 9", gen)
	}
	// Somebody took the directories and left a pack.
	w := &Writer{s: s, gen: 20, slots: 10}
	p, err := w.makePack(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.file.Close(); err != nil {
		t.Fatal(err)
	}
	if gen := begin(t, s); gen != 21 {
		t.Errorf("Begin() with a pack of generation 20 = %d, want 21", gen)
	}
	if _, err := w.makePack(0); !errors.Is(err, os.ErrExist) {
		t.Errorf("a pack is made over another one: %v", err)
	}
}

func TestGenerationsListsCompleteAndAbandonedOnes(t *testing.T) {
	s := newStore(t)
	p := pod{1: randomPages(1, 5)}
	commitPods(t, s, nil, WriterOptions{}, p)
	p.write(t, s, begin(t, s), 0, nil, WriterOptions{}, maxSlots) // abandoned
	commitPods(t, s, nil, WriterOptions{}, p)
	commitPods(t, s, nil, WriterOptions{}, p)
	begin(t, s) // nothing was written yet
	if err := os.WriteFile(s.path("gen/000004/manifest.json"), []byte("{}"), fileMode); err != nil {
		t.Fatal(err)
	}
	infos, err := s.Generations()
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, info := range infos {
		n := info.Number * 10
		if info.Complete {
			n++
		}
		if (info.Err != nil) != (info.Number == 4) {
			t.Errorf("generation %d: error %v", info.Number, info.Err)
		}
		got = append(got, n)
	}
	if want := []int{11, 20, 31, 40}; !slices.Equal(got, want) {
		t.Errorf("Generations() = %v, want %v", got, want)
	}
	if got := latest(t, s); got != 3 {
		t.Errorf("the newest generation is %d, want 3", got)
	}
}
