package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAbortLeavesNothing(t *testing.T) {
	s := newStore(t)
	gen := begin(t, s)
	w, err := s.newWriter(gen, 0, nil, WriterOptions{Lanes: 2}, 50)
	if err != nil {
		t.Fatal(err)
	}
	mixedPods()[0].add(t, w, NewTable())
	if len(packNames(t, s)) < 2 {
		t.Fatal("there is nothing to abort")
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if names := packNames(t, s); len(names) != 0 {
		t.Errorf("packs after Abort = %v, want none", names)
	}
	if _, err := w.AddPages(nil, randomPages(1, 1)); err == nil {
		t.Error("AddPages works after Abort")
	}
	if err := w.Sync(); err == nil {
		t.Error("Sync works after Abort")
	}
}

func TestAbortSparesACommittedGeneration(t *testing.T) {
	s := newStore(t)
	gen := begin(t, s)
	p := pod{1: randomPages(1, 3)}
	w, files := p.write(t, s, gen, 0, nil, WriterOptions{}, maxSlots)
	g, err := s.Commit(gen, Manifest{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Abort(); !errors.Is(err, ErrCommitted) {
		t.Errorf("Abort() = %v, want %v", err, ErrCommitted)
	}
	p.check(t, s, g, 0)
}

func TestAbortEndsCallsUnderWay(t *testing.T) {
	s := newStore(t)
	w, err := s.NewWriter(begin(t, s), 0, nil, WriterOptions{Lanes: 2})
	if err != nil {
		t.Fatal(err)
	}
	mem := randomPages(1, 64)
	started, done := make(chan struct{}, 4), make(chan error)
	for i := range 4 {
		go func() {
			var err error
			for n := 0; err == nil; n++ {
				part := slices.Clone(mem[:16*PageSize])
				for j := 0; j < len(part); j += PageSize { // new pages each time
					copy(part[j:], fmt.Sprint(i, n, j))
				}
				_, err = w.AddPages(nil, part)
				w.Stats()
				select {
				case started <- struct{}{}:
				default:
				}
			}
			done <- err
		}()
	}
	<-started
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	for range 4 {
		if err := <-done; !strings.Contains(err.Error(), "aborted") {
			t.Errorf("AddPages() = %v, want an error that says it was aborted", err)
		}
	}
	if names := packNames(t, s); len(names) != 0 {
		t.Errorf("packs after Abort = %v, want none", names)
	}
}
