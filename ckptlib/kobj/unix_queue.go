package kobj

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// peeked is a message as it lies in a queue.
type peeked struct {
	from  []byte
	data  []byte
	fds   []int
	pid   int // of SCM_CREDENTIALS, as this process sees it
	flags int
}

// peekUnix returns what waits in a socket's receive queue, oldest first, and
// takes nothing. SO_PEEK_OFF lets recvmsg(2) go on behind what it has peeked at;
// a program may have set it, so it is put back as it was, -1 for nearly all.
// Descriptors that are queued are duplicated into this process, the caller's.
//
// Of a stream, the kernel gives descriptors with all bytes from where the peek
// begins up to the end of those they were sent with. So after a restart they
// come with the first of these bytes, which is earlier than before if a message
// without descriptors waited in front.
//
// A datagram of length 0 is only told once: the kernel marks it as peeked, so
// that a second checkpoint, like another MSG_PEEK of the program, misses it.
func peekUnix(fd, typ int, shut bool) (all []peeked, err error) {
	was, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF)
	if err != nil {
		return nil, fmt.Errorf("get SO_PEEK_OFF: %w", err)
	}
	defer func() {
		if e := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, was); e != nil {
			err = errors.Join(err, fmt.Errorf("set SO_PEEK_OFF back to %d: %w", was, e))
		}
		if err != nil {
			closePeeked(all)
			all = nil
		}
	}()
	// Of a stream or of records, the size of all; of datagrams, of the first one.
	size, err := unix.IoctlGetInt(fd, unix.SIOCINQ)
	if err != nil {
		return nil, fmt.Errorf("get the size of the queue: %w", err)
	}
	counted := typ != unix.SOCK_DGRAM
	for buf, off := make([]byte, max(size, 1<<16)), 0; ; {
		if counted && off >= size {
			// Peeking at an empty queue would take an error from the program.
			return all, nil
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEEK_OFF, off); err != nil {
			return all, fmt.Errorf("set SO_PEEK_OFF to %d: %w", off, err)
		}
		if typ == unix.SOCK_STREAM {
			buf = buf[:size-off]
		}
		p, n, err := peekMessage(fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOTCONN), n == 0 && counted && err == nil && shut:
			return all, nil
		case err != nil:
			return all, fmt.Errorf("peek at the queue behind %d bytes: %w", off, err)
		case p.flags&unix.MSG_CTRUNC != 0:
			closePeeked([]peeked{p})
			return all, errors.New("it has more queued descriptors than this process may open: raise RLIMIT_NOFILE")
		case p.flags&unix.MSG_TRUNC != 0 && typ != unix.SOCK_STREAM:
			closePeeked([]peeked{p})
			buf = make([]byte, max(n, 2*len(buf)))
			continue
		}
		p.data = slices.Clone(p.data)
		off += n
		if typ == unix.SOCK_STREAM {
			all = appendRun(all, p)
		} else {
			all = append(all, p)
		}
	}
}

// appendRun adds bytes of a stream to the run before if nothing tells them apart.
func appendRun(all []peeked, p peeked) []peeked {
	if len(p.data) == 0 {
		return all
	}
	if n := len(all) - 1; n >= 0 && len(p.fds)+len(all[n].fds) == 0 && p.pid == all[n].pid {
		all[n].data = append(all[n].data, p.data...)
		return all
	}
	return append(all, p)
}

func closePeeked(all []peeked) {
	for _, p := range all {
		for _, fd := range p.fds {
			_ = unix.Close(fd) // a duplicate
		}
	}
}

// peekMessage is recvmsg(2) with the sender's raw name, which x/sys cuts at a
// zero byte. It returns the length of the message, which may exceed buf.
func peekMessage(fd int, buf []byte) (p peeked, n int, err error) {
	const maxRights = 253 // SCM_MAX_FD
	name := make([]byte, unix.SizeofSockaddrAny)
	oob := make([]byte, unix.CmsgSpace(4*maxRights)+unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(256)+unix.CmsgSpace(4))
	iov := unix.Iovec{Base: &buf[0]}
	iov.SetLen(len(buf))
	msg := unix.Msghdr{Name: &name[0], Namelen: uint32(len(name)), Iov: &iov, Control: &oob[0]}
	msg.SetIovlen(1)
	msg.SetControllen(len(oob))
	const flags = unix.MSG_PEEK | unix.MSG_DONTWAIT | unix.MSG_CMSG_CLOEXEC | unix.MSG_TRUNC
	r, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), flags)
	if e != 0 {
		return p, 0, e
	}
	n = int(r)
	p.flags, p.data = int(msg.Flags), buf[:min(n, len(buf))]
	if msg.Namelen > 2 {
		p.from = cleanName(name[2:msg.Namelen])
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob[:msg.Controllen])
	if err != nil {
		return p, n, fmt.Errorf("parse control messages: %w", err)
	}
	for _, c := range cmsgs {
		const scmPidfd = 4 // Linux 6.5
		switch {
		case c.Header.Level != unix.SOL_SOCKET:
		case c.Header.Type == unix.SCM_RIGHTS:
			p.fds, err = unix.ParseUnixRights(&c)
		case c.Header.Type == scmPidfd:
			var fds []int
			if fds, err = unix.ParseUnixRights(&unix.SocketControlMessage{
				Header: unix.Cmsghdr{Level: unix.SOL_SOCKET, Type: unix.SCM_RIGHTS}, Data: c.Data,
			}); err == nil {
				closePeeked([]peeked{{fds: fds}})
			}
		case c.Header.Type == unix.SCM_CREDENTIALS:
			var cred *unix.Ucred
			if cred, err = unix.ParseUnixCredentials(&c); err == nil {
				p.pid = int(cred.Pid)
			}
		}
		if err != nil {
			return p, n, fmt.Errorf("parse a control message of type %d: %w", c.Header.Type, err)
		}
	}
	return p, n, nil
}

// captureQueue brings a queue into the image.
func captureQueue(c Capturer, fd int, u *image.Unix) error {
	all, err := peekUnix(fd, u.Type, u.Shutdown&shutRead != 0)
	if err != nil {
		return err
	}
	for i, p := range all {
		msg := image.Message{From: p.from}
		if p.pid > 0 {
			msg.PID = c.PodPID(p.pid)
		}
		for len(p.fds) > 0 {
			id, err := c.Adopt(p.fds[0])
			p.fds = p.fds[1:]
			if err != nil {
				closePeeked(append(all[i+1:], p))
				return fmt.Errorf("capture a queued descriptor: %w", err)
			}
			msg.Files = append(msg.Files, id)
		}
		if msg.Data, err = c.Blob(p.data); err != nil {
			closePeeked(all[i+1:])
			return err
		}
		u.Queue = append(u.Queue, msg)
	}
	return nil
}
