package kobj

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// captureQueues fills Data and Typed of an image of a terminal.
func captureQueues(c Capturer, s *Source, master int, p *image.PTY) (err error) {
	own, err := termiosOf(p.Termios)
	if err != nil {
		return err
	}
	slave, err := openSlave(c, master, p.Index, s)
	if errors.Is(err, unix.EBUSY) {
		if n, err := unix.IoctlGetInt(master, unix.TIOCINQ); err == nil && n > 0 {
			c.Warn("%s: %d bytes that nobody has read yet are not kept for a restart, for the terminal is in exclusive use", s, n)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(slave)
	t := terminal{master, slave, own}
	if own.Iflag&unix.IXON != 0 && polled(slave, unix.POLLOUT, 0)&unix.POLLOUT == 0 {
		// Stopped by Ctrl-S: what is read could not be written again.
		c.Warn("%s: the terminal is stopped (Ctrl-S); what is in its queues is not kept for a restart", s)
		return nil
	}
	if p.Packet {
		// Else each read would begin with a byte that is not of the data.
		if err := unix.IoctlSetPointerInt(master, unix.TIOCPKT, 0); err != nil {
			return fmt.Errorf("leave packet mode: %w", err)
		}
		defer func() { err = errors.Join(err, unix.IoctlSetPointerInt(master, unix.TIOCPKT, 1)) }()
	}
	output, typed, err := t.look()
	if err != nil {
		return err
	}
	if p.Master {
		p.Data, err = blobOf(c, output)
	}
	if err == nil {
		p.Typed, err = blobOf(c, typed)
	}
	return err
}

func blobOf(c Capturer, b []byte) (*image.Blob, error) {
	if len(b) == 0 {
		return nil, nil
	}
	blob, err := c.Blob(b)
	return &blob, err
}

// refillTerminal writes both queues of a new terminal. Its slave stays open
// until Maker.Close, so that the master sees no hang-up in between, and one then
// if no process has the slave.
func refillTerminal(m *Maker, master int, p *image.PTY, own termios2) error {
	slave, err := openPeer(master, unix.O_RDWR|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	m.Stash(fmt.Sprintf("pty:%d:slave", p.Index), slave)
	t := terminal{master, slave, own}
	if p.Typed != nil {
		b, err := m.Blob(*p.Typed)
		if err != nil {
			return err
		}
		if err := t.enter(b); err != nil {
			return err
		}
	}
	if p.Data != nil {
		b, err := m.Blob(*p.Data)
		if err != nil {
			return err
		}
		return t.put(b)
	}
	return nil
}
