package kobj

import (
	"fmt"
	"path"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// sockaddrUn builds struct sockaddr_un and returns it without what is behind
// the name: the length of an abstract name is part of it. The type of x/sys
// cannot express every name.
func sockaddrUn(name []byte) ([]byte, error) {
	if len(name) == 0 || len(name) > 108 {
		return nil, fmt.Errorf("a unix socket cannot have the name %q", name)
	}
	var raw unix.RawSockaddrUnix
	raw.Family = unix.AF_UNIX
	b := append(make([]byte, 0, unsafe.Sizeof(raw)+1), unsafe.Slice((*byte)(unsafe.Pointer(&raw.Family)), 2)...)
	b = append(b, name...)
	if name[0] != 0 && len(name) < 108 {
		b = append(b, 0)
	}
	return b, nil
}

// withName runs bind(2) or connect(2).
func withName(nr uintptr, fd int, name []byte) error {
	b, err := sockaddrUn(name)
	if err != nil {
		return err
	}
	for {
		_, _, e := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}

func isPath(name []byte) bool { return len(name) > 0 && name[0] != 0 }

// autobound tells a name that the kernel made up: a zero byte and five
// hexadecimal digits.
func autobound(name []byte) bool {
	if len(name) != 6 || name[0] != 0 {
		return false
	}
	for _, c := range name[1:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// showName is a name in a message: an abstract one with @, as ss(8) has it.
func showName(name []byte) string {
	switch {
	case len(name) == 0:
		return "without a name"
	case name[0] == 0:
		return fmt.Sprintf("%q", "@"+string(name[1:]))
	}
	return fmt.Sprintf("%q", name)
}

// sockets are the unix sockets of the image, in its order.
func (m *Maker) unixFiles() []*image.File {
	var all []*image.File
	for i := range m.Pod.Files {
		if m.Pod.Files[i].Unix != nil {
			all = append(all, &m.Pod.Files[i])
		}
	}
	return all
}

// unixFile returns the socket with an inode, nil if it is not in the pod.
func (m *Maker) unixFile(inode uint64) *image.File {
	if inode == 0 {
		return nil
	}
	for i := range m.Pod.Files {
		if u := m.Pod.Files[i].Unix; u != nil && u.Inode == inode {
			return &m.Pod.Files[i]
		}
	}
	return nil
}

// podPath returns the absolute path of a socket's name: a relative one is
// relative to where its process works.
func (m *Maker) podPath(f *image.File) string {
	name := string(f.Unix.Name)
	if path.IsAbs(name) {
		return name
	}
	return path.Join(m.cwdOf(f), name)
}

func (m *Maker) cwdOf(f *image.File) string {
	pid, _, ok := m.holder(f.ID)
	for i := range m.Pod.Processes {
		if p := &m.Pod.Processes[i]; ok && p.PID == pid && p.FS.Cwd != "" {
			return p.FS.Cwd
		}
	}
	return "/"
}

// reach returns a name by which this process reaches a bound socket of the pod,
// and a function to call when it has been used. A path is that of the pod, which
// may have other mounts than this process.
func (m *Maker) reach(podName string, name []byte) ([]byte, func(), error) {
	if !isPath(name) {
		return name, func() {}, nil
	}
	fd, err := m.openRoot(podName, unix.O_PATH)
	if err != nil {
		return nil, nil, err
	}
	return fmt.Appendf(nil, "/proc/self/fd/%d", fd), func() { _ = unix.Close(fd) }, nil
}
