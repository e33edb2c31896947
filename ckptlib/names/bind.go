package names

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// bind gives a socket one of the pod's names. On the host where the pod was born
// nobody but the pod's own sockets could have made it fail, so here nobody does
// either: where somebody else has the port the socket gets another.
func (v *visit) bind(last *result) {
	raw, name, ok := v.address()
	if !ok {
		v.goOn()
		return
	}
	v6only := v6Only(v.sock, v.id)
	real, virtual, ours, ok := v.table.target(v.id.proto, name, v6only)
	to, fits := encode(raw, real)
	if !ok || !fits {
		v.goOn()
		return
	}
	if !v.change() {
		return
	}
	defer v.act.RUnlock()
	if last != nil || v.table.repeated(v.id, func(s *socket) bool { return s.bound == virtual }) {
		v.tell(0, last)
		return
	}
	var err error
	if ours {
		err = nameCall(unix.SYS_BIND, v.sock, to)
		if errors.Is(err, unix.EADDRINUSE) && v.table.strangers(v.id.proto, real.Port()) {
			// The pod's socket is closed, and somebody else took the port.
			err = v.elsewhere(to, real)
		}
	} else {
		err = v.bindAfresh(to, real)
	}
	if err == nil {
		if bound, e := v.realName(); e == nil {
			v.table.setBound(v.id, v6only, virtual, bound, false)
		}
		v.tell(0, nil)
		return
	}
	v.answer(errnoOf(err))
}

// bindAfresh binds to a port that no socket of the pod has. SO_REUSEADDR and
// SO_REUSEPORT are a matter between the pod's sockets, so they are off meanwhile:
// else two pods could both get a port, and one of them fail in listen, or share
// the other's datagrams. What an earlier listener's connections leave at a port
// (TIME_WAIT) may be shared as the program asks.
func (v *visit) bindAfresh(to []byte, real netip.AddrPort) error {
	err := withoutReuse(v.sock, func() error { return nameCall(unix.SYS_BIND, v.sock, to) })
	if !errors.Is(err, unix.EADDRINUSE) || real.Port() == 0 {
		return err
	}
	if held, _ := v.table.holders(v.id.proto, real.Port()); !held {
		if err := nameCall(unix.SYS_BIND, v.sock, to); !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
	}
	return v.elsewhere(to, real)
}

// elsewhere binds to another port of the address.
func (v *visit) elsewhere(to []byte, real netip.AddrPort) error {
	raw, ok := encode(to, netip.AddrPortFrom(real.Addr(), 0))
	if !ok {
		return unix.EADDRINUSE
	}
	return withoutReuse(v.sock, func() error {
		// Others must be told the port now, not when connect chooses it.
		if err := unix.SetsockoptInt(v.sock, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 0); err != nil {
			return err
		}
		return nameCall(unix.SYS_BIND, v.sock, raw)
	})
}

// withoutReuse runs f while the socket shares no port.
func withoutReuse(fd int, f func() error) error {
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		old, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, option)
		if err != nil || old == 0 {
			continue
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 0); err != nil {
			continue
		}
		defer func() { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, old) }()
	}
	return f()
}
