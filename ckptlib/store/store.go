package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FormatVersion is the format this package writes, and the only one it reads.
// docs/format.md has its history.
const FormatVersion = 1

// A Store is a directory that holds one job's checkpoints. Its methods may be
// called at the same time, from any number of processes and hosts; where one
// must not overlap with another, its description says so.
type Store struct {
	dir string
}

// jobFile is job.json.
type jobFile struct {
	Format int64           `json:"format"`
	Job    json.RawMessage `json:"job"`
}

// Create makes a store in dir, which must not exist or be an empty directory.
// The directory above it must exist. A store found there is left alone and the
// error is ErrExists.
func Create(dir string) (*Store, error) {
	s, err := create(dir)
	if err != nil {
		return nil, fmt.Errorf("create checkpoint store %s: %w", dir, err)
	}
	return s, nil
}

func create(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir}
	switch err := os.Mkdir(dir, dirMode); {
	case err == nil:
		if err := syncDir(filepath.Dir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return nil, err // a parent one may write to but not read cannot be synced
		}
	case errors.Is(err, fs.ErrExist):
		if err := s.checkEmpty(); err != nil {
			return nil, err
		}
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s does not exist: make it first (mkdir -p), or choose another place with --ckpt-dir",
			filepath.Dir(dir))
	default:
		return nil, elsewhere(err)
	}
	if err := errors.Join(s.mkdir(genDir), s.mkdir(packDir)); err != nil {
		return nil, err
	}
	data, err := seal(jobFile{Format: FormatVersion, Job: json.RawMessage("null")})
	if err != nil {
		return nil, err
	}
	err = claimFile(s.path(jobName), data)
	if errors.Is(err, fs.ErrExist) {
		return nil, ErrExists
	}
	if err != nil {
		return nil, elsewhere(err)
	}
	return s, nil
}

// checkEmpty accepts what a Create that was interrupted can have left.
func (s *Store) checkEmpty() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("%w: choose another place with --ckpt-dir", err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == jobName:
			return fmt.Errorf("%w: restart from it, remove it, or choose another place with --ckpt-dir", ErrExists)
		case strings.HasPrefix(name, jobName+tempMark):
		case name == genDir || name == packDir:
			inside, err := os.ReadDir(s.path(name))
			if err != nil {
				return err
			}
			if len(inside) > 0 {
				return fmt.Errorf("%s is not empty, yet there is no %s: choose another place with --ckpt-dir", name, jobName)
			}
		default:
			return fmt.Errorf("the directory holds something else (%s): choose another place with --ckpt-dir", name)
		}
	}
	if err := os.Chmod(s.dir, dirMode); err != nil {
		return elsewhere(err)
	}
	return nil
}

// Open opens the store in dir. It refuses a format it does not know with a
// FormatError, and a directory without a store with ErrNoStore.
func Open(dir string) (*Store, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open checkpoint store %s: %w", dir, err)
	}
	s := &Store{dir: abs}
	if _, err := s.readJob(); err != nil {
		return nil, fmt.Errorf("open checkpoint store %s: %w", dir, err)
	}
	return s, nil
}

// Dir returns the directory of the store as an absolute path.
func (s *Store) Dir() string { return s.dir }

func (s *Store) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// WriteJob notes what the job is. The bytes must be JSON; their spacing is not
// kept. It replaces what was noted before, as a whole.
func (s *Store) WriteJob(job []byte) error {
	if !json.Valid(job) {
		return fmt.Errorf("write %s: the description of the job is not valid JSON", jobName)
	}
	data, err := seal(jobFile{Format: FormatVersion, Job: job})
	if err == nil {
		err = writeFile(s.path(jobName), data)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", jobName, remedy(err))
	}
	return nil
}

// ReadJob returns what WriteJob noted, as JSON without superfluous spaces, or
// null.
func (s *Store) ReadJob() ([]byte, error) { return s.readJob() }

func (s *Store) readJob() ([]byte, error) {
	data, err := os.ReadFile(s.path(jobName))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(s.dir); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoStore, err)
		}
		return nil, fmt.Errorf("%w: there is no %s in it", ErrNoStore, jobName)
	}
	if err != nil {
		return nil, readError(jobName, err)
	}
	var j jobFile
	if err := unseal(jobName, data, &j); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Compact(&out, j.Job); err != nil {
		return nil, &DamagedError{File: jobName, Err: fmt.Errorf("it has no job: %w", err)}
	}
	return out.Bytes(), nil
}
