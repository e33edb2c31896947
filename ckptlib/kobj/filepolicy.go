package kobj

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// Values of Maker.FilePolicy.
const (
	FilesTruncate = "truncate"
	FilesKeep     = "keep"
	FilesFail     = "fail"
)

// rewound tells the files of which a restart must see to it that they are as
// long as they were: those that the job may have gone on writing.
func rewound(f *image.File) bool {
	r := f.Regular
	return !r.Deleted && !r.Ended && r.Mode&unix.S_IFMT == unix.S_IFREG &&
		f.Flags&unix.O_PATH == 0 && f.Flags&unix.O_ACCMODE != unix.O_RDONLY
}

// small is how long a file may be whose content is kept beside its size. Such files
// are written anew in place rather than appended to: process numbers, counters,
// the shared file pointers of MPI-IO, with which the next MPI_File_write_ordered
// would leave a hole if they were later than the file.
const small = 4096

// readSmall is the content of such a file, or nil: of one that its user may not
// read, the size has to do.
func readSmall(s *Source, f *image.File) []byte {
	if !rewound(f) || f.Regular.Size == 0 || f.Regular.Size > small {
		return nil
	}
	fd, err := reopen(s.FD, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	b := make([]byte, f.Regular.Size)
	if n, err := unix.Pread(fd, b, 0); err != nil || n != len(b) {
		return nil
	}
	return b
}

// restoreSmall writes such a content back, if it is another now.
func restoreSmall(fd int, r *image.Regular) error {
	if r.Small == nil {
		return nil
	}
	w, err := reopen(fd, unix.O_RDWR)
	if err != nil {
		return fmt.Errorf("write the content of %s back: %w", r.Path, err)
	}
	defer unix.Close(w)
	now := make([]byte, len(r.Small))
	if n, err := unix.Pread(w, now, 0); err == nil && n == len(now) && bytes.Equal(now, r.Small) {
		return nil
	}
	if err := pwriteAll(w, r.Small, 0); err != nil {
		return fmt.Errorf("write the content of %s back: %w", r.Path, err)
	}
	return nil
}

// checkSize refuses, before anything is changed, what the policy does not
// allow. A file that is shorter than it was lacks what the job has written.
func checkSize(m *Maker, f *image.File, size int64) error {
	r := f.Regular
	if !rewound(f) || size == r.Size {
		return nil
	}
	switch {
	case m.FilePolicy == FilesKeep:
		return nil
	case m.FilePolicy == FilesFail:
		return fmt.Errorf("%s has %d bytes and had %d at the checkpoint: put it back, or restart with --files truncate or --files keep", r.Path, size, r.Size)
	case size < r.Size:
		return fmt.Errorf("%s has %d bytes and had %d at the checkpoint, so that what the job wrote is missing: put it back, or restart with --files keep", r.Path, size, r.Size)
	}
	return nil
}

// settleRegular cuts a file back, and a small one to what it held, not before
// everything of the pod has been restored without an error.
func settleRegular(m *Maker, f *image.File) error {
	if m.FilePolicy == FilesKeep || !rewound(f) {
		return nil
	}
	fd, err := m.File(f.ID)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("stat %s: %w", f.Regular.Path, err)
	}
	if st.Size > f.Regular.Size {
		if err := unix.Ftruncate(fd, f.Regular.Size); err != nil {
			return fmt.Errorf("cut %s back to its %d bytes: %w", f.Regular.Path, f.Regular.Size, err)
		}
	}
	return restoreSmall(fd, f.Regular)
}
