package kobj

import (
	"errors"
	"fmt"
	"path"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// unspecified is the address of an AF_UNSPEC address.
func unspecified() uintptr { return uintptr(unsafe.Pointer(&unspec)) }

var unspec uint16

// bindPath binds a socket to the path it had. getsockname(2) returns the string
// that bind(2) was given, and other programs know that one: so it is a process
// of the pod that binds, where the string means what it meant.
func (m *Maker) bindPath(f *image.File, fd int) error {
	u := f.Unix
	if !isPath(u.Name) || m.inherited(u) {
		return nil
	}
	pid, num, held := m.holder(f.ID)
	dir, err := m.openRoot(path.Dir(m.podPath(f)), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		if u.PathDeleted {
			m.Warn("a unix socket that was bound to %s and deleted has lost its name: %v", showName(u.Name), err)
			return nil
		}
		return fmt.Errorf("bind to %s: %w", showName(u.Name), err)
	}
	defer unix.Close(dir)
	base := path.Base(m.podPath(f))
	restoreName, err := makeWay(dir, base, u)
	if err != nil {
		return fmt.Errorf("bind to %s: %w", showName(u.Name), err)
	}
	if held {
		err = m.bindIn(pid, num, f)
	} else {
		// Only in the queue of another: by a name of this process.
		err = withName(unix.SYS_BIND, fd, fmt.Appendf(nil, "/proc/self/fd/%d/%s", dir, base))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("bind to %s: %w", showName(u.Name), err), restoreName())
	}
	if u.PathDeleted {
		if err := unix.Unlinkat(dir, base, 0); err != nil {
			return fmt.Errorf("remove %s again: %w", showName(u.Name), err)
		}
		return restoreName()
	}
	if err := unix.Fchmodat(dir, base, u.Mode, 0); err != nil && u.Mode != 0 {
		return fmt.Errorf("set the mode of %s to %#o: %w", showName(u.Name), u.Mode, err)
	}
	return nil
}

// bindIn has a process bind its descriptor.
func (m *Maker) bindIn(pid, num int, f *image.File) error {
	addr, err := sockaddrUn(f.Unix.Name)
	if err != nil {
		return err
	}
	if !path.IsAbs(string(f.Unix.Name)) {
		// It may not be back where it works yet.
		if _, err := m.Syscall(pid, unix.SYS_CHDIR, append([]byte(m.cwdOf(f)), 0)); err != nil {
			return fmt.Errorf("go to %s in process %d: %w", m.cwdOf(f), pid, err)
		}
	}
	_, err = m.Syscall(pid, unix.SYS_BIND, num, addr, len(addr))
	return err
}

// makeWay removes from a path the socket of the job's earlier life. What is
// alive, or no socket, is in the way, unless the path had been deleted: then it
// is put aside, and back by the function that is returned.
func makeWay(dir int, base string, u *image.Unix) (back func() error, err error) {
	nothing := func() error { return nil }
	var st unix.Stat_t
	err = unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nothing, nil
	}
	if err != nil {
		return nil, err
	}
	if u.PathDeleted {
		aside := fmt.Sprintf(".%s.%d", base, u.Inode)
		if err := unix.Renameat(dir, base, dir, aside); err != nil {
			return nil, fmt.Errorf("put the file that is there now aside: %w", err)
		}
		return func() error { return unix.Renameat(dir, aside, dir, base) }, nil
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fmt.Errorf("a file that is no socket is there: move it away: %w", unix.EADDRINUSE)
	}
	probe, err := unix.Socket(unix.AF_UNIX, u.Type|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(probe)
	err = withName(unix.SYS_CONNECT, probe, fmt.Appendf(nil, "/proc/self/fd/%d/%s", dir, base))
	if !errors.Is(err, unix.ECONNREFUSED) {
		return nil, fmt.Errorf("another program's socket is there: end that program: %w", unix.EADDRINUSE)
	}
	return nothing, unix.Unlinkat(dir, base, 0)
}
