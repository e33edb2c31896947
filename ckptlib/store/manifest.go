package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A FileInfo is what a manifest notes about a file. FileInfos are equal if all
// their fields are.
type FileInfo struct {
	Name  string `json:"name"`            // below the directory of the store, with slashes
	Size  int64  `json:"size"`            // bytes
	Hash  Sum    `json:"hash"`            // xxh3-128: of the file, or of a pack's index
	Pages uint32 `json:"pages,omitempty"` // of a pack: how many it has
}

// A Manifest names every file that a generation needs. Its file is sealed, and
// its rename to its name is what makes the generation a checkpoint.
type Manifest struct {
	Format     int64           `json:"format"`
	Generation int             `json:"generation"`
	Created    time.Time       `json:"created"`         // UTC
	Files      []FileInfo      `json:"files"`           // in the order of names
	Facts      json.RawMessage `json:"facts,omitempty"` // what the coordinator wants to know of the generation
}

// parseManifest checks a manifest by itself, without looking at the files.
func parseManifest(file string, data []byte, gen int) (*Manifest, error) {
	m := &Manifest{}
	if err := unseal(file, data, m); err != nil {
		return nil, err
	}
	if m.Generation != gen {
		return nil, damagedf(file, "it is the manifest of generation %d", m.Generation)
	}
	seen := map[string]bool{}
	for _, fi := range m.Files {
		if err := fi.check(gen); err != nil {
			return nil, &DamagedError{File: file, Err: err}
		}
		if seen[fi.Name] {
			return nil, damagedf(file, "it names %s twice", fi.Name)
		}
		seen[fi.Name] = true
	}
	return m, nil
}

// check reports whether a manifest of generation gen may name the file.
func (fi FileInfo) check(gen int) error {
	if fi.Size < 0 {
		return fmt.Errorf("%s has %d bytes", fi.Name, fi.Size)
	}
	if g, _, _, ok := parsePack(fi.Name); ok && g <= gen {
		return nil
	}
	if g, _, _, ok := parseImage(fi.Name); ok && g == gen {
		return nil
	}
	return fmt.Errorf("generation %d cannot have a file %q", gen, fi.Name)
}

func (fi FileInfo) isPack() bool { return strings.HasPrefix(fi.Name, packDir+"/") }

// isTable reports whether the file is a page table.
func (fi FileInfo) isTable() bool {
	_, _, kind, ok := parseImage(fi.Name)
	return ok && kind == KindPages
}

// fileSet collects files by name and refuses two descriptions of one.
type fileSet map[string]FileInfo

func (s fileSet) add(files ...FileInfo) error {
	for _, fi := range files {
		if old, ok := s[fi.Name]; ok && old != fi {
			return fmt.Errorf("%s is named with %d bytes, %s, and with %d bytes, %s", fi.Name, old.Size, old.Hash, fi.Size, fi.Hash)
		}
		s[fi.Name] = fi
	}
	return nil
}

func (s fileSet) sorted() []FileInfo {
	return slices.SortedFunc(maps.Values(s), func(a, b FileInfo) int { return strings.Compare(a.Name, b.Name) })
}
