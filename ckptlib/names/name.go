package names

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// connected records a socket that was connected to the virtual name remote.
func (t *Table) connected(id identity, remote, realLocal, realRemote netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.edit(id, func(s *socket) {
		addr, port := s.bound.Addr(), s.bound.Port()
		if !addr.IsValid() || addr.IsUnspecified() {
			addr = t.sourceFor(remote.Addr(), realLocal.Addr())
		}
		if port == 0 {
			port = t.freePort(id.proto, realLocal.Port(), id.cookie)
		}
		s.local, s.realLocal = netip.AddrPortFrom(addr, port), realLocal
		s.remote, s.realRemote = remote, realRemote
		s.restored = false
	})
}

// setNames records both names of a connected socket.
func (t *Table) setNames(id identity, local, remote, realLocal, realRemote netip.AddrPort, restored bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.edit(id, func(s *socket) {
		s.local, s.realLocal = local, realLocal
		s.remote, s.realRemote = remote, realRemote
		s.restored = restored
	})
}

// repeated reports, once, whether the record of a socket is a restored one that
// has the virtual name already which a process now asks for: it repeats the call
// in which the checkpoint stopped it, and the call had been done.
func (t *Table) repeated(id identity, has func(*socket) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sockets[id.cookie]
	if s == nil || !s.restored {
		return false
	}
	s.restored = false
	return has(s)
}

// localName is the virtual name of a socket's own end; remote is the virtual
// name of the other, if it is known.
func (t *Table) localName(id identity, real, remote netip.AddrPort) netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sockets[id.cookie]
	switch {
	case s == nil:
	case s.local.IsValid() && s.realLocal == real:
		return s.local
	case s.bound.IsValid() && s.boundReal.Port() == real.Port():
		return t.named(s, real.Addr(), remote.Addr())
	case s.bound.IsValid() && s.boundReal.Port() == 0:
		return netip.AddrPortFrom(t.named(s, real.Addr(), remote.Addr()).Addr(), real.Port())
	}
	// An accepted socket has the port of its listener.
	for _, l := range t.ports[portKey{id.proto, real.Port()}] {
		if l.bound.IsValid() && l.boundReal.Port() == real.Port() && covers(l.boundReal.Addr(), l.v6only, real.Addr()) {
			return t.named(l, real.Addr(), remote.Addr())
		}
	}
	return netip.AddrPortFrom(t.virtualOf(real.Addr(), remote.Addr()), real.Port())
}

// named is the virtual name of the real address addr at a bound socket.
func (t *Table) named(s *socket, addr, remote netip.Addr) netip.AddrPort {
	if !s.bound.Addr().IsUnspecified() || addr.IsUnspecified() {
		return s.bound
	}
	return netip.AddrPortFrom(t.virtualOf(addr, remote), s.bound.Port())
}

// remoteName is the virtual name of the other end if it is known.
func (t *Table) remoteName(id identity, real netip.AddrPort) (netip.AddrPort, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.sockets[id.cookie]; s != nil && s.remote.IsValid() && s.realRemote == real {
		return s.remote, true
	}
	return netip.AddrPort{}, false
}

// SocketNames gives the virtual names of the socket behind a descriptor of any
// process that shares it, from its real ones; what is not known to be another
// stays as it is, and so does what is no address ("", names of unix sockets).
// The remote end of an accepted socket is known once a process has asked for it;
// a Notifier's SocketNames asks the peers.
func (t *Table) SocketNames(fd int, realLocal, realRemote string) (local, remote string) {
	id, ok := identify(fd)
	if !ok {
		return realLocal, realRemote
	}
	l, lerr := netip.ParseAddrPort(realLocal)
	r, rerr := netip.ParseAddrPort(realRemote)
	local, remote = realLocal, realRemote
	var v netip.AddrPort
	if rerr == nil {
		if v, ok = t.remoteName(id, plain(r)); ok {
			remote = inForm(v, r)
		} else {
			v = plain(r)
		}
	}
	if lerr == nil {
		local = inForm(t.localName(id, plain(l), v), l)
	}
	return local, remote
}

// inForm writes a as an IPv4-mapped address if like is one.
func inForm(a, like netip.AddrPort) string {
	if like.Addr().Is4In6() && a.Addr().Is4() {
		a = netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
	}
	if z := like.Addr().Zone(); z != "" && a.Addr() == like.Addr().WithZone("") {
		a = like
	}
	return a.String()
}

// Record tells the table the virtual names of a restored socket, which is
// connected already.
func (t *Table) Record(fd int, local, remote string) error {
	l, r, err := parseNames(local, remote)
	if err != nil {
		return err
	}
	id, ok := identify(fd)
	if !ok {
		return fmt.Errorf("record the names of %s, connected to %s: descriptor %d is no TCP or UDP socket", local, remote, fd)
	}
	_, rl, err := kernelName(unix.SYS_GETSOCKNAME, fd)
	if err != nil {
		return fmt.Errorf("read the real name of restored socket %s: %w", local, err)
	}
	_, rr, err := kernelName(unix.SYS_GETPEERNAME, fd)
	if err != nil {
		return fmt.Errorf("read the real peer of restored socket %s, connected to %s: %w", local, remote, err)
	}
	t.setNames(id, l, r, rl, rr, true)
	return nil
}

func parseNames(local, remote string) (l, r netip.AddrPort, err error) {
	if l, err = netip.ParseAddrPort(local); err == nil {
		r, err = netip.ParseAddrPort(remote)
	}
	if err != nil {
		return l, r, fmt.Errorf("record the names of a restored socket: %w", err)
	}
	return plain(l), plain(r), nil
}

// Bound tells the table the virtual name of a restored listener, or of another
// socket that is bound and not connected, which is bound already: to RealAddr or
// to another port.
func (t *Table) Bound(fd int, virtual string) error {
	v, err := netip.ParseAddrPort(virtual)
	if err != nil {
		return fmt.Errorf("record the name of a restored listener: %w", err)
	}
	id, ok := identify(fd)
	if !ok {
		return fmt.Errorf("record the name of listener %s: descriptor %d is no TCP or UDP socket", virtual, fd)
	}
	_, real, err := kernelName(unix.SYS_GETSOCKNAME, fd)
	if err != nil {
		return fmt.Errorf("read the real name of restored listener %s: %w", virtual, err)
	}
	t.setBound(id, v6Only(fd, id), plain(v), real, true)
	return nil
}

func v6Only(fd int, id identity) bool {
	if id.family != unix.AF_INET6 {
		return false
	}
	on, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	return err == nil && on != 0
}
