package ckptlib

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Terminal is a pseudoterminal of a pod whose master this process holds, as an
// sshd does for a user who has logged in. Read gives what the pod's processes
// print, Write types.
type Terminal struct {
	stream string // of the program that was started on it
	index  int
	master *os.File
	// slave stays open as long as the pod lives: a program may close the terminal
	// and open it again.
	slave *os.File

	// mu is held while the master is used. A capture, which reads the queues and
	// fills them again, holds it from end to end.
	mu sync.Mutex
}

// OpenTerminal makes a terminal in the pod, for Command.Terminal. The caller
// must Close it.
func (p *Pod) OpenTerminal() (*Terminal, error) {
	// The name by which the pod's processes will know it is of the pod's devpts.
	fd, err := unix.Open(p.pod.Root()+"/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a terminal in the pod: %w", err)
	}
	return newTerminal(fd)
}

// newTerminal takes over a descriptor of a master.
func newTerminal(fd int) (_ *Terminal, err error) {
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // nothing has been written to it
			err = fmt.Errorf("make a terminal in the pod: %w", err)
		}
	}()
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	index, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	slave, err := openSlave(fd)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, slave.Close())
	}
	return &Terminal{index: index, master: os.NewFile(uintptr(fd), "terminal"), slave: slave}, nil
}

// openSlave opens the slave of a master: by an ioctl, since the path is the pod's.
func openSlave(master int) (*os.File, error) {
	// Without O_CLOEXEC: of this ioctl F_GETFL would report it ever after.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if e != 0 {
		return nil, os.NewSyscallError("ioctl TIOCGPTPEER", e)
	}
	unix.CloseOnExec(int(fd))
	return os.NewFile(fd, "terminal of the pod"), nil
}

// Stream is the name of the program that was started on it.
func (t *Terminal) Stream() string { return t.stream }

// Read implements io.Reader. The end comes after CloseSlave, when no process has
// the terminal any more.
func (t *Terminal) Read(b []byte) (n int, err error) {
	n, err = t.use(syscall.RawConn.Read, func(fd int) (int, error) { return unix.Read(fd, b) })
	if errors.Is(err, unix.EIO) {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (t *Terminal) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n, err := t.use(syscall.RawConn.Write, func(fd int) (int, error) { return unix.Write(fd, b[done:]) })
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// use makes a call that would block only while no capture is under way: it waits
// until the master is ready, without the mutex, and then calls.
func (t *Terminal) use(wait func(syscall.RawConn, func(uintptr) bool) error, call func(fd int) (int, error)) (n int, err error) {
	raw, err := t.master.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cerr error
	err = wait(raw, func(fd uintptr) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		n, cerr = call(int(fd))
		return !errors.Is(cerr, unix.EAGAIN) && !errors.Is(cerr, unix.EINTR)
	})
	return max(n, 0), errors.Join(err, cerr)
}

// control makes a call that does not block, while no capture is under way.
func (t *Terminal) control(call func(fd int) error) error {
	raw, err := t.master.SyscallConn()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var cerr error
	err = raw.Control(func(fd uintptr) { cerr = call(int(fd)) })
	return errors.Join(err, cerr)
}

// Modes are the settings of a terminal.
func (t *Terminal) Modes() (m *unix.Termios, err error) {
	err = t.control(func(fd int) error {
		m, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return m, err
}

// SetModes changes the settings.
func (t *Terminal) SetModes(m *unix.Termios) error {
	return t.control(func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, m) })
}

// Resize sets the size of the window; the kernel tells the foreground processes
// if it is another one.
func (t *Terminal) Resize(w *unix.Winsize) error {
	return t.control(func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, w) })
}

// Redraw sets the size of another window: the foreground processes are told even
// if it has the size of the one before. They are told once, as more signals than are
// needed do harm: haskeline, ghci's reader of lines, loses the keys that come at
// the same moment as one.
func (t *Terminal) Redraw(w *unix.Winsize) error {
	return t.control(func(fd int) error {
		had, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err != nil || *had != *w {
			return errors.Join(err, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, w))
		}
		pgid, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err != nil || pgid <= 0 {
			return err // it is nobody's controlling terminal
		}
		if err := unix.Kill(-pgid, unix.SIGWINCH); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		return nil
	})
}

// CloseSlave ends Read when no process has the terminal any more.
func (t *Terminal) CloseSlave() { _ = t.slave.Close() } // nothing is buffered

// Close hangs the terminal up.
func (t *Terminal) Close() {
	t.CloseSlave()
	_ = t.master.Close() // nothing is buffered
}
