package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Begin claims the number of a new generation, which is higher than every one
// in the store, and returns it. Each number is claimed once, for ever: so the
// files of an attempt that failed, and even an agent that is still writing to
// them, cannot get in the way of a later one.
func (s *Store) Begin() (int, error) {
	gen, err := s.begin()
	if err != nil {
		return 0, fmt.Errorf("begin a generation: %w", remedy(err))
	}
	return gen, nil
}

func (s *Store) begin() (int, error) {
	gens, err := s.numbers()
	if err != nil {
		return 0, err
	}
	packs, err := s.listPacks()
	if err != nil {
		return 0, err
	}
	next := 1
	if len(gens) > 0 {
		next = gens[len(gens)-1] + 1
	}
	for _, p := range packs {
		next = max(next, p.gen+1)
	}
	for ; next <= maxGeneration; next++ {
		err := os.Mkdir(s.path(generationName(next)), dirMode)
		if err == nil {
			return next, syncDir(s.path(genDir))
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
	}
	return 0, errors.New("the numbers are used up")
}

// checkBegun refuses to write to a generation that nobody began, or that is a
// checkpoint already.
func (s *Store) checkBegun(gen, pod int) error {
	if gen < 1 || gen > maxGeneration || pod < 0 || pod > maxPod {
		return fmt.Errorf("generation %d, pod %d is out of range", gen, pod)
	}
	if _, err := os.Stat(s.path(generationName(gen))); err != nil {
		return fmt.Errorf("generation %d was not begun: %w", gen, err)
	}
	if _, err := os.Lstat(s.path(generationName(gen) + "/" + manifestName)); err == nil {
		return fmt.Errorf("generation %d: %w", gen, ErrCommitted)
	}
	return nil
}

// Kinds of images. Others are names of up to 16 lower-case letters.
const (
	KindJSON  = "json"  // what the pod is
	KindPages = "pages" // its PageTable, encoded
)

// WriteImage writes an image of a pod durably and returns what the manifest has
// to say of it.
func (s *Store) WriteImage(gen, pod int, kind string, data []byte) (FileInfo, error) {
	name := imageName(gen, pod, kind)
	if !validKind(kind) {
		return FileInfo{}, fmt.Errorf("write %s: %q is no kind of image", name, kind)
	}
	if err := s.checkBegun(gen, pod); err != nil {
		return FileInfo{}, fmt.Errorf("write %s: %w", name, err)
	}
	if err := writeFile(s.path(name), data); err != nil {
		return FileInfo{}, fmt.Errorf("write %s: %w", name, remedy(err))
	}
	return FileInfo{Name: name, Size: int64(len(data)), Hash: sumOf(data)}, nil
}

// GenerationInfo is a line of Generations.
type GenerationInfo struct {
	Number   int
	Complete bool      // it has a manifest, and that is intact
	Manifest *Manifest // nil unless Complete
	Err      error     // why a generation with a manifest is not Complete
}

// Generations lists what is in the store, oldest first. Complete says nothing
// about other files than the manifest: see Generation.Verify. A generation for
// which nothing has been written is not listed.
func (s *Store) Generations() ([]GenerationInfo, error) {
	gens, err := s.numbers()
	if err != nil {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	var infos []GenerationInfo
	for _, n := range gens {
		info := GenerationInfo{Number: n}
		g, err := s.Load(n)
		switch {
		case err == nil:
			info.Complete, info.Manifest = true, &g.Manifest
		case errors.Is(err, ErrNoGeneration):
			if entries, err := os.ReadDir(s.path(generationName(n))); err != nil || len(entries) == 0 {
				continue // begun or removed
			}
		default:
			info.Err = err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// numbers returns the directories of generations in order.
func (s *Store) numbers() ([]int, error) {
	entries, err := os.ReadDir(s.path(genDir))
	if err != nil {
		return nil, readError(genDir, err)
	}
	var gens []int
	for _, e := range entries {
		if n, ok := parseGeneration(e.Name()); ok && e.IsDir() {
			gens = append(gens, n)
		}
	}
	slices.Sort(gens) // seven digits sort wrongly as names
	return gens, nil
}

// now is when a manifest says it was made. Monotonic time has no place in it.
func now() time.Time { return time.Now().UTC().Round(0) }
