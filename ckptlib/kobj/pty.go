package kobj

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var ptyKind = Kind{
	Name:    "pseudoterminal",
	Match:   func(s *Source) bool { return ptyEnd(s) != 0 && s.Flags&unix.O_PATH == 0 },
	Capture: capturePTY,
	Has:     func(f *image.File) bool { return f.PTY != nil },
	Restore: restorePTY,
	Settle:  settlePTY,
}

// Ends of a pseudoterminal.
const (
	ptyMaster = 1 + iota
	ptySlave
	ptyControlling // /dev/tty
)

// ptyEnd tells by the device number which end a description is, 0 for neither.
func ptyEnd(s *Source) int {
	if s.Stat.Mode&unix.S_IFMT != unix.S_IFCHR {
		return 0
	}
	switch {
	case s.Stat.Rdev == unix.Mkdev(5, 2):
		return ptyMaster
	case unix.Major(s.Stat.Rdev) == ptySlaveMajor:
		return ptySlave
	case s.Stat.Rdev == unix.Mkdev(5, 0):
		return ptyControlling
	}
	return 0
}

// ptySlaveMajor is the major number of /dev/pts/N, N is the minor one.
const ptySlaveMajor = 136

// Terminals may be implemented by a Capturer whose agent holds the masters of
// terminals of the pod, as it does for a job that runs on the user's terminal.
type Terminals interface {
	// Terminal returns the agent's descriptor of a master. The agent must not
	// read from it or write to it until the capture is over.
	Terminal(index int) (master int, ok bool)
}

// MasterName is the name in Maker.Stash of the master of a terminal that no
// process of the pod holds: the agent takes it after the restore.
func MasterName(index int) string { return fmt.Sprintf("pty:%d:master", index) }

func slavePath(index int) string { return fmt.Sprintf("/dev/pts/%d", index) }

func capturePTY(c Capturer, s *Source, f *image.File) error {
	p := &image.PTY{Master: ptyEnd(s) == ptyMaster, Path: s.Link}
	t, err := getTermios(s.FD)
	if errors.Is(err, unix.EIO) && !p.Master {
		p.HungUp, p.Index = true, int(unix.Minor(s.Stat.Rdev))
		f.PTY = p
		return nil
	}
	if err != nil {
		return fmt.Errorf("get termios: %w", err)
	}
	if err := ptyIndex(s, p); err != nil {
		return err
	}
	p.Termios = t.bytes()
	ws, err := unix.IoctlGetWinsize(s.FD, unix.TIOCGWINSZ)
	if err != nil {
		return fmt.Errorf("get the window size: %w", err)
	}
	p.Winsize = [4]uint16{ws.Row, ws.Col, ws.Xpixel, ws.Ypixel}
	if p.Exclusive, err = ttyFlag(s.FD, unix.TIOCGEXCL); err != nil {
		return err
	}
	if p.Master {
		err = captureMaster(c, s, p)
	} else {
		err = captureSlave(c, s, p)
	}
	f.PTY = p
	return err
}

// ptyIndex finds the number and sees to it that the terminal is of the pod's
// own devpts: another one cannot be made again.
func ptyIndex(s *Source, p *image.PTY) error {
	dev, err := unix.IoctlGetUint32(s.FD, unix.TIOCGDEV)
	if err != nil {
		return fmt.Errorf("get the device number: %w", err)
	}
	// As stat(2) of 32-bit times had it: 12 bits of the minor number above.
	major, minor := dev>>8&0xfff, dev&0xff|dev>>12&0xfff00
	p.Index = int(minor)
	var st unix.Stat_t
	err = unix.Stat(s.inPod(slavePath(p.Index)), &st)
	own := err == nil && st.Rdev == unix.Mkdev(major, minor) && major == ptySlaveMajor
	if ptyEnd(s) == ptySlave {
		own = own && st.Dev == s.Stat.Dev
	}
	if !own {
		return &UnsupportedError{Source: s.String(), Hint: "it is a terminal outside of the job: redirect it"}
	}
	if ldisc, err := unix.IoctlGetInt(s.FD, unix.TIOCGETD); err != nil || ldisc != 0 {
		return &UnsupportedError{Source: s.String(), Hint: fmt.Sprintf("its line discipline is %d: only that of terminals, 0, is supported", ldisc)}
	}
	return nil
}

func captureMaster(c Capturer, s *Source, p *image.PTY) error {
	var err1, err2 error
	p.Locked, err1 = ttyFlag(s.FD, unix.TIOCGPTLCK)
	p.Packet, err2 = ttyFlag(s.FD, unix.TIOCGPKT)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	p.PeerClosed = polled(s.FD, unix.POLLHUP, 0)&unix.POLLHUP != 0
	masterSession(c, s, p)
	if p.Locked {
		return nil
	}
	if _, open := slaveHolder(c, p.Index, s); !open && !p.PeerClosed {
		// No slave has been opened yet. To open one and close it would be
		// noticed: the master would read an error from then on.
		return nil
	}
	return captureQueues(c, s, s.FD, p)
}

func captureSlave(c Capturer, s *Source, p *image.PTY) error {
	slaveSession(c, s, p)
	if t, ok := c.(Terminals); ok {
		if master, ok := t.Terminal(p.Index); ok {
			return captureQueues(c, s, master, p)
		}
	}
	return nil
}
