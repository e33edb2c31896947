package store

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestTableFindsWhatAMapFinds(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := &packKeys{keys: make([]byte, 50000*keySize)}
	packs := []*packKeys{nil, p} // all in pack 2
	var tab table
	want := map[Key]Ref{}
	for slot := range uint32(50000) {
		k := Key{byte(slot), byte(slot >> 8), byte(slot >> 16)}
		if slot%3 != 0 { // every third: the same tag, so long runs of places
			for i := range 8 {
				k[8+i] = byte(r.Uint32())
			}
		} else if slot > 3000 {
			continue
		}
		if tab.get(packs, &k) != 0 {
			t.Fatalf("get(%s) finds a key before it is put", k)
		}
		copy(p.keys[slot*keySize:], k[:])
		want[k] = makeRef(2, slot)
		tab.put(&k, want[k])
	}
	for k, ref := range want {
		if got := tab.get(packs, &k); got != ref {
			t.Fatalf("get(%s) = %x, want %x", k, got, ref)
		}
		k[7]++
		if got := tab.get(packs, &k); got != 0 {
			t.Fatalf("get(%s) = %x, want 0", k, got)
		}
	}
	if tab.used != len(want) || 4*tab.used > 3*len(tab.places) {
		t.Errorf("%d of %d places are used, want %d and at most three in four", tab.used, len(tab.places), len(want))
	}
}

func TestIndexKnowsThePagesOfEveryPodOnce(t *testing.T) {
	s := newStore(t)
	shared := randomPages(1, 50)
	pods := []pod{
		{1: slices.Concat(shared, randomPages(2, 30))},
		{1: slices.Concat(shared, randomPages(3, 20))},
	}
	g := commitPods(t, s, nil, WriterOptions{}, pods...)
	x, err := s.Index(t.Context(), g, IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if x.Pages() != 100 {
		t.Errorf("Pages() = %d, want 100", x.Pages())
	}
	if got := float64(x.Bytes()) / 150; got > bytesPerPage+2 {
		t.Errorf("the index takes %.1f bytes per page, want about %.1f", got, bytesPerPage)
	}
	w, _ := pod{1: slices.Concat(randomPages(3, 20), randomPages(2, 30), shared, randomPages(4, 1))}.
		write(t, s, begin(t, s), 0, x, WriterOptions{}, maxSlots)
	if got := w.Stats(); got.PagesStored != 1 || got.PagesDeduped != 100 {
		t.Errorf("Stats() = %+v, want 1 page stored and 100 deduped", got)
	}
}

func TestIndexPrefersThePacksOfItsPodWhenMemoryIsShort(t *testing.T) {
	s := newStore(t)
	g := commitPods(t, s, nil, WriterOptions{Lanes: 1}, pod{1: randomPages(1, 100)}, pod{1: randomPages(2, 100)})
	for want := range 2 {
		x, err := s.Index(t.Context(), g, IndexOptions{Pods: []int{want, 99}, MaxBytes: 150 * 27})
		if err != nil {
			t.Fatal(err)
		}
		if len(x.packs) != 2 || x.packs[0].info.Name != packName(1, want, 0) || x.packs[0].unread || !x.packs[1].unread {
			t.Errorf("index for pod %d has the packs %+v, want the keys of its own only", want, x.packs)
		}
		if left := x.Unread(); left != 1 {
			t.Errorf("%d packs were left out, want 1", left)
		}
		if x.Bytes() > 150*27 {
			t.Errorf("the index takes %d bytes, want at most %d", x.Bytes(), 150*27)
		}
	}
}

func TestPagesOfADamagedPackAreStoredAnew(t *testing.T) {
	s := newStore(t)
	p := pod{1: randomPages(1, 10)}
	g := commitPods(t, s, nil, WriterOptions{Lanes: 1}, p)
	name := g.packs()[0].Name
	f, err := os.OpenFile(s.path(name), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 10*PageSize+blockSize); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	x, err := s.Index(t.Context(), g, IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkNamed(t, x.Damaged(), name, "keys overwritten")
	g = commitPods(t, s, x, WriterOptions{}, p)
	if err := g.Verify(t.Context(), true); err != nil {
		t.Error(err)
	}
	p.check(t, s, g, 0)
}

func TestVerifyPagesFindsACollision(t *testing.T) {
	for _, c := range []Compression{None, S2} {
		s := newStore(t)
		w, err := s.NewWriter(begin(t, s), 0, nil, WriterOptions{VerifyPages: true, Compression: c})
		if err != nil {
			t.Fatal(err)
		}
		one, two := textPages(1, 300), textPages(2, 1)
		if _, err := w.AddPages(nil, one); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AddPages(nil, one); err != nil {
			t.Fatalf("equal pages: %v", err)
		}
		// Nobody has met two pages with one key, so the index is made to lie.
		k := KeyOf(two)
		own := w.own[0]
		copy(own.keys[100*keySize:], k[:])
		w.shards[lowWord(&k)%uint64(len(w.shards))].table.put(&k, makeRef(own.number, 100))
		_, err = w.AddPages(nil, two)
		if err == nil || !strings.Contains(err.Error(), "collision") || !strings.Contains(err.Error(), own.info.Name) {
			t.Errorf("%v: AddPages() = %v, want an error about a collision", c, err)
		}
	}
}

func TestVerifyPagesFindsDamageInWhatItWouldReferTo(t *testing.T) {
	s := newStore(t)
	g := commitPods(t, s, nil, WriterOptions{Lanes: 1}, pod{1: randomPages(1, 10)})
	name := g.packs()[0].Name
	x, err := s.Index(t.Context(), g, IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(s.path(name), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("damage"), 3*PageSize); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	w, err := s.NewWriter(begin(t, s), 0, x, WriterOptions{VerifyPages: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.AddPages(nil, randomPages(1, 10))
	checkNamed(t, err, name, "page 3 overwritten")
}
