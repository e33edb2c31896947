package names

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// A socket is what a table remembers of an open socket: the names that the pod's
// processes know (virtual, plain) and those of the kernel, by which a record is
// found and by which one sees that it still holds.
type socket struct {
	cookie uint64
	proto  uint8
	v6only bool
	// unlisted is set for what sock_diag does not show under this cookie: MPTCP.
	unlisted bool
	// restored is set until the call that was interrupted by the checkpoint, if
	// there was one, has been repeated.
	restored bool

	bound, boundReal netip.AddrPort // from bind; not valid if there was none

	local, realLocal   netip.AddrPort // once connected
	remote, realRemote netip.AddrPort
}

// An identity is what a descriptor tells of its socket.
type identity struct {
	cookie uint64
	proto  uint8 // unix.IPPROTO_TCP for MPTCP as well
	mptcp  bool
	family int
}

// identify is false for what is not a TCP or UDP socket.
func identify(fd int) (identity, bool) {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || family != unix.AF_INET && family != unix.AF_INET6 {
		return identity{}, false
	}
	proto, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return identity{}, false
	}
	id := identity{family: family, proto: uint8(proto), mptcp: proto == unix.IPPROTO_MPTCP}
	switch proto {
	case unix.IPPROTO_MPTCP:
		id.proto = unix.IPPROTO_TCP
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
	default:
		return identity{}, false
	}
	id.cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	return id, err == nil
}

// covers reports whether a connection to addr comes to a socket bound to name.
func covers(name netip.Addr, v6only bool, addr netip.Addr) bool {
	switch {
	case name == addr:
		return true
	case !name.IsUnspecified():
		return false
	}
	return name.Is6() == addr.Is6() || name.Is6() && !v6only
}

// put adds or replaces the record of a socket. The caller holds t.mu.
func (t *Table) put(s *socket) {
	if old := t.sockets[s.cookie]; old != nil {
		t.drop(old)
	} else if len(t.sockets) >= t.limit {
		t.sweep()
	}
	t.sockets[s.cookie] = s
	for _, p := range ports(s.bound, s.local) {
		k := portKey{s.proto, p}
		t.names[k] = append(t.names[k], s)
	}
	for _, p := range ports(s.boundReal, s.realLocal) {
		k := portKey{s.proto, p}
		t.ports[k] = append(t.ports[k], s)
	}
}

// ports are the ports of two names, each once. They differ where bind left the
// choice to connect (IP_BIND_ADDRESS_NO_PORT).
func ports(a, b netip.AddrPort) []uint16 {
	var p []uint16
	if a.Port() != 0 {
		p = append(p, a.Port())
	}
	if b.Port() != 0 && b.Port() != a.Port() {
		p = append(p, b.Port())
	}
	return p
}

// drop forgets a socket. The caller holds t.mu.
func (t *Table) drop(s *socket) {
	delete(t.sockets, s.cookie)
	for _, p := range ports(s.bound, s.local) {
		remove(t.names, portKey{s.proto, p}, s)
	}
	for _, p := range ports(s.boundReal, s.realLocal) {
		remove(t.ports, portKey{s.proto, p}, s)
	}
}

func remove(m map[portKey][]*socket, k portKey, s *socket) {
	rest := slices.DeleteFunc(m[k], func(o *socket) bool { return o == s })
	if len(rest) == 0 {
		delete(m, k)
		return
	}
	m[k] = rest
}

// edit replaces the record of a socket by a changed copy, made if there is none.
// The caller holds t.mu.
func (t *Table) edit(id identity, change func(*socket)) {
	s := socket{cookie: id.cookie, proto: id.proto, unlisted: id.mptcp}
	if old := t.sockets[id.cookie]; old != nil {
		s = *old
	}
	change(&s)
	t.put(&s)
}
