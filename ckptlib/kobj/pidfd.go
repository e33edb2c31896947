package kobj

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var pidFDKind = Kind{
	Name: "pidfd",
	Match: func(s *Source) bool {
		// A file system of its own since 6.9.
		return s.Link == "anon_inode:[pidfd]" || strings.HasPrefix(s.Link, "pidfd:[")
	},
	Capture: capturePIDFD,
	Has:     func(f *image.File) bool { return f.PIDFD != nil },
	Restore: restorePIDFD,
}

// pidFDThread is PIDFD_THREAD of pidfd_open(2), since 6.9.
const pidFDThread = unix.O_EXCL

// capturePIDFD records the process, 0 for one that has ended and been waited
// for: such a descriptor is readable for ever.
func capturePIDFD(c Capturer, s *Source, f *image.File) error {
	v, ok := s.Info.Value("Pid")
	if !ok {
		return errors.New("fdinfo has no line \"Pid\"")
	}
	pid, err := strconv.Atoi(v)
	if err != nil {
		return fmt.Errorf("parse Pid of fdinfo: %w", err)
	}
	f.PIDFD = &image.PIDFD{}
	if pid <= 0 {
		return nil
	}
	if s.Flags&pidFDThread != 0 {
		f.PIDFD.PID = podIDs(pid).PodPID
	} else {
		f.PIDFD.PID = c.PodPID(pid)
	}
	if f.PIDFD.PID == 0 {
		return &UnsupportedError{
			Source: s.String(),
			Hint:   fmt.Sprintf("it refers to process %d, which is not of the job: close it before the checkpoint", pid),
		}
	}
	return nil
}

// restorePIDFD needs the process: the pod's processes exist before its files.
func restorePIDFD(m *Maker, f *image.File) (int, error) {
	if f.PIDFD.PID == 0 {
		fd, err := deadPIDFD()
		return withStatus(fd, err, f.Flags)
	}
	pid, err := m.PIDOf(f.PIDFD.PID)
	if err != nil {
		return -1, err
	}
	fd, err := unix.PidfdOpen(pid, f.Flags&pidFDThread)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open of process %d of the pod: %w", f.PIDFD.PID, err)
	}
	return withStatus(fd, nil, f.Flags)
}

// deadPIDFD returns a pidfd of a process that has ended and been waited for. It
// is a child without an exit signal, so that nobody else here waits for it.
func deadPIDFD() (int, error) {
	fd := int32(-1)
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_PIDFD, 0, uintptr(unsafe.Pointer(&fd)), 0, 0, 0)
	if e == 0 && pid == 0 {
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0) // it does not come back
		}
	}
	if e != 0 {
		return -1, fmt.Errorf("clone a child to end at once: %w", e)
	}
	for {
		_, err := unix.Wait4(int(pid), nil, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, errors.Join(fmt.Errorf("wait for a child: %w", err), unix.Close(int(fd)))
		}
		return int(fd), nil
	}
}
