package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

var (
	// ErrExists means that Create found a store, which it never touches.
	ErrExists = errors.New("it holds a checkpoint store already")

	// ErrNoStore means that a directory holds no store.
	ErrNoStore = errors.New("it holds no checkpoint store")

	// ErrNoGeneration means that a store has no complete and intact generation,
	// or not the one asked for.
	ErrNoGeneration = errors.New("no such complete generation")

	// ErrCommitted means that a generation has its manifest already. Numbers of
	// generations are used once.
	ErrCommitted = errors.New("the generation is committed already")
)

// A DamagedError names the file of a store that is missing, torn or altered.
// What it was needed for cannot be restored from this store.
type DamagedError struct {
	File string // path below the directory of the store
	Err  error  // what is wrong with it
}

// Error implements error.
func (e *DamagedError) Error() string { return fmt.Sprintf("%s is damaged: %v", e.File, e.Err) }

// Unwrap returns what is wrong with the file.
func (e *DamagedError) Unwrap() error { return e.Err }

func damagedf(file, format string, args ...any) error {
	return &DamagedError{File: file, Err: fmt.Errorf(format, args...)}
}

// A FormatError names a file whose format this program does not read.
type FormatError struct {
	File    string // path below the directory of the store
	Version int64  // what the file says
}

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%s has format %d, and this program reads format %d: use the release that wrote it, or a newer one",
		e.File, e.Version, FormatVersion)
}

// remedy adds to the error of a write what the user can do about it.
func remedy(err error) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.ENOSPC):
		hint = "free some space there"
	case errors.Is(err, syscall.EDQUOT):
		hint = "ask for a larger quota, or remove old generations"
	case errors.Is(err, syscall.EFBIG):
		hint = "raise the limit on file sizes (ulimit -f)"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		hint = "make it writable"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, hint)
}

// elsewhere is remedy for a store that does not exist yet: another place will do,
// too.
func elsewhere(err error) error {
	return fmt.Errorf("%w; or choose another place with --ckpt-dir", remedy(err))
}

// readError turns the error of opening or reading a file that must be there
// into a DamagedError, unless the fault is not the file's.
func readError(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return damagedf(file, "it is missing: %w", fs.ErrNotExist)
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("read %s: %w: a store is read by the user who wrote it", file, fs.ErrPermission)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &DamagedError{File: file, Err: err}
}
