package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// Removed says what Remove or Prune deleted.
type Removed struct {
	Generations []int // in order
	Packs       int
	Bytes       int64 // of those packs
}

// Prune keeps the newest generations that are complete and intact, as Latest
// sees it, as many as keep, which is at least 1, and all that is newer than
// those. It deletes the generations before them, complete or not, and then the
// packs that no manifest names any more. If there are fewer than keep it deletes
// no generation. It may run while a checkpoint is being written, not while a
// restart is reading one of the generations that go.
func (s *Store) Prune(ctx context.Context, keep int) (Removed, error) {
	if keep < 1 {
		return Removed{}, fmt.Errorf("prune: at least 1 generation must stay, not %d", keep)
	}
	gens, err := s.numbers()
	if err != nil {
		return Removed{}, fmt.Errorf("prune: %w", err)
	}
	oldest := 0 // that stays; 0 as long as too few were found
	for _, n := range slices.Backward(gens) {
		if g, err := s.Load(n); err != nil || g.Verify(ctx, false) != nil {
			continue // it does not count, for nobody could restart from it
		}
		if keep--; keep == 0 {
			oldest = n
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return Removed{}, fmt.Errorf("prune: %w", err)
	}
	var r Removed
	for _, n := range gens {
		if n >= oldest {
			break
		}
		if err := s.removeGeneration(n); err != nil {
			return r, fmt.Errorf("prune generation %d: %w", n, err)
		}
		r.Generations = append(r.Generations, n)
	}
	if err := s.sweep(&r); err != nil {
		return r, fmt.Errorf("prune packs: %w", err)
	}
	return r, nil
}

// Remove deletes one generation, complete or not, and then the packs that no
// manifest names any more. A checkpoint that is being written and relies on
// packs of this generation will fail to commit.
func (s *Store) Remove(gen int) (Removed, error) {
	if _, err := os.Stat(s.path(generationName(gen))); err != nil {
		return Removed{}, fmt.Errorf("remove generation %d: %w", gen, ErrNoGeneration)
	}
	newest, err := s.newestCommitted()
	if err != nil {
		return Removed{}, fmt.Errorf("remove generation %d: %w", gen, err)
	}
	if err := s.removeGeneration(gen); err != nil {
		return Removed{}, fmt.Errorf("remove generation %d: %w", gen, err)
	}
	r := Removed{Generations: []int{gen}}
	if err := s.sweepBelow(max(newest, gen), &r); err != nil {
		return r, fmt.Errorf("remove packs: %w", err)
	}
	return r, nil
}

// removeGeneration deletes the manifest first, durably: at no time does a
// manifest name a file that is gone. The directory of the newest generation
// stays, empty, for its number must not be claimed again.
func (s *Store) removeGeneration(gen int) error {
	dir := s.path(generationName(gen))
	if err := os.Remove(dir + "/" + manifestName); err == nil {
		if err := syncDir(dir); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return remedy(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(dir + "/" + e.Name()); err != nil {
			return remedy(err)
		}
	}
	gens, err := s.numbers()
	if err != nil {
		return err
	}
	if gens[len(gens)-1] == gen {
		return nil
	}
	return remedy(os.Remove(dir))
}

// newestCommitted returns the highest number that has a manifest, or 0.
func (s *Store) newestCommitted() (int, error) {
	gens, err := s.numbers()
	if err != nil {
		return 0, err
	}
	for _, n := range slices.Backward(gens) {
		if _, err := os.Lstat(s.path(generationName(n) + "/" + manifestName)); err == nil {
			return n, nil
		}
	}
	return 0, nil
}

func (s *Store) sweep(r *Removed) error {
	newest, err := s.newestCommitted()
	if err != nil {
		return err
	}
	return s.sweepBelow(newest, r)
}

// sweepBelow deletes packs of generations up to newest that no manifest names.
// Packs of later ones may be in the making. What a checkpoint in the making
// refers to beside its own packs is named by the newest manifest: see Index.
func (s *Store) sweepBelow(newest int, r *Removed) error {
	packs, err := s.listPacks() // before the manifests: a pack that is named later is not on it
	if err != nil {
		return err
	}
	gens, err := s.numbers()
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, n := range gens {
		g, err := s.Load(n)
		if errors.Is(err, ErrNoGeneration) {
			continue
		}
		if err != nil {
			return fmt.Errorf("generation %d may need any of them: remove that first: %w", n, err)
		}
		for _, fi := range g.packs() {
			named[fi.Name] = true
		}
	}
	for _, p := range packs {
		if named[p.name] || p.gen > newest {
			continue
		}
		st, err := os.Lstat(s.path(p.name))
		if err == nil {
			err = os.Remove(s.path(p.name))
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody else prunes
		}
		if err != nil {
			return remedy(err)
		}
		r.Packs++
		r.Bytes += st.Size()
	}
	return syncDir(s.path(packDir))
}

type packFile struct {
	name string
	gen  int
}

// listPacks returns the packs in the directory, named by a manifest or not.
func (s *Store) listPacks() ([]packFile, error) {
	entries, err := os.ReadDir(s.path(packDir))
	if err != nil {
		return nil, readError(packDir, err)
	}
	var packs []packFile
	for _, e := range entries {
		name := packDir + "/" + e.Name()
		if gen, _, _, ok := parsePack(name); ok {
			packs = append(packs, packFile{name, gen})
		}
	}
	return packs, nil
}
