package kobj

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// sendQueue sends again what waited in a socket's queue, from where it came.
func (m *Maker) sendQueue(f *image.File, _ int) error {
	for i := range f.Unix.Queue {
		if err := m.sendMessage(f, &f.Unix.Queue[i]); err != nil {
			return fmt.Errorf("send message %d of %d of its queue again: %w", i+1, len(f.Unix.Queue), err)
		}
	}
	return nil
}

func (m *Maker) sendMessage(f *image.File, msg *image.Message) error {
	data, err := m.Blob(msg.Data)
	if err != nil {
		return err
	}
	from, err := m.sender(f, msg)
	if err != nil {
		return err
	}
	defer from.close()
	if f.Unix.Type == unix.SOCK_STREAM && len(data) > 0 {
		undo, err := moreRoom(from.fd)
		if err != nil {
			return err
		}
		defer undo()
	}
	var oob []byte
	if len(msg.Files) > 0 {
		fds := make([]int, len(msg.Files))
		for i, id := range msg.Files {
			if fds[i], err = m.File(id); err != nil {
				return err
			}
		}
		oob = unix.UnixRights(fds...)
	}
	if len(oob) == 0 && from.file != nil && msg.PID != 0 {
		if num, ok := m.numberIn(msg.PID, from.file.ID); ok && m.Syscall != nil {
			return m.sendFrom(msg.PID, num, from, data)
		}
	}
	for {
		n, err := unix.SendmsgN(from.fd, data, oob, from.to, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("it takes no more: raise net.unix.max_dgram_qlen or net.core.wmem_default on this host: %w", err)
		}
		if err != nil {
			return err
		}
		data, oob = data[n:], nil
		if len(data) == 0 || f.Unix.Type != unix.SOCK_STREAM {
			return nil
		}
	}
}

// moreRoom doubles the send buffer of a stream: the kernel takes a piece as long
// as the ones before it do not fill the buffer, so how much fits depends on the
// pieces that the program had sent, which nobody knows.
func moreRoom(fd int) (undo func(), err error) {
	size, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, size) // the kernel doubles it
	}
	if err != nil {
		return nil, fmt.Errorf("enlarge its send buffer: %w", err)
	}
	return func() {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, size/2) // as it could be read, it can be set
	}, nil
}

// sendFrom has the process send that did, for a receiver that asked for the
// sender's credentials (SO_PASSCRED): the kernel adds those of the caller.
func (m *Maker) sendFrom(pid, num int, from sending, data []byte) error {
	addr, size := any(0), 0
	if from.name != nil {
		b, err := sockaddrUn(from.name)
		if err != nil {
			return err
		}
		addr, size = b, len(b)
	}
	const most = 4096
	for first := true; first || len(data) > 0; first = false {
		part := data
		if from.stream {
			part = data[:min(len(data), most)]
		}
		arg := any(0)
		if len(part) > 0 {
			arg = part
		}
		n, err := m.Syscall(pid, unix.SYS_SENDTO, num, arg, len(part), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, addr, size)
		if err != nil {
			return fmt.Errorf("send from process %d: %w", pid, err)
		}
		data = data[n:]
		if !from.stream {
			break
		}
	}
	return nil
}

// sending is where a message is sent from, and to which address if the sender
// is not connected to the receiver.
type sending struct {
	fd     int
	file   *image.File // nil if the sender is not in the pod
	stream bool
	to     unix.Sockaddr
	name   []byte // to, as a process of the pod has it; nil if there is none
	close  func()
}

// sender finds the socket that has sent a message, or makes one that looks like
// it.
func (m *Maker) sender(f *image.File, msg *image.Message) (sending, error) {
	u := f.Unix
	s := sending{close: func() {}, stream: u.Type == unix.SOCK_STREAM}
	if feed, ok := m.stash[feedName(u.Inode)]; ok {
		s.fd = feed
		return s, nil
	}
	if t := m.twin(u); t != nil && (u.Type != unix.SOCK_DGRAM || bytes.Equal(msg.From, t.Name)) {
		s.file = m.unixFile(t.Inode)
		var err error
		s.fd, err = m.File(s.file.ID)
		return s, err
	}
	if len(u.Name) == 0 {
		return s, errors.New("nobody could send to it: it has neither a name nor a peer")
	}
	to, done, err := m.reach(m.podPath(f), u.Name)
	if err != nil {
		return s, err
	}
	s.close, s.name = done, u.Name
	s.to = &unix.SockaddrUnix{Name: string(to)}
	if to[0] == 0 {
		s.to = &unix.SockaddrUnix{Name: "@" + string(to[1:])}
	}
	if len(msg.From) > 0 {
		for _, other := range m.unixFiles() {
			if other.Unix.Type == u.Type && bytes.Equal(other.Unix.Name, msg.From) {
				s.file = other
				s.fd, err = m.File(other.ID)
				return s, err
			}
		}
	}
	if s.fd, err = unix.Socket(unix.AF_UNIX, u.Type|unix.SOCK_CLOEXEC, 0); err != nil {
		done()
		return s, err
	}
	s.close = func() { done(); _ = unix.Close(s.fd) }
	if len(msg.From) == 0 {
		return s, nil
	}
	err = errors.New("its path is the pod's")
	if !isPath(msg.From) {
		err = withName(unix.SYS_BIND, s.fd, msg.From)
	}
	if err != nil {
		m.Warn("a message from %s, which is not in the pod, comes from nobody after the restart: %v", showName(msg.From), err)
	}
	return s, nil
}
