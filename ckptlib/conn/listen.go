package conn

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Addrs is where a Joiner can be reached. An accepted socket has the family of
// its listener, and a program that made an AF_INET6 socket must get one back
// although its addresses may be IPv4: so there is a listener for each family.
type Addrs struct {
	Inet  netip.AddrPort `json:"inet"`  // for ends that are AF_INET; zero if there is none
	Inet6 netip.AddrPort `json:"inet6"` // for ends that are AF_INET6; zero if there is none
}

// For returns the address for an end of the given family.
func (a Addrs) For(family int) netip.AddrPort {
	if family == unix.AF_INET6 {
		return a.Inet6
	}
	return a.Inet
}

// A Joiner makes the connections of a pod anew at a restart.
type Joiner struct {
	addrs     Addrs
	listeners []int
}

// Listen opens a joiner on two ephemeral ports of an address of this host, one
// for each family: an IPv4 address is also served by an AF_INET6 socket, if the
// host has that family. Of an IPv6 address there is no AF_INET listener.
func Listen(addr netip.Addr) (*Joiner, error) {
	addr = addr.Unmap()
	j := &Joiner{}
	if addr.Is4() {
		fd, port, err := listen(unix.AF_INET, addr)
		if err != nil {
			return nil, err
		}
		j.listeners = append(j.listeners, fd)
		j.addrs.Inet = netip.AddrPortFrom(addr, port)
	}
	fd, port, err := listen(unix.AF_INET6, addr)
	switch {
	case err == nil:
		j.listeners = append(j.listeners, fd)
		j.addrs.Inet6 = netip.AddrPortFrom(addr, port)
	case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EADDRNOTAVAIL) && addr.Is4():
		// A host without IPv6: only a job that has such sockets will miss it.
		if addr.Is4() {
			break
		}
		fallthrough
	default:
		j.Close()
		return nil, err
	}
	return j, nil
}

// Addrs returns where the joiner can be reached.
func (j *Joiner) Addrs() Addrs { return j.addrs }

// Close ends the joiner. The connections that it made stay.
func (j *Joiner) Close() {
	for _, fd := range j.listeners {
		_ = unix.Close(fd) // nothing was written to it
	}
	j.listeners = nil
}

// listen opens a listener with the longest backlog there is: a connection that
// finds it full is tried again by its kernel only after a second.
func listen(family int, addr netip.Addr) (fd int, port uint16, err error) {
	fd, err = socket(family)
	if err != nil {
		return -1, 0, err
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // nothing was written to it
		}
	}()
	if err = unix.Bind(fd, sockaddr(family, netip.AddrPortFrom(addr, 0))); err != nil {
		return -1, 0, fmt.Errorf("bind to %s to join connections: %w", addr, err)
	}
	if err = unix.Listen(fd, 1<<15); err != nil {
		return -1, 0, fmt.Errorf("listen on %s to join connections: %w", addr, err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, fmt.Errorf("ask for the port on %s: %w", addr, err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		port = uint16(sa.Port)
	case *unix.SockaddrInet6:
		port = uint16(sa.Port)
	}
	return fd, port, nil
}

// socket makes a non-blocking TCP socket. One of AF_INET6 can carry IPv4,
// whatever net.ipv6.bindv6only says.
func socket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, fmt.Errorf("make a TCP socket of family %d: %w", family, err)
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			_ = unix.Close(fd) // nothing was written to it
			return -1, fmt.Errorf("open an IPv6 socket to IPv4: %w", err)
		}
	}
	return fd, nil
}

// sockaddr gives an address in the form of a family. Of IPv4 in AF_INET6, the
// unspecified address becomes that of IPv6, which includes it.
func sockaddr(family int, a netip.AddrPort) unix.Sockaddr {
	addr := a.Addr().Unmap()
	if family == unix.AF_INET {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: int(a.Port())}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port())}
	if addr.Is4() && addr.IsUnspecified() {
		return sa
	}
	sa.Addr = addr.As16()
	return sa
}
