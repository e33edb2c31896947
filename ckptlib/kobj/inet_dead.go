package kobj

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
)

// deadWait is how long the bytes of a queue may take over loopback.
const deadWait = 10 * time.Second

// makeDead makes a TCP socket whose peer is gone: it is connected over loopback
// to this process, which sends what the program has not read and then resets or
// ends the connection.
func (m *Maker) makeDead(n *image.Inet) (fd int, err error) {
	var queue []byte
	if n.Queue != nil {
		if queue, err = m.Blob(*n.Queue); err != nil {
			return -1, err
		}
	}
	fd, peer, err := loopback(n.Family, len(queue))
	if err != nil {
		return -1, err
	}
	if err := m.endPeer(fd, peer, n, queue); err != nil {
		_ = unix.Close(fd) // nothing was written to it
		return -1, err
	}
	if n.State == inetReset && n.Remote != "" {
		m.Warn("a connection from %s to %s, outside of the job, is reset", n.Local, n.Remote)
	}
	return fd, nil
}

// endPeer plays the peer to its end, and closes it.
func (m *Maker) endPeer(fd, peer int, n *image.Inet, queue []byte) (err error) {
	defer func() {
		if e := unix.Close(peer); e != nil && err == nil {
			err = fmt.Errorf("close the peer: %w", e)
		}
	}()
	for deadline := time.Now().Add(deadWait); ; {
		k, err := unix.SendmsgN(peer, queue, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("send %d bytes again: %w", len(queue), err)
		}
		queue = queue[max(k, 0):]
		left, err := conn.Unsent(peer)
		if err != nil {
			return err
		}
		if len(queue)+left == 0 || len(queue) == 0 && n.State != inetReset {
			break // a FIN waits behind the bytes, a reset drops them
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("send again what was unread: %d bytes do not fit: raise net.ipv4.tcp_rmem on this host", len(queue)+left)
		}
		time.Sleep(time.Millisecond)
	}
	if n.State == inetReset {
		if err := unix.SetsockoptLinger(peer, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
			return fmt.Errorf("set SO_LINGER: %w", err)
		}
		return nil
	}
	if !n.ShutWrite {
		return nil
	}
	// The peer's FIN comes first: then the end of this end leaves nothing behind.
	if err := unix.Shutdown(peer, unix.SHUT_WR); err != nil {
		return fmt.Errorf("shut down the peer: %w", err)
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// loopback connects a socket of a family with one of this process, with room in
// its receive buffer.
func loopback(family, room int) (fd, peer int, err error) {
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("make a listener: %w", err)
	}
	defer unix.Close(l)
	local := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: local.Addr().As4()}); err != nil {
		return -1, -1, fmt.Errorf("bind to %s: %w", local, err)
	}
	if err := unix.Listen(l, 1); err != nil {
		return -1, -1, fmt.Errorf("listen on %s: %w", local, err)
	}
	at, err := unix.Getsockname(l)
	if err != nil {
		return -1, -1, fmt.Errorf("ask for a port: %w", err)
	}
	if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, -1, fmt.Errorf("make a socket of family %d: %w", family, err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // nothing was written to it
		}
	}()
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
			return -1, -1, fmt.Errorf("open an IPv6 socket to IPv4: %w", err)
		}
	}
	sa, err := inetAddr(family, netip.AddrPortFrom(mapped(family, local.Addr()), conn.AddrPort(at).Port()).String())
	if err != nil {
		return -1, -1, err
	}
	if err := conn.Reserve(fd, room); err != nil {
		return -1, -1, err
	}
	if err := unix.Connect(fd, sa); err != nil {
		return -1, -1, fmt.Errorf("connect over loopback: %w", err)
	}
	me, err := unix.Getsockname(fd)
	if err != nil {
		return -1, -1, fmt.Errorf("ask for a port: %w", err)
	}
	for { // a stranger may have been faster
		p, who, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		if err != nil {
			return -1, -1, fmt.Errorf("accept over loopback: %w", err)
		}
		if conn.AddrPort(who).Port() == conn.AddrPort(me).Port() {
			return fd, p, nil
		}
		_ = unix.Close(p) // a stranger's
	}
}

func mapped(family int, a netip.Addr) netip.Addr {
	if family == unix.AF_INET6 {
		return netip.AddrFrom16(a.As16())
	}
	return a
}
