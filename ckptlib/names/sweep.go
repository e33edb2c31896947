package names

import (
	"slices"

	"golang.org/x/sys/unix"
)

// sweep forgets the sockets that are closed, about which nobody tells the
// table: it asks the kernel which are there, each time their number has doubled.
// Where the kernel does not say (no inet_diag) the older half goes, by the
// cookie, which counts up: old connections then have real names.
func (t *Table) sweep() {
	alive := map[uint64]bool{}
	var err error
	for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		if err == nil {
			err = listSockets(proto, 0, func(s listed) { alive[s.cookie] = true })
		}
	}
	var gone []*socket
	for c, s := range t.sockets {
		switch {
		case err != nil, alive[c], s.unlisted:
		case !s.remote.IsValid() && s.holdsPort():
			// Bound and nothing else: listed since Linux 6.8 only.
		default:
			gone = append(gone, s)
		}
	}
	if err != nil {
		gone = t.olderHalf()
	}
	for _, s := range gone {
		t.drop(s)
	}
	t.limit = max(minLimit, 2*len(t.sockets))
}

func (t *Table) olderHalf() []*socket {
	all := make([]*socket, 0, len(t.sockets))
	for _, s := range t.sockets {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *socket) int {
		if a.cookie < b.cookie {
			return -1
		}
		return 1
	})
	return all[:len(all)/2]
}

// holdsPort reports whether something, and then most likely the socket, holds
// its port.
func (s *socket) holdsPort() bool {
	if !s.boundReal.IsValid() || s.boundReal.Port() == 0 {
		return s.boundReal.IsValid()
	}
	kind := unix.SOCK_STREAM
	if s.proto == unix.IPPROTO_UDP {
		kind = unix.SOCK_DGRAM
	}
	family := unix.AF_INET
	like := make([]byte, unix.SizeofSockaddrInet4)
	if s.boundReal.Addr().Is6() {
		family, like = unix.AF_INET6, make([]byte, unix.SizeofSockaddrInet6)
	}
	like[0] = byte(family)
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	raw, ok := encode(like, s.boundReal)
	return !ok || nameCall(unix.SYS_BIND, fd, raw) != nil
}
