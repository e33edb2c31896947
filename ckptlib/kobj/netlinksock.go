package kobj

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// netlinkKind is a netlink(7) socket at rest: one that waits for news of
// interfaces or devices, or for the program's next question.
var netlinkKind = Kind{
	Name:    "netlink socket",
	Match:   func(s *Source) bool { return s.family() == unix.AF_NETLINK },
	Capture: captureNetlink,
	Has:     func(f *image.File) bool { return f.Netlink != nil },
	Restore: restoreNetlink,
}

// netlinkStates are the protocols of which the kernel keeps no more of a socket
// than what is restored, and whether its groups have the same numbers on every
// host.
var netlinkStates = map[int]bool{
	unix.NETLINK_ROUTE: true, unix.NETLINK_KOBJECT_UEVENT: true, unix.NETLINK_SOCK_DIAG: true,
	unix.NETLINK_GENERIC: false,
}

func captureNetlink(_ Capturer, s *Source, f *image.File) error {
	n := &image.Netlink{}
	var err error
	if n.Type, err = unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return fmt.Errorf("get the type: %w", err)
	}
	if n.Protocol, err = unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil {
		return fmt.Errorf("get the protocol: %w", err)
	}
	if n.Groups, err = memberships(s.FD); err != nil {
		return err
	}
	constant, known := netlinkStates[n.Protocol]
	port, peer, err := netlinkNames(s.FD)
	switch {
	case err != nil:
		return err
	case !known || !constant && len(n.Groups) > 0 || peer != 0:
		return &UnsupportedError{
			Source: s.String(),
			Hint:   fmt.Sprintf("it is a netlink socket of protocol %d, with %d groups, to port %d: close it before the checkpoint", n.Protocol, len(n.Groups), peer),
		}
	}
	n.Port = port
	p := []unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLIN}}
	if k, err := unix.Poll(p, 0); err == nil && k > 0 && p[0].Revents&(unix.POLLIN|unix.POLLERR) != 0 {
		return &RetryError{
			Source: s.String(), Reason: "is a netlink socket with messages that it has not read",
			Hint: "have the program read them",
		}
	}
	n.Options, err = captureOptions(s.FD, unix.AF_NETLINK, n.Type, n.Protocol)
	f.Netlink = n
	return err
}

// netlinkNames returns the port that a socket is bound to and the one that it is
// connected to; 0 is none, and the kernel.
func netlinkNames(fd int) (local, peer uint32, err error) {
	for _, name := range []struct {
		get func(int) (unix.Sockaddr, error)
		to  *uint32
	}{{unix.Getsockname, &local}, {unix.Getpeername, &peer}} {
		sa, err := name.get(fd)
		if err != nil {
			return 0, 0, fmt.Errorf("get the address: %w", err)
		}
		if n, ok := sa.(*unix.SockaddrNetlink); ok {
			*name.to = n.Pid
		}
	}
	return local, peer, nil
}

// memberships lists the groups that a socket has joined.
func memberships(fd int) (groups []int, err error) {
	b := make([]byte, 4096)
	size := uint32(len(b))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_NETLINK, unix.NETLINK_LIST_MEMBERSHIPS,
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return nil, fmt.Errorf("list the groups: %w", e)
	}
	for i := 0; i+4 <= int(size); i += 4 {
		for word, bit := binary.NativeEndian.Uint32(b[i:]), 0; bit < 32; bit++ {
			if word&(1<<bit) != 0 {
				groups = append(groups, 8*i+bit+1)
			}
		}
	}
	return groups, nil
}

func restoreNetlink(m *Maker, f *image.File) (int, error) {
	n := f.Netlink
	fd, err := unix.Socket(unix.AF_NETLINK, n.Type|unix.SOCK_CLOEXEC, n.Protocol)
	if err != nil {
		return -1, fmt.Errorf("make a netlink socket of protocol %d: %w", n.Protocol, err)
	}
	if err := m.readyNetlink(fd, n); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return withStatus(fd, nil, f.Flags)
}

func (m *Maker) readyNetlink(fd int, n *image.Netlink) error {
	if n.Port != 0 {
		err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: n.Port})
		if errors.Is(err, unix.EADDRINUSE) {
			m.Warn("netlink port %d belongs to another program on this host: a program of the job gets another", n.Port)
			err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		}
		if err != nil {
			return fmt.Errorf("bind to netlink port %d: %w", n.Port, err)
		}
	}
	for _, g := range n.Groups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil {
			return fmt.Errorf("join group %d of netlink protocol %d: %w", g, n.Protocol, err)
		}
	}
	for _, now := range []when{beforeBind, onceMade, atLast} {
		if err := restoreOptions(m, fd, n.Options, now); err != nil {
			return err
		}
	}
	return nil
}
