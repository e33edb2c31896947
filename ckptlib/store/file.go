package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// writeTemp writes data durably to a new file beside path and returns its name.
// Until the caller renames it nobody looks at it: names with the temporary mark
// belong to no format.
func writeTemp(path string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+tempMark+"*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// writeFile puts data at path: all of it, durably, or nothing.
func writeFile(path string, data []byte) error {
	temp, err := writeTemp(path, data)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// claimFile is writeFile for a path that must not exist: of several processes
// that claim it one succeeds, the others get an error that is fs.ErrExist.
func claimFile(path string, data []byte) error {
	temp, err := writeTemp(path, data)
	if err != nil {
		return err
	}
	err = os.Link(temp, path)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EMLINK) {
		// A file system without hard links (vfat, some FUSE ones) has no atomic
		// claim that also brings the content; there the last one wins.
		if _, e := os.Lstat(path); e == nil {
			err = &os.PathError{Op: "link", Path: path, Err: os.ErrExist}
		} else {
			return errors.Join(os.Rename(temp, path), syncDir(filepath.Dir(path)))
		}
	}
	if e := os.Remove(temp); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a directory durable. A file system that cannot
// sync directories answers EINVAL and needs nothing (fsync(2)).
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}

// statFile checks that a file of the store is there, is a regular file and has
// the size that was noted for it.
func (s *Store) statFile(fi FileInfo) error {
	st, err := os.Lstat(s.path(fi.Name))
	if err != nil {
		return readError(fi.Name, err)
	}
	if !st.Mode().IsRegular() {
		return damagedf(fi.Name, "it is no regular file")
	}
	if st.Size() != fi.Size {
		return damagedf(fi.Name, "it has %d bytes, and %d were written", st.Size(), fi.Size)
	}
	return nil
}

// readFile returns the content of a file, checked against its size and sum.
func (s *Store) readFile(fi FileInfo) ([]byte, error) {
	if err := s.statFile(fi); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(s.path(fi.Name))
	if err != nil {
		return nil, readError(fi.Name, err)
	}
	if got := sumOf(data); got != fi.Hash {
		return nil, damagedf(fi.Name, "its checksum is %s, and %s was written", got, fi.Hash)
	}
	return data, nil
}

// mkdir makes a directory below the store; that it exists is no error.
func (s *Store) mkdir(name string) error {
	if err := os.Mkdir(s.path(name), dirMode); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("prepare checkpoint store: %w", elsewhere(err))
	}
	return nil
}
