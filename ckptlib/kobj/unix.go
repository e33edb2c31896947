package kobj

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// Bits of Shutdown, which are the kernel's.
const (
	shutRead  = 1
	shutWrite = 2
)

// States of a unix socket in an image. A reset one was connected to a socket
// that was closed with bytes unread, which its program has yet to be told.
const (
	unixUnbound   = "unbound"
	unixListening = "listening"
	unixConnected = "connected"
	unixReset     = "reset"
)

var unixKind = Kind{
	Name:    "unix socket",
	Match:   func(s *Source) bool { return s.family() == unix.AF_UNIX },
	Capture: captureUnix,
	Has:     func(f *image.File) bool { return f.Unix != nil },
	Restore: restoreUnix,
	Settle:  settleUnix,
}

// family returns the family of a socket, -1 for anything else.
func (s *Source) family() int {
	if !strings.HasPrefix(s.Link, "socket:[") || s.Flags&unix.O_PATH != 0 {
		return -1
	}
	family, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return -1
	}
	return family
}

// captureUnix asks sock_diag for what getsockname(2) and getpeername(2) do not
// tell: which socket is the other end.
func captureUnix(c Capturer, s *Source, f *image.File) error {
	typ, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return fmt.Errorf("get the type: %w", err)
	}
	d, ok := c.UnixDiag(s.Stat.Ino)
	if !ok {
		return &UnsupportedError{Source: s.String(), Hint: "its peer cannot be found: it is in another network namespace than the pod"}
	}
	u := &image.Unix{Type: typ, Inode: s.Stat.Ino, State: unixUnbound, Name: d.Name, Shutdown: d.Shutdown}
	if isPath(u.Name) {
		s.lookAtName(d, u)
	}
	switch {
	case d.State == stateListen:
		if n := len(d.Pending); n > 0 {
			return &RetryError{
				Source: s.String(), Reason: fmt.Sprintf("has %d connections that it has not accepted", n),
				Hint: "if it never accepts them, end the programs that connect to " + showName(d.Name),
			}
		}
		u.State, u.Backlog = unixListening, int(d.WQueue)
	case d.Connected:
		u.State, u.Peer = unixConnected, d.Peer
		if peer, ok := c.UnixDiag(d.Peer); ok {
			u.PeerName = peer.Name
		}
	}
	if u.State != unixListening {
		if failed(s.FD) {
			if typ != unix.SOCK_STREAM && d.RQueue > 0 {
				// Of these, recvmsg(2) tells the error before the messages.
				return &RetryError{
					Source: s.String(), Reason: "has an error that its program has not read",
					Hint: "have the program read from it",
				}
			}
			u.State = unixReset
		}
		if err := refuseUrgent(s); err != nil {
			return err
		}
		if err := captureQueue(c, s.FD, u); err != nil {
			return err
		}
	}
	u.Options, err = captureOptions(s.FD, unix.AF_UNIX, typ, 0)
	f.Unix = u
	return err
}

// failed tells whether a socket has an error that its program will be told.
// Asking for the error itself (SO_ERROR) would take it away.
func failed(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0 && p[0].Revents&unix.POLLERR != 0
}

// lookAtName finds out whether the path that a socket was bound to still leads
// to it, and with what permissions. A relative path is one of where the process
// worked when it called bind(2).
func (s *Source) lookAtName(d UnixDiag, u *image.Unix) {
	name := s.inPod(string(u.Name))
	if u.Name[0] != '/' {
		name = fmt.Sprintf("/proc/%d/cwd/%s", s.PID, u.Name)
	}
	var st unix.Stat_t
	err := unix.Lstat(name, &st)
	dev := unix.Major(st.Dev)<<20 | unix.Minor(st.Dev) // as the kernel keeps it
	u.PathDeleted = err != nil || uint32(st.Ino) != d.VFSIno || dev != d.VFSDev
	if !u.PathDeleted {
		u.Mode = st.Mode & 0o7777
	}
}

// restoreUnix makes a socket, or takes the one that was made together with its
// peer. What needs the pod's processes, or sockets of others, is for settleUnix.
func restoreUnix(m *Maker, f *image.File) (int, error) {
	u := f.Unix
	fd, ok := m.Take(endName(u.Inode))
	if !ok {
		var err error
		if fd, err = m.makeUnix(u); err != nil {
			return -1, err
		}
	}
	err := m.prepareUnix(fd, u)
	if err != nil {
		_ = unix.Close(fd) // nothing was written to it
		return -1, err
	}
	return withStatus(fd, nil, f.Flags)
}

func endName(inode uint64) string { return fmt.Sprintf("unix:%d", inode) }

// feedName is the other end of a socket whose peer is not in the pod: its queue
// comes from there.
func feedName(inode uint64) string { return fmt.Sprintf("unix:%d:peer", inode) }

// makeUnix makes a socket, with its other end if the two have to be made
// together: those of a stream always, of datagrams when one could not be
// connected to because it has no name.
func (m *Maker) makeUnix(u *image.Unix) (int, error) {
	other := m.twin(u)
	gone := m.unixFile(u.Peer) == nil && (u.Type != unix.SOCK_DGRAM || len(u.PeerName) == 0)
	if other == nil && !(connectedUnix(u) && gone) {
		fd, err := unix.Socket(unix.AF_UNIX, u.Type|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, fmt.Errorf("make a unix socket: %w", err)
		}
		return fd, nil
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, u.Type|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make a pair of unix sockets: %w", err)
	}
	if other != nil {
		m.Stash(endName(other.Inode), ends[1])
	} else {
		m.Stash(feedName(u.Inode), ends[1])
	}
	return ends[0], nil
}

func connectedUnix(u *image.Unix) bool { return u.State == unixConnected || u.State == unixReset }

// twin returns the socket of the pod that has to be made together with u, nil
// if there is none.
func (m *Maker) twin(u *image.Unix) *image.Unix {
	if f := m.unixFile(u.Peer); f != nil && (u.Type != unix.SOCK_DGRAM || len(f.Unix.Name) == 0) {
		return f.Unix
	}
	if u.Type != unix.SOCK_DGRAM || len(u.Name) > 0 {
		return nil
	}
	for _, f := range m.unixFiles() {
		if f.Unix.Peer == u.Inode && f.Unix.Type == unix.SOCK_DGRAM {
			return f.Unix
		}
	}
	return nil
}

// prepareUnix sets options and an abstract name.
func (m *Maker) prepareUnix(fd int, u *image.Unix) error {
	for _, now := range []when{beforeBind, onceMade} {
		if err := restoreOptions(m, fd, u.Options, now); err != nil {
			return err
		}
	}
	if len(u.Name) == 0 || isPath(u.Name) || m.inherited(u) {
		return nil
	}
	if err := withName(unix.SYS_BIND, fd, u.Name); err != nil {
		return fmt.Errorf("bind a unix socket to %s, a name in the host's network namespace that programs know it by: %w "+
			"(restart this pod on a host where no other program has it)", showName(u.Name), err)
	}
	return nil
}

// inherited tells whether a connected socket has its name from the listener that
// accepted it. Such a name is not bound: the listener has it, or a later one
// will. One that connects has a name, as a rule, only if the kernel made it up.
func (m *Maker) inherited(u *image.Unix) bool {
	if u.Type == unix.SOCK_DGRAM || !connectedUnix(u) {
		return false
	}
	if !autobound(u.Name) {
		return true
	}
	for _, f := range m.unixFiles() {
		if f.Unix.Inode != u.Inode && bytes.Equal(f.Unix.Name, u.Name) {
			return true
		}
	}
	return false
}
