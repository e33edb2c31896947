package names

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// States of sockets as sock_diag gives them (net/tcp_states.h).
const (
	tcpEstablished   = 1
	tcpSynSent       = 2
	tcpTimeWait      = 6
	tcpClose         = 7
	tcpListen        = 10
	tcpBoundInactive = 13 // since Linux 6.8
)

// Sizes of struct inet_diag_req_v2 and struct inet_diag_msg.
const (
	diagRequestLen = 56
	diagMessageLen = 72
)

// listed is a socket of the network namespace, whoever owns it.
type listed struct {
	state  uint8
	cookie uint64
	local  netip.AddrPort
}

// holder reports whether the socket keeps others from its port, as opposed to
// what a listener leaves behind, accepted connections and TIME_WAIT.
func (l listed) holder(proto uint8) bool {
	return proto == unix.IPPROTO_UDP || l.state == tcpListen || l.state == tcpClose || l.state == tcpBoundInactive
}

// listSockets calls f for all sockets of a protocol that have the local port;
// port 0 means all. No privilege is needed (sock_diag(7)).
func listSockets(proto uint8, port uint16, f func(listed)) error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		var req [diagRequestLen]byte
		req[0], req[1] = family, proto
		binary.NativeEndian.PutUint32(req[4:], ^uint32(0))
		binary.BigEndian.PutUint16(req[8:], port)
		if err := diag(unix.NLM_F_DUMP, req[:], f); err != nil {
			return fmt.Errorf("list the sockets of the host: %w", err)
		}
	}
	return nil
}

// findSocket asks for the TCP or UDP socket that has these names; with remote
// the wildcard and port 0, for the listener. It returns ENOENT if there is none.
func findSocket(proto uint8, local, remote netip.AddrPort) (listed, error) {
	var req [diagRequestLen]byte
	req[0], req[1] = unix.AF_INET, proto
	if local.Addr().Is6() {
		req[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(req[4:], ^uint32(0))
	if proto == unix.IPPROTO_UDP {
		local, remote = remote, local // udp_diag looks up what a datagram would reach
	}
	binary.BigEndian.PutUint16(req[8:], local.Port())
	binary.BigEndian.PutUint16(req[10:], remote.Port())
	copy(req[12:28], local.Addr().AsSlice())
	copy(req[28:44], remote.Addr().AsSlice())
	for i := 48; i < diagRequestLen; i++ {
		req[i] = 0xff // INET_DIAG_NOCOOKIE
	}
	var found listed
	err := diag(0, req[:], func(l listed) { found = l })
	return found, err
}

// diag sends one request and reads the answers.
func diag(flags uint16, req []byte, f func(listed)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	msg := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(req))
	binary.NativeEndian.PutUint32(msg[0:], uint32(cap(msg)))
	binary.NativeEndian.PutUint16(msg[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(msg[6:], unix.NLM_F_REQUEST|flags)
	if err := unix.Sendto(fd, append(msg, req...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 32<<10) // the kernel fills at most this much of a message
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if done, err := diagAnswers(buf[:n], f); done || err != nil {
			return err
		}
		if flags&unix.NLM_F_DUMP == 0 {
			return nil
		}
	}
}

// diagAnswers reads the messages of one datagram.
func diagAnswers(b []byte, f func(listed)) (done bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return false, fmt.Errorf("netlink message of %d bytes in %d", n, len(b))
		}
		body := b[unix.SizeofNlMsghdr:n]
		switch kind := binary.NativeEndian.Uint16(b[4:]); {
		case kind == unix.NLMSG_DONE:
			return true, nil
		case kind == unix.NLMSG_ERROR && len(body) >= 4:
			return true, unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		case kind == unix.SOCK_DIAG_BY_FAMILY && len(body) >= diagMessageLen:
			addr, _ := netip.AddrFromSlice(body[8:12])
			if body[0] == unix.AF_INET6 {
				addr, _ = netip.AddrFromSlice(body[8:24])
			}
			f(listed{
				state:  body[1],
				cookie: binary.NativeEndian.Uint64(body[44:]),
				local:  plain(netip.AddrPortFrom(addr, binary.BigEndian.Uint16(body[4:]))),
			})
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return false, nil
}
