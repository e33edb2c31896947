package conn

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

var errStranger = errors.New("the other side does not belong to this restart")

// slot is one socket in a joining's loop: a listener, a dialer or somebody who
// has been accepted.
type slot struct {
	fd       int
	plan     Plan
	do       func(*slot) error
	in       []byte
	got      int
	deadline time.Time // of this attempt; zero for a listener
	stranger bool      // accepted

	// of a dialer
	next  time.Time // not before
	tries int
	err   error // of the last attempt
}

// read fills s.in and tells whether it is full. It never reads further: what
// follows is not the handshake's.
func (s *slot) read() (full bool, err error) {
	for s.got < len(s.in) {
		n, err := recv(s.fd, s.in[s.got:], 0)
		if errors.Is(err, unix.EAGAIN) {
			return false, nil
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return false, err
		}
		s.got += n
	}
	return true, nil
}

func (jn *joining) watch(s *slot, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(s.fd)}
	if err := unix.EpollCtl(jn.ep, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		return fmt.Errorf("watch socket %d: %w", s.fd, err)
	}
	jn.slots[int32(s.fd)] = s
	return nil
}

// drop closes an attempt. A dialer will try again, at first at once: a listener
// may have been out of room, or not be the joiner's yet.
func (jn *joining) drop(s *slot, err error) {
	if s.deadline.IsZero() {
		return // a listener is for all
	}
	delete(jn.slots, int32(s.fd))
	_ = unix.Close(s.fd) // of an attempt that failed
	s.fd = -1
	if s.stranger {
		jn.accepted--
		return
	}
	s.later(err)
	jn.waiting = append(jn.waiting, s)
}

// later sets when a dialer tries again.
func (s *slot) later(err error) {
	s.err = err
	s.next = time.Now().Add(min(10*time.Millisecond<<min(s.tries, 10), time.Second))
	s.tries++
}

// dial begins an attempt. If it fails at once, s stays in the waiting list with
// a later time.
func (jn *joining) dial(s *slot) {
	err := func() error {
		fd, err := socket(s.plan.Family)
		if err != nil {
			return err
		}
		s.fd = fd
		s.do, s.deadline, s.in, s.got = jn.connected, time.Now().Add(attemptTime), make([]byte, replySize), 0
		if _, err := makeRoom(fd, s.plan.Room); err != nil {
			return err
		}
		if err := unix.Connect(fd, sockaddr(s.plan.Family, s.plan.Peer)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("connect: %w", err)
		}
		return jn.watch(s, unix.EPOLLOUT)
	}()
	if err == nil {
		return
	}
	if s.fd >= 0 {
		_ = unix.Close(s.fd) // of an attempt that failed
		s.fd = -1
	}
	s.later(err)
}

// connected says hello once a connection stands.
func (jn *joining) connected(s *slot) error {
	e, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && e != 0 {
		err = unix.Errno(e)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if n, err := send(s.fd, jn.secret.hello(s.plan.ID.Name)); err != nil || n != helloSize {
		return errors.Join(errors.New("send the hello"), err)
	}
	s.do = jn.readReply
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(s.fd)}
	if err := unix.EpollCtl(jn.ep, unix.EPOLL_CTL_MOD, s.fd, &ev); err != nil {
		return fmt.Errorf("watch socket %d: %w", s.fd, err)
	}
	return nil
}

func (jn *joining) readReply(s *slot) error {
	if full, err := s.read(); !full {
		return err
	}
	if !hmac.Equal(s.in, jn.secret.reply(s.plan.ID.Name)) {
		return errStranger
	}
	if _, err := send(s.fd, []byte{doneByte}); err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	return jn.finish(s)
}
