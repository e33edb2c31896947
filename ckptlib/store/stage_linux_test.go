package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// staged writes a pod as far as Sync.
func staged(t *testing.T, s *Store, gen int, p pod, dir string, slots int) (*Writer, *PageTable) {
	t.Helper()
	return p.pack(t, s, gen, 0, nil, WriterOptions{Lanes: 2, Stage: dir}, slots)
}

// commitStaged makes a generation of what was delivered, and reads it back.
func commitStaged(t *testing.T, s *Store, gen int, p pod, pt *PageTable) {
	t.Helper()
	data, err := pt.Encode()
	if err != nil {
		t.Fatal(err)
	}
	fi, err := s.WriteImage(gen, 0, KindPages, data)
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Commit(gen, Manifest{Files: []FileInfo{fi}})
	if err != nil {
		t.Fatal(err)
	}
	p.check(t, s, g, 0)
}

func TestStagedPacksAreInTheStoreOnceTheyAreDelivered(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	gen := begin(t, s)
	p := mixedPods()[0]
	w, pt := staged(t, s, gen, p, dir, 50)
	if got := packNames(t, s); len(got) != 0 {
		t.Errorf("before Deliver the store has %v, want nothing", got)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("the staging directory has the names %v, want none at any time", got)
	}
	if err := w.Deliver(); err != nil {
		t.Fatal(err)
	}
	if got := packNames(t, s); len(got) < 2 || w.StageError() != nil {
		t.Errorf("Deliver brought %v, want some packs (%v)", got, w.StageError())
	}
	commitStaged(t, s, gen, p, pt)
}

func TestAbortLeavesNothingOfWhatWasStaged(t *testing.T) {
	s, dir := newStore(t), t.TempDir()
	w, _ := staged(t, s, begin(t, s), mixedPods()[0], dir, 50)
	// One pack has been delivered when another cannot be.
	last := w.own[len(w.own)-1]
	if err := os.Mkdir(last.path, dirMode); err != nil {
		t.Fatal(err)
	}
	if err := w.Deliver(); !errors.Is(err, os.ErrExist) || !strings.Contains(err.Error(), last.info.Name) {
		t.Errorf("Deliver() over something = %v, want an error that names %s", err, last.info.Name)
	}
	if err := os.Remove(last.path); err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if got := append(packNames(t, s), names(t, dir)...); len(got) != 0 {
		t.Errorf("Abort left %v", got)
	}
}

func TestWithoutAStagingDirectoryPacksGoToTheStore(t *testing.T) {
	s := newStore(t)
	gen := begin(t, s)
	p := pod{1: randomPages(1, 120)}
	dir := filepath.Join(t.TempDir(), "missing")
	w, pt := staged(t, s, gen, p, dir, 50)
	if err := w.StageError(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("StageError() = %v, want that %s does not exist", err, dir)
	}
	if err := w.Deliver(); err != nil {
		t.Fatal(err)
	}
	commitStaged(t, s, gen, p, pt)
}

func TestWhatAFullStagingDirectoryCannotTakeGoesToTheStore(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	// It is full in the midst of the pages, and of what follows them.
	for _, size := range []int{50 * PageSize, 100 * PageSize} {
		s, dir := newStore(t), mountSmall(t, size)
		gen := begin(t, s)
		p := pod{1: randomPages(1, 100)}
		w, pt := staged(t, s, gen, p, dir, maxSlots)
		if err := w.StageError(); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
			t.Errorf("StageError() = %v, want that there is no room in %s", err, dir)
		}
		if err := w.Deliver(); err != nil {
			t.Fatal(err)
		}
		commitStaged(t, s, gen, p, pt)
	}
}
