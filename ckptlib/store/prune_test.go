package store

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// chain commits n generations of which each changes one of three pages of the
// one before.
func chain(t *testing.T, s *Store, n int) (pods []pod, last *Generation) {
	t.Helper()
	var x *Index
	mem := randomPages(100, 3)
	for i := range n {
		copy(mem[i%3*PageSize:], randomPages(byte(i), 1))
		p := pod{1: slices.Clone(mem)}
		g := commitPods(t, s, x, WriterOptions{}, p)
		var err error
		if x, err = s.Index(t.Context(), g, IndexOptions{}); err != nil {
			t.Fatal(err)
		}
		pods, last = append(pods, p), g
	}
	return pods, last
}

func TestPruneKeepsWhatTheKeptGenerationsNeed(t *testing.T) {
	s := newStore(t)
	pods, _ := chain(t, s, 8)
	r, err := s.Prune(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Generations, []int{1, 2, 3, 4, 5, 6}) {
		t.Errorf("generations removed = %v, want 1 to 6", r.Generations)
	}
	// Generations 7 and 8 live on pages that were new in 5, 6, 7 and 8.
	want := []string{"000005-0000-00.pack", "000006-0000-00.pack", "000007-0000-00.pack", "000008-0000-00.pack"}
	if got := packNames(t, s); !slices.Equal(got, want) {
		t.Errorf("packs = %v, want %v", got, want)
	}
	if r.Packs != 4 || r.Bytes < 4*PageSize {
		t.Errorf("Prune() = %+v, want 4 packs", r)
	}
	for _, gen := range []int{7, 8} {
		g, err := s.Load(gen)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Verify(t.Context(), true); err != nil {
			t.Error(err)
		}
		pods[gen-1].check(t, s, g, 0)
	}
	if r, err := s.Prune(t.Context(), 2); err != nil || len(r.Generations) != 0 || r.Packs != 0 {
		t.Errorf("Prune again = %+v, %v, want nothing to do", r, err)
	}
	if r, err := s.Prune(t.Context(), 3); err != nil || len(r.Generations) != 0 {
		t.Errorf("Prune of 2 to 3 = %+v, %v, want nothing to do", r, err)
	}
	if _, err := s.Prune(t.Context(), 0); err == nil {
		t.Error("Prune to none is accepted")
	}
}

func TestAnyGenerationCanGo(t *testing.T) {
	for gone := 1; gone <= 4; gone++ {
		s := newStore(t)
		pods, _ := chain(t, s, 4)
		if _, err := s.Remove(gone); err != nil {
			t.Fatal(err)
		}
		for gen := 1; gen <= 4; gen++ {
			g, err := s.Load(gen)
			if gen == gone {
				if err == nil {
					t.Errorf("generation %d loads after Remove", gen)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Verify(t.Context(), true); err != nil {
				t.Errorf("after Remove(%d): %v", gone, err)
			}
			pods[gen-1].check(t, s, g, 0)
		}
	}
	s := newStore(t)
	if _, err := s.Remove(1); err == nil {
		t.Error("Remove removes what is not there")
	}
}

func TestPruneTouchesNoCheckpointInTheMaking(t *testing.T) {
	s := newStore(t)
	_, last := chain(t, s, 4)
	x, err := s.Index(t.Context(), last, IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	gen := begin(t, s)
	p := pod{1: slices.Concat(randomPages(3, 1), randomPages(50, 4))} // one page known from generation 4
	_, files := p.write(t, s, gen, 0, x, WriterOptions{}, maxSlots)
	if _, err := s.Prune(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	g, err := s.Commit(gen, Manifest{Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
	p.check(t, s, g, 0)
}

func TestPruneClearsAbandonedAttempts(t *testing.T) {
	s := newStore(t)
	p := pod{1: randomPages(1, 5)}
	p.write(t, s, begin(t, s), 0, nil, WriterOptions{}, maxSlots)
	commitPods(t, s, nil, WriterOptions{}, p)
	r, err := s.Prune(t.Context(), 1)
	if err != nil || !slices.Equal(r.Generations, []int{1}) || r.Packs != 1 {
		t.Errorf("Prune() = %+v, %v, want generation 1 and its pack", r, err)
	}
	if _, err := os.Stat(s.path(generationName(1))); err == nil {
		t.Error("the directory of generation 1 stays")
	}
}

func TestPruneDoesNotCountWhatNobodyCouldRestartFrom(t *testing.T) {
	s := newStore(t)
	chain(t, s, 3)
	if err := os.Remove(s.path(packName(3, 0, 0))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Prune(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if got := latest(t, s); got != 2 {
		t.Errorf("the newest generation is %d, want 2", got)
	}
}

func TestPruneLeavesPacksWhileAManifestIsUnreadable(t *testing.T) {
	s := newStore(t)
	chain(t, s, 4)
	name := "gen/000004/manifest.json"
	if err := os.WriteFile(s.path(name), []byte("{}"), fileMode); err != nil {
		t.Fatal(err)
	}
	before := packNames(t, s)
	if _, err := s.Prune(t.Context(), 1); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("Prune() = %v, want an error that names %s", err, name)
	}
	if after := packNames(t, s); !slices.Equal(before, after) {
		t.Errorf("packs = %v, want %v", after, before)
	}
	if _, err := s.Remove(4); err != nil {
		t.Fatal(err)
	}
	g, err := s.Load(3)
	if err == nil {
		err = g.Verify(t.Context(), true)
	}
	if err != nil {
		t.Error(err)
	}
}
