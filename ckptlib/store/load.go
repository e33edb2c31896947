package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// A Generation is a checkpoint that was committed. Its manifest is intact; the
// files that it names are looked at by the methods.
type Generation struct {
	Manifest Manifest
	s        *Store
	files    map[string]FileInfo
}

// Load reads the manifest of a generation. The error is ErrNoGeneration if it
// has none.
func (s *Store) Load(gen int) (*Generation, error) {
	name := generationName(gen) + "/" + manifestName
	data, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("generation %d: %w", gen, ErrNoGeneration)
	}
	if err != nil {
		return nil, readError(name, err)
	}
	m, err := parseManifest(name, data, gen)
	if err != nil {
		return nil, err
	}
	g := &Generation{Manifest: *m, s: s, files: make(map[string]FileInfo, len(m.Files))}
	for _, fi := range m.Files {
		g.files[fi.Name] = fi
	}
	return g, nil
}

// Latest returns the newest generation whose manifest, images and pack sizes
// are intact, which is what Verify checks when not asked for all. damaged says
// why newer ones were passed over. If there is none the error is
// ErrNoGeneration.
func (s *Store) Latest(ctx context.Context) (g *Generation, damaged error, err error) {
	gens, err := s.numbers()
	if err != nil {
		return nil, nil, fmt.Errorf("find the newest generation: %w", err)
	}
	var errs []error
	for _, n := range slices.Backward(gens) {
		g, err := s.Load(n)
		if errors.Is(err, ErrNoGeneration) {
			continue
		}
		if err == nil {
			err = g.Verify(ctx, false)
		}
		if err == nil {
			return g, errors.Join(errs...), nil
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		errs = append(errs, fmt.Errorf("generation %d: %w", n, err))
	}
	err = fmt.Errorf("%s: %w", s.dir, ErrNoGeneration)
	return nil, errors.Join(errs...), errors.Join(append([]error{err}, errs...)...)
}

// Pods returns the numbers of the pods that have an image, in order.
func (g *Generation) Pods() []int {
	var pods []int
	for _, fi := range g.Manifest.Files {
		if _, pod, _, ok := parseImage(fi.Name); ok {
			pods = append(pods, pod)
		}
	}
	slices.Sort(pods)
	return slices.Compact(pods)
}

// ReadImage returns an image of a pod, checked against the manifest.
func (g *Generation) ReadImage(pod int, kind string) ([]byte, error) {
	fi, err := g.image(pod, kind)
	if err != nil {
		return nil, err
	}
	return g.s.readFile(fi)
}

func (g *Generation) image(pod int, kind string) (FileInfo, error) {
	name := imageName(g.Manifest.Generation, pod, kind)
	fi, ok := g.files[name]
	if !ok {
		return fi, fmt.Errorf("generation %d has no %s", g.Manifest.Generation, name)
	}
	return fi, nil
}

// PageTable returns the page table of a pod. The packs that it names are those
// of the manifest.
func (g *Generation) PageTable(pod int) (*PageTable, error) {
	fi, err := g.image(pod, KindPages)
	if err != nil {
		return nil, err
	}
	return g.table(fi)
}

func (g *Generation) table(fi FileInfo) (*PageTable, error) {
	t, err := g.s.readTable(fi)
	if err != nil {
		return nil, err
	}
	for _, p := range t.Packs {
		if g.files[p.Name] != p {
			return nil, damagedf(fi.Name, "it needs a pack %s that the manifest does not have", p.Name)
		}
	}
	return t, nil
}

// packs returns the packs that the generation needs.
func (g *Generation) packs() []FileInfo {
	var packs []FileInfo
	for _, fi := range g.Manifest.Files {
		if fi.isPack() {
			packs = append(packs, fi)
		}
	}
	return packs
}
