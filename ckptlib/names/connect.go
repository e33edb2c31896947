package names

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// connect connects the socket to where the name really is. It only starts the
// connection: the thread of a blocking socket then goes on into its own connect,
// which the kernel takes for one more wait for the connection under way, without
// looking at the address. So signals and checkpoints find it in the state in
// which it always was.
func (v *visit) connect(last *result) {
	raw, name, ok := v.address()
	if !ok {
		v.goOn()
		return
	}
	tcp := v.id.proto == unix.IPPROTO_TCP
	if tcp && v.state() != tcpClose {
		v.again(last, name)
		return
	}
	real, name, ok, err := v.resolve(name)
	if v.ctx.Err() != nil {
		return
	}
	if err != nil {
		v.answer(unix.EHOSTUNREACH)
		return
	}
	to, fits := encode(raw, real)
	if !ok || !fits {
		v.goOn()
		return
	}
	if !v.change() {
		return
	}
	defer v.act.RUnlock()
	flags, err := unix.FcntlInt(uintptr(v.sock), unix.F_GETFL, 0)
	if err != nil {
		v.goOn()
		return
	}
	blocking := tcp && flags&unix.O_NONBLOCK == 0
	ticket := v.table.begin()
	err = v.initiate(to, tcp, blocking)
	started := err == nil || errors.Is(err, unix.EINPROGRESS)
	if started {
		if local, err := v.realName(); err == nil {
			v.table.connected(v.id, name, local, plain(real))
		}
	}
	v.table.finish(ticket)
	switch {
	case err != nil && blocking && started:
		v.goOn()
	case started:
		v.tell(errnoOf(err), nil)
	default:
		v.answer(errnoOf(err))
	}
}

// again serves a connect of a socket that is not new. Either a program asks how
// its connection is doing, which the kernel answers, or a call is repeated that
// was interrupted after it had been done.
func (v *visit) again(last *result, name netip.AddrPort) {
	restored := v.table.repeated(v.id, func(s *socket) bool { return s.remote == name })
	switch {
	case restored || last != nil && last.errno == 0:
		v.tell(0, last)
	case last != nil && v.state() == tcpSynSent:
		v.tell(last.errno, last)
	default:
		v.goOn()
	}
}

// state is the TCP state of the socket.
func (v *visit) state() uint8 {
	if info, err := unix.GetsockoptTCPInfo(v.sock, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		return info.State
	}
	// MPTCP sockets say nothing before they have a connection.
	if _, err := unix.Getpeername(v.sock); err == nil {
		return tcpEstablished
	}
	return tcpClose
}

// initiate is connect without a wait for more than a jiffy. An unbound TCP socket
// gets its port by bind: connect alone may share one port among connections to
// different places, also with another pod's, and then the other end could not
// tell by the port whose it is. Where so many connections are open that no port
// is left for one alone, connect chooses.
func (v *visit) initiate(to []byte, tcp, blocking bool) error {
	if raw, local, err := kernelName(unix.SYS_GETSOCKNAME, v.sock); tcp && err == nil && local.Port() == 0 {
		_ = withoutReuse(v.sock, func() error {
			_ = unix.SetsockoptInt(v.sock, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 0)
			return nameCall(unix.SYS_BIND, v.sock, raw)
		})
	}
	if !blocking {
		return nameCall(unix.SYS_CONNECT, v.sock, to)
	}
	// O_NONBLOCK would be seen by every holder of the socket; the send timeout
	// concerns nobody while it is not connected.
	old, err := unix.GetsockoptTimeval(v.sock, unix.SOL_SOCKET, unix.SO_SNDTIMEO)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptTimeval(v.sock, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Usec: 1}); err != nil {
		return err
	}
	err = nameCall(unix.SYS_CONNECT, v.sock, to)
	if e := unix.SetsockoptTimeval(v.sock, unix.SOL_SOCKET, unix.SO_SNDTIMEO, old); e != nil {
		return e
	}
	if errors.Is(err, unix.EINTR) {
		err = unix.EINPROGRESS // a signal to this process, not to the thread
	}
	return err
}

// resolve tells where a virtual name is, and its full form: the wildcard as a
// destination means this host. It is false for names that need no translation.
func (v *visit) resolve(name netip.AddrPort) (real, full netip.AddrPort, ok bool, err error) {
	t := v.table
	if a := name.Addr(); a.IsUnspecified() {
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if name.Addr().Is6() {
			a = netip.IPv6Loopback()
		}
		name = netip.AddrPortFrom(a, name.Port())
	}
	owner, inJob := t.job[name.Addr()]
	switch {
	case t.isVirtual(name.Addr()) || inJob && owner == t.pod:
		return v.here(name), name, true, nil
	case inJob && v.peers != nil:
		v.handOver()
		real, ok, err = v.peers.Resolve(v.ctx, name)
		if err != nil && errors.Is(err, context.DeadlineExceeded) {
			err = unix.ETIMEDOUT
		}
		return real, name, ok, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	real, ok = t.locate(v.id.proto, name)
	return real, name, ok && plain(real) != name, nil
}

func (v *visit) here(name netip.AddrPort) netip.AddrPort {
	v.table.mu.Lock()
	real, ok := v.table.locate(v.id.proto, name)
	v.table.mu.Unlock()
	if ok {
		return real
	}
	return v.table.Locate(name)
}
