package store

import (
	"errors"
	"fmt"
	"os"
)

// Commit makes a generation a checkpoint. m.Files are the images of all pods,
// as WriteImage returned them; the packs that their page tables name are added
// here. Of the rest Created may be set, to another time than now, and Facts.
// Every pod's pages must have been synced. Commit looks at each file, and
// refuses if one is absent or not of the size and sum that was reported.
func (s *Store) Commit(gen int, m Manifest) (*Generation, error) {
	g, err := s.commit(gen, m)
	if err != nil {
		return nil, fmt.Errorf("commit generation %d: %w", gen, err)
	}
	return g, nil
}

func (s *Store) commit(gen int, m Manifest) (*Generation, error) {
	if err := s.checkBegun(gen, 0); err != nil {
		return nil, err
	}
	m.Format, m.Generation = FormatVersion, gen
	if m.Created.IsZero() {
		m.Created = now()
	}
	files := fileSet{}
	if err := files.add(m.Files...); err != nil {
		return nil, err
	}
	for _, fi := range m.Files {
		if err := s.checkImage(fi, gen, files); err != nil {
			return nil, err
		}
	}
	m.Files = files.sorted()
	for _, fi := range m.Files {
		if err := fi.check(gen); err != nil {
			return nil, err
		}
		if fi.isPack() {
			if err := s.checkPack(fi); err != nil {
				return nil, err
			}
		}
	}
	name := generationName(gen) + "/" + manifestName
	data, err := seal(m)
	if err != nil {
		return nil, err
	}
	// What will be read at a restart is read now, while the job still runs.
	if _, err := parseManifest(name, data, gen); err != nil {
		return nil, err
	}
	if err := syncDir(s.path(generationName(gen))); err != nil {
		return nil, remedy(err)
	}
	if err := writeFile(s.path(name), data); err != nil {
		return nil, fmt.Errorf("write %s: %w", name, remedy(err))
	}
	return s.Load(gen)
}

// checkImage checks one file that a pod reported, and adds the packs that it
// names if it is a page table.
func (s *Store) checkImage(fi FileInfo, gen int, files fileSet) error {
	if err := fi.check(gen); err != nil {
		return err
	}
	if !fi.isTable() {
		return s.statFile(fi)
	}
	t, err := s.readTable(fi)
	if err != nil {
		return err
	}
	return files.add(t.Packs...)
}

// readTable reads a page table and puts its name into errors.
func (s *Store) readTable(fi FileInfo) (*PageTable, error) {
	data, err := s.readFile(fi)
	if err != nil {
		return nil, err
	}
	t, err := DecodePageTable(data)
	if fe := new(FormatError); errors.As(err, &fe) {
		fe.File = fi.Name
		return nil, fe
	}
	if err != nil {
		return nil, &DamagedError{File: fi.Name, Err: err}
	}
	return t, nil
}

// checkPack makes sure, by its last bytes, that a pack is there, complete, and
// the one meant. It does not read its index.
func (s *Store) checkPack(fi FileInfo) error {
	if err := s.statFile(fi); err != nil {
		return err
	}
	f, err := os.Open(s.path(fi.Name))
	if err != nil {
		return readError(fi.Name, err)
	}
	_, err = readTrailer(f, fi)
	return errors.Join(err, f.Close())
}
