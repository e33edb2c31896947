package kobj

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// restoreInet makes a socket, or takes over the one that the agents have
// connected. Shutdowns are for settleInet: until then the agents send through
// the connections what was in flight.
func restoreInet(m *Maker, f *image.File) (int, error) {
	n := f.Inet
	fd, err := m.makeInet(n)
	if err != nil {
		return -1, err
	}
	if err := restoreOptions(m, fd, n.Options, onceMade); err != nil {
		_ = unix.Close(fd) // nothing was written to it
		return -1, err
	}
	restoreGroups(m, fd, n)
	return withStatus(fd, nil, f.Flags)
}

func (m *Maker) makeInet(n *image.Inet) (int, error) {
	tcp := n.Type == unix.SOCK_STREAM
	switch {
	case tcp && n.Conn != "":
		return m.takeConn(n)
	case tcp && (n.State == inetConnected || n.State == inetReset):
		return m.makeDead(n)
	}
	fd, err := m.makeBound(n, false)
	if n.Local != "" && (errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES)) {
		// Another program has the port, or it is not for users. The translator
		// lets others find the one that the kernel chooses.
		fd, err = m.makeBound(n, true)
	}
	if err != nil {
		return -1, err
	}
	if err := m.tellBound(fd, n); err != nil {
		_ = unix.Close(fd) // nothing was written to it
		return -1, err
	}
	return fd, nil
}

func (m *Maker) tellBound(fd int, n *image.Inet) error {
	if n.Local == "" || m.Bound == nil {
		return nil
	}
	if err := m.Bound(fd, n.Local); err != nil {
		return fmt.Errorf("tell the translator about %s: %w", n.Local, err)
	}
	return nil
}

// takeConn takes the socket of a connection inside the job. Options that are for
// before a bind are set as far as they can be; IPV6_V6ONLY means nothing any
// more.
func (m *Maker) takeConn(n *image.Inet) (int, error) {
	fd, err := m.Conn(n.Conn, n.Dialer)
	if err != nil {
		return -1, fmt.Errorf("connection %s (%s to %s): %w", n.Conn, n.Local, n.Remote, err)
	}
	var opts image.Options
	for _, o := range n.Options {
		if o.Level != unix.IPPROTO_IPV6 || o.Name != unix.IPV6_V6ONLY {
			opts = append(opts, o)
		}
	}
	if err := restoreOptions(m, fd, opts, beforeBind); err != nil {
		_ = unix.Close(fd) // nothing of the job's was written to it
		return -1, err
	}
	return fd, nil
}

// makeBound makes a socket, binds it if it was bound, to any port if told so, and
// has it listen or, of UDP, connects it.
func (m *Maker) makeBound(n *image.Inet, anyPort bool) (fd int, err error) {
	fd, err = unix.Socket(n.Family, n.Type|unix.SOCK_CLOEXEC, n.Protocol)
	if err != nil && n.Protocol == unix.IPPROTO_MPTCP { // not on this host
		fd, err = unix.Socket(n.Family, n.Type|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("make a socket of family %d and type %d: %w", n.Family, n.Type, err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // nothing was written to it
		}
	}()
	if err = restoreOptions(m, fd, n.Options, beforeBind); err != nil {
		return -1, err
	}
	if n.Local != "" {
		if err = m.bindInet(fd, n, anyPort); err != nil {
			return -1, err
		}
	}
	switch n.State {
	case inetListening:
		if err = unix.Listen(fd, n.Backlog); err != nil {
			return -1, fmt.Errorf("listen on %s: %w", n.Local, err)
		}
	case inetConnected: // of UDP
		remote := n.Remote
		if m.RealPeer != nil {
			remote = m.RealPeer(remote)
		}
		var sa unix.Sockaddr
		if sa, err = inetAddr(n.Family, remote); err == nil {
			err = unix.Connect(fd, sa)
		}
		if err != nil {
			return -1, fmt.Errorf("connect a UDP socket to %s: %w", remote, err)
		}
	}
	return fd, nil
}

// bindInet binds to where an address of the image is on this host. On the host
// where the job ran before, connections that it had may still be in TIME_WAIT,
// which SO_REUSEADDR alone forgives.
func (m *Maker) bindInet(fd int, n *image.Inet, anyPort bool) error {
	at := n.Local
	if m.RealAddr != nil {
		at = m.RealAddr(at)
	}
	sa, err := inetAddr(n.Family, at)
	if err != nil {
		return err
	}
	if anyPort {
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			sa.Port = 0
		case *unix.SockaddrInet6:
			sa.Port = 0
		}
	}
	if n.Type == unix.SOCK_STREAM {
		was, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR)
		if err != nil {
			return fmt.Errorf("get SO_REUSEADDR: %w", err)
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fmt.Errorf("set SO_REUSEADDR: %w", err)
		}
		defer unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, was) //nolint:errcheck // it was just set
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("bind to %s, which is %s to the job: %w", at, n.Local, err)
	}
	return nil
}

// inetAddr gives an address of an image the form of a family.
func inetAddr(family int, text string) (unix.Sockaddr, error) {
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", text, err)
	}
	if family == unix.AF_INET6 {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}, nil
	}
	if !a.Addr().Unmap().Is4() {
		return nil, fmt.Errorf("address %s is not one of IPv4", a)
	}
	return &unix.SockaddrInet4{Addr: a.Addr().Unmap().As4(), Port: int(a.Port())}, nil
}

// settleInet does what ends the use that the restart made of a socket.
// Precondition: every agent has refilled what was in flight.
func settleInet(m *Maker, f *image.File) error {
	n := f.Inet
	fd, err := m.File(f.ID)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		is  bool
		how int
	}{{n.ShutWrite && n.Conn != "", unix.SHUT_WR}, {n.ShutRead, unix.SHUT_RD}} {
		if !s.is {
			continue
		}
		if err := unix.Shutdown(fd, s.how); err != nil && !errors.Is(err, unix.ENOTCONN) {
			return fmt.Errorf("shut down connection %s: %w", n.Conn, err)
		}
	}
	return restoreOptions(m, fd, n.Options, atLast)
}
