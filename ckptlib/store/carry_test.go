package store

import (
	"slices"
	"testing"
)

// Pages that a Carrier takes over are the old ones, and cost nothing: of an
// object that has moved to another number, in parts, with zeros and holes.
func TestCarriedPagesAreThoseOfTheGenerationBefore(t *testing.T) {
	for _, max := range []int64{0, 27 * 150} { // of the second pack there are no keys in memory
		s := newStore(t)
		old := slices.Concat(randomPages(1, 100), make([]byte, 7*PageSize), textPages(2, 93))
		g := commitPods(t, s, nil, WriterOptions{Lanes: 1}, pod{5: old}, pod{1: randomPages(3, 200)})
		x, err := s.Index(t.Context(), g, IndexOptions{Pods: []int{0}, MaxBytes: max})
		if err != nil {
			t.Fatal(err)
		}
		gen := begin(t, s)
		w, err := s.NewWriter(gen, 1, x, WriterOptions{Lanes: 1})
		if err != nil {
			t.Fatal(err)
		}
		table, err := g.PageTable(0)
		if err != nil {
			t.Fatal(err)
		}
		c := w.Carrier(table)
		if c == nil {
			t.Fatal("there is no Carrier from the table of the generation that was indexed")
		}
		for _, r := range []struct {
			object, page, count uint64
			want                bool
		}{{5, 0, 200, true}, {5, 99, 9, true}, {5, 199, 2, false}, {5, 200, 1, false}, {4, 0, 1, false}} {
			if got := c.Covers(r.object, r.page, r.count); got != r.want {
				t.Errorf("Covers(%d, %d, %d) = %v, want %v", r.object, r.page, r.count, got, r.want)
			}
		}
		// Page 50 has changed, the others have not.
		now := slices.Clone(old)
		copy(now[50*PageSize:], randomPages(9, 1))
		b := NewTable()
		c.Carry(b, 5, 8, 51, 149)
		c.Carry(b, 5, 8, 0, 50)
		refs, err := w.AddPages(nil, now[50*PageSize:51*PageSize])
		if err != nil {
			t.Fatal(err)
		}
		b.Add(8, 50, refs)
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
		if got := w.Stats(); got.PagesLogical != 1 || got.PagesStored != 1 {
			t.Errorf("Stats() = %+v, want one page added and stored", got)
		}
		pt, err := b.Build(w)
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.NewReader(pt)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(now))
		for _, run := range pt.Object(8).Runs {
			if run.Ref != 0 {
				if err := r.ReadRun(run, got[run.Page*PageSize:][:int(run.Count)*PageSize]); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Equal(got, now) {
			t.Error("the carried object has other bytes than it should")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A pack that the index has left out as damaged is not named again.
func TestNoCarrierFromATableOfAnotherGeneration(t *testing.T) {
	s := newStore(t)
	first := commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(1, 10)})
	second := commitPods(t, s, nil, WriterOptions{}, pod{1: randomPages(2, 10)})
	x, err := s.Index(t.Context(), second, IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.NewWriter(begin(t, s), 0, x, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	table, err := first.PageTable(0)
	if err != nil {
		t.Fatal(err)
	}
	if w.Carrier(table) != nil {
		t.Error("there is a Carrier from packs that the index does not know")
	}
}
