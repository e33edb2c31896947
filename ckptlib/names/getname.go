package names

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// name serves getsockname and getpeername.
func (v *visit) name() {
	raw, real, err := kernelName(uintptr(v.req.Nr), v.sock)
	if err != nil {
		v.goOn()
		return
	}
	var virtual netip.AddrPort
	if v.req.Nr == unix.SYS_GETPEERNAME {
		local, err := v.realName()
		if err != nil {
			v.goOn()
			return
		}
		virtual = v.remote(v.peer, v.id, local, real)
	} else {
		var peer netip.AddrPort
		if _, r, err := kernelName(unix.SYS_GETPEERNAME, v.sock); err == nil {
			peer, _ = v.table.remoteName(v.id, r)
		}
		virtual = v.table.localName(v.id, real, peer)
	}
	room, ok := v.room()
	out, fits := encode(raw, virtual)
	if virtual == real || !ok || !fits || !stillValid(v.fd, v.req.ID) {
		v.goOn()
		return
	}
	v.answer(errnoOf(v.write(out, room)))
}

func (v *visit) realName() (netip.AddrPort, error) {
	_, a, err := kernelName(unix.SYS_GETSOCKNAME, v.sock)
	return a, err
}

// remote is the virtual name of a socket's other end: the real one if it is
// outside the job, as ask says. The answer is kept.
func (n *Notifier) remote(ask ask, id identity, local, real netip.AddrPort) netip.AddrPort {
	if r, ok := n.table.remoteName(id, real); ok {
		return r
	}
	r, ok := real, false
	if real.Addr().IsLoopback() || n.table.isReal(real.Addr()) {
		r, ok = n.table.own(real, local)
	}
	if !ok && !real.Addr().IsLoopback() && n.peers != nil {
		var final bool
		if r, ok, final = ask(real); !final {
			return real
		}
	}
	if !ok {
		r = real
	}
	r = plain(r)
	n.table.setNames(id, n.table.localName(id, local, r), r, local, real, false)
	return r
}

// An ask is Peers.Owner; final is false if it was not asked to the end.
type ask func(real netip.AddrPort) (virtual netip.AddrPort, ok, final bool)

// peer is the ask of a visit.
func (v *visit) peer(real netip.AddrPort) (netip.AddrPort, bool, bool) {
	v.handOver()
	a, ok := v.peers.Owner(v.ctx, real)
	return a, ok, ok || v.ctx.Err() == nil
}
