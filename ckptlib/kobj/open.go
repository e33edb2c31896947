package kobj

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// settable are the status flags that F_SETFL changes; O_ASYNC is left to Settle,
// because a signal must not be sent before its owner exists.
const settable = unix.O_APPEND | unix.O_NONBLOCK | unix.O_DIRECT | unix.O_NOATIME

// oTmpfile is O_TMPFILE without O_DIRECTORY, which is part of it in x/sys.
const oTmpfile = unix.O_TMPFILE &^ unix.O_DIRECTORY

// openable are the flags of F_GETFL that open(2) takes and keeps.
const openable = unix.O_ACCMODE | settable | unix.O_DSYNC | unix.O_SYNC | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_PATH

// openFlags returns the flags to open something again that has the given ones.
func openFlags(flags int) int {
	if flags&oTmpfile == oTmpfile {
		// The kernel counts O_DIRECTORY to O_TMPFILE; the file is none.
		flags &^= unix.O_DIRECTORY
	}
	return flags & openable
}

// openRoot opens a path of the pod as a process of the pod would, never as its
// controlling terminal. It is the only place where restore opens by a name of
// the image: symbolic links of the path stay below the pod's root.
func (m *Maker) openRoot(path string, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOCTTY
	if flags&unix.O_PATH != 0 {
		// openat2(2) refuses what open(2) ignores beside O_PATH.
		flags &= unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	}
	rel := strings.TrimLeft(path, "/")
	if rel == "" {
		rel = "."
	}
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_IN_ROOT}
	for {
		fd, err := unix.Openat2(m.Root, rel, &how)
		switch {
		case err == nil:
			return fd, nil
		case err == unix.EINTR:
		case err == unix.EAGAIN && flags&unix.O_NONBLOCK == 0:
			// The kernel could not be sure that ".." stayed below the root while
			// something was renamed: man openat2 says to ask again.
		case err == unix.EPERM && how.Flags&unix.O_NOATIME != 0:
			// The file belongs to somebody else now.
			how.Flags &^= unix.O_NOATIME
		default:
			return -1, fmt.Errorf("open %s in the pod: %w", path, err)
		}
	}
}

// reopen makes another description of what fd refers to, with flags of F_GETFL.
func reopen(fd, flags int) (int, error) {
	flags = openFlags(flags)&^(unix.O_NOFOLLOW|unix.O_DIRECT) | unix.O_CLOEXEC | unix.O_NOCTTY
	for {
		n, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), flags, 0)
		if err == nil {
			return n, nil
		}
		if err != unix.EINTR {
			return -1, fmt.Errorf("reopen descriptor %d: %w", fd, err)
		}
	}
}

// setStatus gives a description the status flags of the image.
func setStatus(fd, flags int) error {
	now, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return fmt.Errorf("get flags: %w", err)
	}
	if now&settable == flags&settable {
		return nil
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFL, now&^settable|flags&settable); err != nil {
		return fmt.Errorf("set flags %#o: %w", flags&settable, err)
	}
	return nil
}

// withStatus is the end of most restores: it sets the flags, or closes fd.
func withStatus(fd int, err error, flags int) (int, error) {
	if err != nil {
		return -1, err
	}
	if err := setStatus(fd, flags); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// dup duplicates a descriptor of this process.
func dup(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, fmt.Errorf("duplicate descriptor %d: %w", fd, err)
	}
	return n, nil
}

// writeAll writes all of b, to something that does not block for ever: an
// object of which this process also holds the reading end, with room for b.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write %d bytes: %w", len(b), err)
		}
		b = b[n:]
	}
	return nil
}
