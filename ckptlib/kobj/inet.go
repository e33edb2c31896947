package kobj

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/conn"
	"github.com/gompirun/gompirun/ckptlib/image"
)

// States of an inet socket in an image.
const (
	inetClosed    = "closed"
	inetBound     = "bound"
	inetListening = "listening"
	inetConnected = "connected"
	inetReset     = "reset"
)

var inetKind = Kind{
	Name:    "internet socket",
	Match:   func(s *Source) bool { f := s.family(); return f == unix.AF_INET || f == unix.AF_INET6 },
	Capture: captureInet,
	Has:     func(f *image.File) bool { return f.Inet != nil },
	Restore: restoreInet,
	Settle:  settleInet,
}

// captureInet records a TCP or UDP socket. The job's connections have been
// drained; what there is to know of them beyond this host is in Capturer.Conn.
func captureInet(c Capturer, s *Source, f *image.File) error {
	n := &image.Inet{State: inetClosed}
	for _, o := range []struct {
		name int
		to   *int
	}{{unix.SO_DOMAIN, &n.Family}, {unix.SO_TYPE, &n.Type}, {unix.SO_PROTOCOL, &n.Protocol}} {
		var err error
		if *o.to, err = unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, o.name); err != nil {
			return fmt.Errorf("get socket option %d: %w", o.name, err)
		}
	}
	local, remote := inetNames(s.FD)
	n.Local, n.Remote = c.SocketNames(s.FD, local, remote)
	var err error
	switch {
	case n.Type == unix.SOCK_STREAM && n.Protocol == unix.IPPROTO_TCP:
		err = captureTCP(c, s, n)
	case n.Protocol == unix.IPPROTO_MPTCP && n.Remote == "":
		// A listener of Go's net.Listen: what it accepts is TCP, unless the other
		// side asks for more.
		err = captureTCP(c, s, n)
	case n.Protocol == unix.IPPROTO_MPTCP:
		return &UnsupportedError{
			Source: s.String(),
			Hint:   "it is a connection of Multipath TCP: run the program with GODEBUG=multipathtcp=0 if it is written in Go, else without mptcpize",
		}
	case n.Type == unix.SOCK_DGRAM && n.Protocol == unix.IPPROTO_UDP:
		captureUDP(c, s, n)
		err = captureGroups(s, n)
	default:
		return &UnsupportedError{
			Source: s.String(),
			Hint:   fmt.Sprintf("it is a socket of type %d and protocol %d, and only TCP and UDP can be: run the program over TCP", n.Type, n.Protocol),
		}
	}
	if err != nil {
		return err
	}
	n.Options, err = captureOptions(s.FD, n.Family, n.Type, n.Protocol)
	f.Inet = n
	return err
}

// inetNames returns the addresses of a socket, "" for one that it has not.
func inetNames(fd int) (local, remote string) {
	if sa, err := unix.Getsockname(fd); err == nil {
		if a := conn.AddrPort(sa); a.IsValid() {
			local = a.String()
		}
	}
	if sa, err := unix.Getpeername(fd); err == nil {
		if a := conn.AddrPort(sa); a.IsValid() {
			remote = a.String()
		}
	}
	return local, remote
}

func captureUDP(c Capturer, s *Source, n *image.Inet) {
	switch {
	case n.Remote != "":
		n.State = inetConnected
	case n.Local != "":
		n.State = inetBound
	}
	if size, err := unix.IoctlGetInt(s.FD, unix.SIOCINQ); err == nil && size > 0 {
		c.Warn("%s: the UDP datagrams that it has not read are lost at a restart, as UDP may lose them", s)
	}
}

// captureTCP tells by the state and by poll(2) what a socket is, for neither
// changes it.
func captureTCP(c Capturer, s *Source, n *image.Inet) error {
	info, err := unix.GetsockoptTCPInfo(s.FD, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return fmt.Errorf("read TCP_INFO: %w", err)
	}
	p := []unix.PollFd{{Fd: int32(s.FD), Events: unix.POLLIN | unix.POLLRDHUP}}
	if _, err := unix.Poll(p, 0); err != nil && err != unix.EINTR {
		return fmt.Errorf("poll: %w", err)
	}
	isFailed := p[0].Revents&unix.POLLERR != 0
	noMoreInput := p[0].Revents&unix.POLLRDHUP != 0

	const ( // include/net/tcp_states.h
		established, synSent, synRecv, finWait1, finWait2, timeWait = 1, 2, 3, 4, 5, 6
		closed, closeWait, lastAck, listen, closing                 = 7, 8, 9, 10, 11
	)
	state := int(info.State)
	switch state {
	case synSent, synRecv:
		return &RetryError{
			Source: s.String(), Reason: "is connecting to " + n.Remote,
			Hint: "if nobody answers there, it will fail by itself after some time",
		}
	case listen:
		// Of a listener these two fields are the length and limit of its queue.
		if info.Unacked > 0 {
			return &RetryError{
				Source: s.String(), Reason: fmt.Sprintf("has %d connections that it has not accepted", info.Unacked),
				Hint: "if it never accepts them, end the programs that connect to " + n.Local,
			}
		}
		n.State, n.Backlog = inetListening, int(info.Sacked)
		return nil
	case closed:
		if !isFailed && !noMoreInput { // never connected
			if n.Local != "" {
				n.State = inetBound
			}
			return nil
		}
		// A connection that is over, with bytes perhaps that have yet to be read.
		n.PeerClosed, n.ShutWrite = true, true
	default:
		n.ShutWrite = slices.Contains([]int{finWait1, finWait2, closing, lastAck, timeWait}, state)
		n.PeerClosed = slices.Contains([]int{closeWait, closing, lastAck, timeWait}, state)
		n.ShutRead = noMoreInput && !n.PeerClosed
	}
	if err := refuseUrgent(s); err != nil {
		return err
	}
	n.State = inetConnected
	k, inside := c.Conn(s.Stat.Ino)
	if inside && !isFailed && state != closed {
		n.Conn, n.Dialer = k.Name, k.Dialer
	} else if isFailed || !n.PeerClosed {
		n.State = inetReset
	}
	return captureTCPQueue(c, s, n, k.Drained)
}

// captureTCPQueue saves what the drain had to take out, and behind it what is
// still in the socket.
func captureTCPQueue(c Capturer, s *Source, n *image.Inet, drained []byte) error {
	queue, err := conn.Peek(s.FD)
	if err != nil {
		return err
	}
	if queue = slices.Concat(drained, queue); len(queue) == 0 {
		return nil
	}
	b, err := c.Blob(queue)
	n.Queue = &b
	return err
}
