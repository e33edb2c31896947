package kobj

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// restorePTY makes the terminal with the first of its ends.
func restorePTY(m *Maker, f *image.File) (int, error) {
	p := f.PTY
	if p.HungUp {
		fd, err := hungUp(m, f.Flags)
		return withStatus(fd, err, f.Flags)
	}
	if p.Master {
		if _, ok := m.stash[MasterName(p.Index)]; !ok {
			if err := makeTerminal(m, p); err != nil {
				return -1, err
			}
		}
		fd, _ := m.Take(MasterName(p.Index))
		return withStatus(fd, nil, f.Flags)
	}
	if !m.done[MasterName(p.Index)] {
		if err := makeTerminal(m, masterOf(m, p)); err != nil {
			return -1, err
		}
	}
	fd, err := m.openRoot(slavePath(p.Index), openFlags(f.Flags))
	return withStatus(fd, err, f.Flags)
}

// masterOf returns what the image has of the master of a slave, or the slave
// itself where the agent had the master: it tells nearly as much.
func masterOf(m *Maker, p *image.PTY) *image.PTY {
	if m.Pod != nil {
		for i := range m.Pod.Files {
			if q := m.Pod.Files[i].PTY; q != nil && q.Master && q.Index == p.Index {
				return q
			}
		}
	}
	return p
}

// makeTerminal makes a terminal and puts its master into the stash.
func makeTerminal(m *Maker, p *image.PTY) error {
	master, err := openMaster(m, p.Index)
	if err != nil {
		return err
	}
	m.Stash(MasterName(p.Index), master)
	m.once(MasterName(p.Index))
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return fmt.Errorf("unlock the terminal: %w", err)
	}
	t, err := termiosOf(p.Termios)
	if err != nil {
		return err
	}
	if p.Typed != nil || p.Data != nil || p.PeerClosed {
		if err := refillTerminal(m, master, p, t); err != nil {
			return err
		}
	}
	// The master's ioctl means the slave's settings. No process has the terminal
	// yet, so the new window size is signalled to none.
	if err := setTermios(master, t); err != nil {
		return fmt.Errorf("set termios: %w", err)
	}
	ws := unix.Winsize{Row: p.Winsize[0], Col: p.Winsize[1], Xpixel: p.Winsize[2], Ypixel: p.Winsize[3]}
	if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, &ws); err != nil {
		return fmt.Errorf("set the window size: %w", err)
	}
	return nil
}

// settlePTY sets what would have been in the way of others: a lock keeps the
// slave from being opened, packet mode tells of every change of the settings.
func settlePTY(m *Maker, f *image.File) error {
	p := f.PTY
	if p.HungUp {
		return nil
	}
	if err := settleSession(m, p); err != nil {
		return err
	}
	fd, err := m.File(f.ID)
	if err != nil {
		return err
	}
	if p.Locked {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 1)
	}
	if p.Packet {
		err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCPKT, 1))
	}
	if p.Exclusive {
		err = errors.Join(err, unix.IoctlSetInt(fd, unix.TIOCEXCL, 0))
	}
	if err != nil {
		return fmt.Errorf("set lock, packet mode or exclusive use: %w", err)
	}
	return nil
}
