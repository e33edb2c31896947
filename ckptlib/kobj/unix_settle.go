package kobj

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// settleUnix completes all unix sockets of the pod with the first of them, for
// one step must be done for all before the next begins: names, then listeners,
// then queues (senders are told by name, and a socket that is connected accepts
// from its peer only), then connections of datagram sockets, then shutdowns.
func settleUnix(m *Maker, _ *image.File) error {
	if !m.once("unix sockets") {
		return nil
	}
	files := m.unixFiles()
	for _, step := range []func(*image.File, int) error{m.bindPath, m.listenUnix, m.sendQueue, m.connectDatagram, m.endUnix} {
		for _, f := range files {
			fd, err := m.File(f.ID)
			if err != nil {
				return err
			}
			if err := step(f, fd); err != nil {
				return fmt.Errorf("file %d (socket %d): %w", f.ID, f.Unix.Inode, err)
			}
		}
	}
	return nil
}

func (m *Maker) listenUnix(f *image.File, fd int) error {
	if f.Unix.State != unixListening {
		return nil
	}
	if err := unix.Listen(fd, f.Unix.Backlog); err != nil {
		return fmt.Errorf("listen on %s: %w", showName(f.Unix.Name), err)
	}
	return nil
}

// connectDatagram connects a datagram socket by its peer's name. That of the
// other end of a pair is connected already.
func (m *Maker) connectDatagram(f *image.File, fd int) error {
	u := f.Unix
	if u.Type != unix.SOCK_DGRAM {
		return nil
	}
	twin := m.twin(u)
	switch {
	case twin != nil && twin.Inode == u.Peer:
		return nil
	case !connectedUnix(u):
		if twin == nil {
			return nil
		}
		// It was made by socketpair(2) and then disconnected.
		_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), unspecified(), 2)
		if e != 0 {
			return fmt.Errorf("disconnect: %w", e)
		}
		return nil
	}
	name, podName := u.PeerName, string(u.PeerName)
	peer := m.unixFile(u.Peer)
	if peer != nil {
		name, podName = peer.Unix.Name, m.podPath(peer)
	}
	if len(name) == 0 {
		return nil // its peer is gone; restoreUnix has closed a pair
	}
	by, done, err := m.reach(podName, name)
	if err == nil {
		err = withName(unix.SYS_CONNECT, fd, by)
		done()
	}
	if err != nil && peer == nil {
		m.Warn("a socket that was connected to %s, outside of the job, is not: %v", showName(name), err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("connect to %s: %w", showName(name), err)
	}
	return nil
}

// endUnix does what would have been in the way of the queues: shutdowns, the
// end of peers that are not in the pod, small buffers.
func (m *Maker) endUnix(f *image.File, fd int) error {
	u := f.Unix
	feed, fed := m.Take(feedName(u.Inode))
	if fed {
		if u.State == unixReset && u.Type != unix.SOCK_DGRAM {
			// A peer that is closed with a byte unread makes ECONNRESET.
			if err := unix.Sendto(fd, []byte{0}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil); err != nil {
				return fmt.Errorf("write to a peer that is gone: %w", err)
			}
		}
		if err := unix.Close(feed); err != nil {
			return fmt.Errorf("close a peer that is gone: %w", err)
		}
		if u.Peer != 0 {
			m.Warn("a connection to a unix socket (%s) outside of the pod is closed", showName(u.PeerName))
		}
	} else if u.Shutdown != 0 {
		if err := unix.Shutdown(fd, u.Shutdown-1); err != nil && !errors.Is(err, unix.ENOTCONN) {
			return fmt.Errorf("shut down: %w", err)
		}
	}
	return restoreOptions(m, fd, u.Options, atLast)
}
