package names

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Locate tells where one of the pod's own names really is: the address of this
// host and the port that a listener, or another bound socket, was moved to. A
// name that nobody has bound is at the same port; one that is not the pod's is
// returned as it is. Where a TCP and a UDP socket share a name the TCP one counts.
func (t *Table) Locate(virtual netip.AddrPort) netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := plain(virtual)
	for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		if r, ok := t.locate(proto, v); ok {
			return r
		}
	}
	if a, ok := t.realOf(v.Addr()); ok {
		return netip.AddrPortFrom(a, v.Port())
	}
	return virtual
}

// locate is Locate for what is known to be bound. The caller holds t.mu.
func (t *Table) locate(proto uint8, v netip.AddrPort) (netip.AddrPort, bool) {
	a, ok := t.realOf(v.Addr())
	if !ok {
		return netip.AddrPort{}, false
	}
	var best *socket
	for _, s := range t.names[portKey{proto, v.Port()}] {
		if s.bound.Port() != v.Port() || !covers(s.bound.Addr(), s.v6only, v.Addr()) {
			continue
		}
		// As in the kernel the specific name goes before the wildcard; of several,
		// all but the last are likely to be closed.
		if best == nil || best.bound.Addr().IsUnspecified() || !s.bound.Addr().IsUnspecified() {
			best = s
		}
	}
	if best == nil || best.boundReal.Port() == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, best.boundReal.Port()), true
}

// RealAddr is the address to which a restored listener with this virtual name
// ("10.0.0.7:1024", "[::]:1024") is to be bound: on this host, and at the port
// of a socket that already has the name, else at its own. If that port is taken,
// bind to port 0; Bound takes note. What is not an address is returned as it is.
func (t *Table) RealAddr(virtual string) string {
	v, err := netip.ParseAddrPort(virtual)
	if err != nil {
		return virtual
	}
	r := t.Locate(v)
	if v.Addr().Is4In6() {
		r = netip.AddrPortFrom(netip.AddrFrom16(r.Addr().As16()), r.Port())
	}
	return r.String()
}

// target tells where a bind to v is to go, and which virtual name the socket
// will have. It is false for addresses that are not the pod's. Ours is set if
// sockets of the pod have, or had, a name that stands in the way of this one: the
// kernel shall then decide at their port whether it may be shared.
func (t *Table) target(proto uint8, v netip.AddrPort, v6only bool) (real, virtual netip.AddrPort, ours, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a, ok := t.realOf(v.Addr())
	if !ok {
		return real, virtual, false, false
	}
	if !t.isVirtual(v.Addr()) {
		v = netip.AddrPortFrom(t.virtualOf(v.Addr(), netip.Addr{}), v.Port())
	}
	port := v.Port()
	if s := t.inTheWay(proto, v, v6only); port != 0 && s != nil {
		port, ours = s.boundReal.Port(), true
	}
	return netip.AddrPortFrom(a, port), v, ours, true
}

// inTheWay finds a socket of the pod that has the name v or one that overlaps it:
// an open one if there is any, else one of which that is not certain. The caller
// holds t.mu.
func (t *Table) inTheWay(proto uint8, v netip.AddrPort, v6only bool) *socket {
	var found *socket
	for _, s := range slices.Clone(t.names[portKey{proto, v.Port()}]) {
		if s.bound.Port() != v.Port() || s.boundReal.Port() == 0 ||
			!covers(s.bound.Addr(), s.v6only, v.Addr()) && !covers(v.Addr(), v6only, s.bound.Addr()) {
			continue
		}
		open := false
		err := listSockets(proto, s.boundReal.Port(), func(l listed) { open = open || l.cookie == s.cookie })
		if open {
			return s
		}
		if err == nil && !s.unlisted && !s.holdsPort() {
			t.drop(s)
			continue
		}
		found = s
	}
	return found
}

// strangers reports whether the real port is held by nobody but sockets that are
// not the pod's. It is false where the kernel does not tell.
func (t *Table) strangers(proto uint8, port uint16) bool {
	held, ours := t.holders(proto, port)
	return held && !ours
}

// holders asks the kernel who keeps a port from others.
func (t *Table) holders(proto uint8, port uint16) (held, ours bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = listSockets(proto, port, func(l listed) {
		if t.sockets[l.cookie] != nil {
			ours = true
		}
		held = held || l.holder(proto)
	})
	return held, ours
}

// freePort is port, or, if a socket of the pod has this virtual port already
// (restored with it, say, while the kernel took it for free), another one that
// none has. The caller holds t.mu.
func (t *Table) freePort(proto uint8, port uint16, cookie uint64) uint16 {
	const first, last = 32768, 60999 // the default of ip_local_port_range
	taken := func(p uint16) bool {
		for _, s := range t.names[portKey{proto, p}] {
			if s.cookie != cookie {
				return true
			}
		}
		return false
	}
	if port == 0 || !taken(port) {
		return port
	}
	for p := first; p <= last; p++ {
		if !taken(uint16(p)) {
			return uint16(p)
		}
	}
	return port
}

// setBound records what bind did. A virtual port 0 becomes the one that the
// kernel chose.
func (t *Table) setBound(id identity, v6only bool, virtual, real netip.AddrPort, restored bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if virtual.Port() == 0 {
		virtual = netip.AddrPortFrom(virtual.Addr(), t.freePort(id.proto, real.Port(), id.cookie))
	}
	t.edit(id, func(s *socket) {
		s.bound, s.boundReal, s.v6only, s.restored = virtual, plain(real), v6only, restored
	})
}
