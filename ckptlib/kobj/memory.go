package kobj

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// memoryKind is a descriptor of shared memory: a memfd, or a file of the pod's
// private tmpfs. The memory itself is captured once, whoever has it mapped or open.
var memoryKind = Kind{
	Name: "shared memory",
	Claim: func(c Capturer, s *Source) bool {
		if s.Stat.Mode&unix.S_IFMT != unix.S_IFREG {
			return false
		}
		_, ok := c.Shared(s)
		return ok
	},
	Capture: captureMemory,
	Has:     func(f *image.File) bool { return f.Memory != nil },
	Restore: restoreMemory,
}

func captureMemory(c Capturer, s *Source, f *image.File) error {
	id, _ := c.Shared(s)
	f.Memory = &image.Memory{Shared: id, Offset: s.Info.Pos}
	return nil
}

func restoreMemory(m *Maker, f *image.File) (int, error) {
	fd, err := m.Shared(f.Memory.Shared, openFlags(f.Flags)|unix.O_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open shared memory object %d: %w", f.Memory.Shared, err)
	}
	if f.Flags&unix.O_PATH != 0 {
		return fd, nil // has neither offset nor status
	}
	if _, err := unix.Seek(fd, f.Memory.Offset, unix.SEEK_SET); err != nil {
		return -1, errors.Join(fmt.Errorf("set the offset to %d: %w", f.Memory.Offset, err), unix.Close(fd))
	}
	return withStatus(fd, nil, f.Flags)
}
