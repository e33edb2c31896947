package kobj

import (
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

// settleRegular cuts a file back, not before everything of the pod has been
// restored without an error.
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
	if st.Size <= f.Regular.Size {
		return nil
	}
	if err := unix.Ftruncate(fd, f.Regular.Size); err != nil {
		return fmt.Errorf("cut %s back to its %d bytes: %w", f.Regular.Path, f.Regular.Size, err)
	}
	return nil
}
