package launcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// A screen is the user's terminal. While it is raw, every key is the program's,
// and what the program prints goes to it as it is.
type screen struct {
	in, out *os.File
	found   *unix.Termios // the modes at the start

	mu    sync.Mutex
	saved *term.State // nil while it is not raw
}

// userScreen is the terminal on standard input and output, nil if one of them is
// something else. A background job has none: its terminal is for others.
func userScreen(env Env) *screen {
	in, ok1 := env.Stdin.(*os.File)
	out, ok2 := env.Stdout.(*os.File)
	if !ok1 || !ok2 || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil
	}
	s := &screen{in: in, out: out}
	var err error
	if s.found, err = unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err != nil || !s.foreground() {
		return nil
	}
	return s
}

func (s *screen) foreground() bool {
	pgid, err := unix.IoctlGetInt(int(s.in.Fd()), unix.TIOCGPGRP)
	// Of a terminal that is not our controlling one there is no foreground.
	return errors.Is(err, unix.ENOTTY) || err == nil && pgid == unix.Getpgrp()
}

// raw takes the terminal for the program; what it was is put back by restore.
func (s *screen) raw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved != nil || !s.foreground() {
		return nil
	}
	saved, err := term.MakeRaw(int(s.in.Fd()))
	if err != nil {
		return fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	s.saved = saved
	return nil
}

func (s *screen) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved != nil {
		_ = term.Restore(int(s.in.Fd()), s.saved) // it may have been hung up
		s.saved = nil
	}
}

// lines makes the ends of lines of a message such that a raw terminal begins new
// ones.
func (s *screen) lines(text []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved == nil {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

func (s *screen) window() (w rpc.Window) {
	if ws, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ); err == nil {
		w = rpc.Window{Rows: ws.Row, Columns: ws.Col, Width: ws.Xpixel, Height: ws.Ypixel}
	}
	return w
}

func (s *screen) modes() *rpc.Modes {
	t := s.found
	return &rpc.Modes{Iflag: t.Iflag, Oflag: t.Oflag, Lflag: t.Lflag, Chars: t.Cc[:]}
}

// wantsTerminal tells whether the job's program is to have a terminal.
func (j *Job) wantsTerminal(r *flags.Run, family flags.MPI) bool {
	switch {
	case family != flags.MPINone || r.TTY == flags.TTYNo:
		return false
	case r.TTY == flags.TTYYes:
		return true
	}
	return j.screen != nil
}

// programTerminal is what the job's program gets of the user's terminal, nil if
// it gets pipes.
func (j *Job) programTerminal() *rpc.Terminal {
	if !j.record.Terminal {
		return nil
	}
	if j.screen == nil {
		return &rpc.Terminal{Window: rpc.Window{Rows: 24, Columns: 80}}
	}
	return &rpc.Terminal{Window: j.screen.window(), Modes: j.screen.modes()}
}

// enterScreen gives the user's terminal to a program that has one of its own,
// before it prints anything. leaveScreen must follow.
func (j *Job) enterScreen() {
	if !j.onScreen() {
		return
	}
	if err := j.screen.raw(); err != nil {
		j.say("%v", err)
	}
}

// resize passes the size of the window on.
func (j *Job) resize(redraw bool) {
	if !j.onScreen() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r := rpc.ResizeRequest{Stream: mainStream, Window: j.screen.window(), Redraw: redraw}
	if err := j.agents[0].call(ctx, rpc.Resize, r, nil); err != nil && j.common.Verbose > 0 {
		j.say("%v", err)
	}
}

// pause stops the job because gompirun is to stop. A program with a terminal is
// left alone: which of its jobs run and which are stopped is its own affair.
func (j *Job) pause() {
	if j.record.Terminal {
		if j.screen != nil {
			j.screen.restore()
		}
		return
	}
	j.signalAll(unix.SIGSTOP)
}

// proceed is the end of a pause.
func (j *Job) proceed() {
	if j.record.Terminal {
		j.enterScreen()
		j.resize(true)
		return
	}
	j.signalAll(unix.SIGCONT)
}

// leaveScreen puts the user's terminal back and says what was kept for then.
func (j *Job) leaveScreen() {
	if j.screen == nil {
		return
	}
	j.screen.restore()
	for _, s := range j.kept {
		j.say("%s", s)
	}
	j.kept = nil
}

// onScreen tells whether the program has the user's terminal.
func (j *Job) onScreen() bool { return j.record.Terminal && j.screen != nil }

// message puts text for the user into the queue.
func (j *Job) message(text []byte) {
	if j.screen != nil {
		text = j.screen.lines(text)
	}
	j.stderr.put(chunk{data: text, written: func() {}})
}
