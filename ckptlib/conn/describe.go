package conn

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Describe returns what the kernel tells of a TCP socket, but for NetID.
// A socket that is not bound, or not connected, has no Local or Remote: they are
// not valid then.
func Describe(fd int) (End, error) {
	var e End
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return e, fmt.Errorf("look at socket %d: %w", fd, err)
	}
	e.Inode = st.Ino
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return e, fmt.Errorf("read TCP_INFO of socket %d: %w", fd, err)
	}
	e.State = info.State
	if sa, err := unix.Getsockname(fd); err == nil {
		e.Local = AddrPort(sa)
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		e.Remote = AddrPort(sa)
	}
	return e, nil
}

// AddrPort returns an internet address as netip has it, the zero value for one
// that has no port, which nobody is bound to. Addresses of IPv4 in AF_INET6 stay
// mapped.
func AddrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		if sa.Port != 0 {
			return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
		}
	case *unix.SockaddrInet6:
		if sa.Port != 0 {
			return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
		}
	}
	return netip.AddrPort{}
}

// NetID returns the End.NetID of the calling thread's network namespace.
func NetID() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("name the network namespace: %w", err)
	}
	ns, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", fmt.Errorf("name the network namespace: %w", err)
	}
	return strings.TrimSpace(string(boot)) + "/" + strings.TrimSuffix(strings.TrimPrefix(ns, "net:["), "]"), nil
}
