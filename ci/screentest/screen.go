// Package screentest runs programs in a terminal, with somebody who types and
// reads. Only tests import it.
package screentest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long anything may take to be shown: a restart of some twenty
// processes of Python does not take one minute where a hundred others run as well.
const limit = 3 * time.Minute

// A Screen is a terminal in which a program runs.
type Screen struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	cmd    *exec.Cmd
	before unix.Termios

	mu      sync.Mutex
	shown   []byte
	read    int // of it, what await has passed
	changed chan struct{}
	ended   chan struct{}
}

// Start starts a command in a terminal of its own.
func Start(t *testing.T, cmd *exec.Cmd, rows, cols uint16) *Screen {
	t.Helper()
	s := &Screen{t: t, cmd: cmd, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}))
	if err != nil {
		t.Fatal(err)
	}
	s.master = os.NewFile(uintptr(fd), "screen")
	if s.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	s.before = s.Modes()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.slave, s.slave, s.slave
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.watch()
	go func() { _ = cmd.Wait(); close(s.ended) }() // its status is asked for by End
	t.Cleanup(func() {
		s.Kill()
		_ = s.slave.Close()
		_ = s.master.Close()
	})
	return s
}

// Kill kills the program, if it has not ended.
func (s *Screen) Kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	<-s.ended
}

// Signal sends the program a signal.
func (s *Screen) Signal(sig os.Signal) { _ = s.cmd.Process.Signal(sig) } // it may have ended

// Raw tells whether the program has taken the terminal for itself.
func (s *Screen) Raw() bool { return s.Modes().Lflag&unix.ICANON == 0 }

func (s *Screen) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		s.shown = append(s.shown, buf[:n]...)
		s.mu.Unlock()
		select {
		case s.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// Keys types.
func (s *Screen) Keys(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// Await waits until something that matches is shown after what was awaited
// before, and returns the match of the last group.
func (s *Screen) Await(pattern string) string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(limit)
	for {
		s.mu.Lock()
		m := re.FindSubmatchIndex(s.shown[s.read:])
		if m != nil {
			found := string(s.shown[s.read+m[len(m)-2] : s.read+m[len(m)-1]])
			s.read += m[1]
			s.mu.Unlock()
			return found
		}
		rest := string(s.shown[s.read:])
		s.mu.Unlock()
		select {
		case <-s.changed:
		case <-deadline:
			s.t.Fatalf("%q was not shown within %v, but %q", pattern, limit, rest)
		}
	}
}

// Ask types a command and waits for what it prints.
func (s *Screen) Ask(command, answer string) string {
	s.t.Helper()
	s.Keys(command + "\r")
	return s.Await(answer)
}

// Resize changes the size of the window.
func (s *Screen) Resize(rows, cols uint16) {
	s.t.Helper()
	if err := unix.IoctlSetWinsize(int(s.slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		s.t.Fatal(err)
	}
}

// Modes are the settings of the terminal.
func (s *Screen) Modes() unix.Termios {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *m
}

// End waits until the program has ended and returns its status. It must have left
// the terminal as it was.
func (s *Screen) End() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(limit):
		s.t.Fatalf("it did not end within %v; shown: %q", limit, s.Text())
	}
	if got := s.Modes(); got != s.before {
		s.t.Errorf("it leaves the terminal with the modes %+v, want those before: %+v", got, s.before)
	}
	return s.cmd.ProcessState.ExitCode()
}

// Text is all that has been shown.
func (s *Screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.shown)
}

// PID is the program's.
func (s *Screen) PID() int { return s.cmd.Process.Pid }
