package kobj

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var signalFDKind = Kind{
	Name:    "signalfd",
	Match:   func(s *Source) bool { return s.Link == "anon_inode:[signalfd]" },
	Capture: captureSignalFD,
	Has:     func(f *image.File) bool { return f.SignalFD != nil },
	Restore: restoreSignalFD,
}

// captureSignalFD records the mask. The signals themselves are the process's.
func captureSignalFD(_ Capturer, s *Source, f *image.File) error {
	mask, err := s.Info.Uint("sigmask", 16)
	if err != nil {
		return err
	}
	f.SignalFD = &image.SignalFD{Mask: mask}
	return nil
}

// restoreSignalFD makes a signalfd, which belongs to whoever reads it: that
// this process makes it is of no consequence.
func restoreSignalFD(_ *Maker, f *image.File) (int, error) {
	mask := f.SignalFD.Mask
	fd, _, e := unix.Syscall6(unix.SYS_SIGNALFD4, ^uintptr(0), uintptr(unsafe.Pointer(&mask)),
		unsafe.Sizeof(mask), unix.SFD_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, fmt.Errorf("signalfd4 with mask %#x: %w", mask, e)
	}
	return withStatus(int(fd), nil, f.Flags)
}
