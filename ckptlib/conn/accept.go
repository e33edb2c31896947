package conn

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// accept takes all who wait at a listener.
func (jn *joining) accept(l *slot) error {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
			// What is short may come back when strangers are dropped; the
			// listener stays readable.
			jn.dropOldest()
			return nil
		default: // of one connection that is gone again: accept(2) under "Error handling"
			continue
		}
		if jn.accepted >= maxStrangers {
			jn.dropOldest()
		}
		s := &slot{fd: fd, deadline: time.Now().Add(attemptTime), in: make([]byte, helloSize), do: jn.readHello, stranger: true}
		if err := jn.watch(s, unix.EPOLLIN|unix.EPOLLRDHUP); err != nil {
			_ = unix.Close(fd)
			return nil
		}
		jn.accepted++
	}
}

// maxStrangers bounds those who have been accepted and have not yet said which
// connection they are. It is more than all agents of a large job dial at once.
const maxStrangers = 8192

func (jn *joining) dropOldest() {
	var oldest *slot
	for _, s := range jn.slots {
		if s.stranger && (oldest == nil || s.deadline.Before(oldest.deadline)) {
			oldest = s
		}
	}
	if oldest != nil {
		jn.drop(oldest, nil)
	}
}

// readHello finds out which connection somebody is. Whoever cannot prove it is
// dropped without an answer.
func (jn *joining) readHello(s *slot) error {
	if full, err := s.read(); !full {
		return err
	}
	p, ok := jn.expected[string(s.in[:sha256.Size])]
	if !ok || !hmac.Equal(s.in, jn.secret.hello(p.ID.Name)) {
		return errStranger
	}
	s.plan, s.in, s.got, s.do = p, make([]byte, 1), 0, jn.readDone
	if _, err := makeRoom(s.fd, p.Room); err != nil {
		return err
	}
	// An empty socket takes 32 bytes at once, or it is broken.
	if n, err := send(s.fd, jn.secret.reply(p.ID.Name)); err != nil || n != replySize {
		return errors.Join(errors.New("send a reply"), err)
	}
	return jn.readDone(s)
}

func (jn *joining) readDone(s *slot) error {
	if full, err := s.read(); !full {
		return err
	}
	if _, twice := jn.joined[s.plan.ID]; twice || s.in[0] != doneByte {
		return errStranger
	}
	return jn.finish(s)
}

// finish takes a socket out of the loop: the connection is made.
func (jn *joining) finish(s *slot) error {
	if err := unix.EpollCtl(jn.ep, unix.EPOLL_CTL_DEL, s.fd, nil); err != nil {
		return fmt.Errorf("stop watching socket %d: %w", s.fd, err)
	}
	delete(jn.slots, int32(s.fd))
	if s.stranger {
		jn.accepted--
	}
	jn.joined[s.plan.ID] = s.fd
	return nil
}
