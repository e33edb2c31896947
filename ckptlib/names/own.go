package names

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// begin announces that a socket is about to be connected. Between connect and
// the record of it the other end may already ask whose the connection is; Own
// waits for those calls to finish that began before.
func (t *Table) begin() (ticket uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tickets++
	t.connecting[t.tickets] = struct{}{}
	return t.tickets
}

func (t *Table) finish(ticket uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.connecting, ticket)
	t.recorded.Broadcast()
}

// Own tells which of the pod's sockets has a real name of this host: the name
// under which the pod knows it. It is what the pod that accepted a connection
// has to know of the other end. A name is not owned if its socket is closed. If
// a socket of the pod is just being connected, Own waits for that, some
// milliseconds at most.
func (t *Table) Own(real netip.AddrPort) (virtual netip.AddrPort, ok bool) {
	return t.own(plain(real), netip.AddrPort{})
}

// own is Own, for a socket that is connected to the real name peer, if valid.
func (t *Table) own(real, peer netip.AddrPort) (netip.AddrPort, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for last := t.tickets; ; t.recorded.Wait() {
		for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			if v, ok := t.owner(portKey{proto, real.Port()}, real, peer); ok {
				return v, true
			}
		}
		if !t.pending(last) {
			return netip.AddrPort{}, false
		}
	}
}

// pending reports whether a connect that began before ticket last is under way.
func (t *Table) pending(last uint64) bool {
	for n := range t.connecting {
		if n <= last {
			return true
		}
	}
	return false
}

// owner finds the record, and asks the kernel whether it still holds: a closed
// socket's port may by now be one of another pod's.
func (t *Table) owner(k portKey, real, peer netip.AddrPort) (netip.AddrPort, bool) {
	for _, s := range t.ports[k] {
		if s.remote.IsValid() && s.realLocal == real && (!peer.IsValid() || s.realRemote == peer) && s.open(s.realLocal, s.realRemote) {
			return s.local, true
		}
	}
	if peer.IsValid() || !real.Addr().IsLoopback() && !t.isReal(real.Addr()) {
		return netip.AddrPort{}, false
	}
	for _, s := range t.ports[k] {
		if s.bound.IsValid() && s.boundReal.Port() == k.port && covers(s.boundReal.Addr(), s.v6only, real.Addr()) && s.open(real, netip.AddrPort{}) {
			return t.named(s, real.Addr(), netip.Addr{}), true
		}
	}
	return netip.AddrPort{}, false
}

// open reports whether the kernel's socket of these names is this one. What is
// left of a connection that its owner has closed still counts as open: the other
// end may accept it later.
func (s *socket) open(local, remote netip.AddrPort) bool {
	if s.unlisted || local.Addr().IsLinkLocalUnicast() { // found by interface only
		return true
	}
	if !remote.IsValid() {
		remote = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		if local.Addr().Is6() {
			remote = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		}
	}
	l, err := findSocket(s.proto, local, remote)
	switch {
	case errors.Is(err, unix.ENOENT):
		return false
	case err != nil: // a kernel without inet_diag: nothing speaks against it
		return true
	}
	return l.cookie == s.cookie || l.state == tcpTimeWait
}
