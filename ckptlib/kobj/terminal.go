package kobj

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A terminal is both ends of a pseudoterminal whose users are stopped, with
// the settings that it will have when they go on.
//
// The kernel has no way to look into the queues of a terminal. They are read
// empty and written again, within some hundred microseconds: what the program
// had written goes in again through the slave with output processing off, and
// what had been typed through the master, with input processing off but for
// the ends of lines.
type terminal struct {
	master, slave int
	own           termios2
}

// patience is how long a queue may take to move on before it is given up, in
// milliseconds.
const patience = 1000

// look returns what is in both queues, and leaves them as they were.
func (t terminal) look() (output, typed []byte, err error) {
	output = t.take(t.master)
	if err := setTermios(t.slave, t.silent(nil)); err != nil {
		return nil, nil, errors.Join(err, t.put(output))
	}
	typed = t.take(t.slave)
	err = errors.Join(t.enter(typed), t.put(output), setTermios(t.slave, t.own))
	if err != nil {
		err = fmt.Errorf("look into the queues of a terminal: %w", err)
	}
	return output, typed, err
}

// silent are settings under which nothing is processed. IXON stays, unless its
// characters are in the data: a change of it is told to a master in packet mode.
func (t terminal) silent(data []byte) termios2 {
	s := t.own
	keep := uint32(unix.IXON)
	if bytes.IndexByte(data, s.CC[unix.VSTART]) >= 0 || bytes.IndexByte(data, s.CC[unix.VSTOP]) >= 0 {
		keep = 0
	}
	s.Iflag &= keep
	s.Oflag = 0
	s.Lflag &= unix.IEXTEN | unix.EXTPROC
	s.CC[unix.VMIN], s.CC[unix.VTIME] = 1, 0
	return s
}

// take reads a queue empty.
func (t terminal) take(fd int) []byte {
	var all []byte
	buf := make([]byte, 65536)
	for polled(fd, unix.POLLIN, 0)&unix.POLLIN != 0 {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			break
		}
		all = append(all, buf[:n]...)
	}
	return all
}

// put writes what the master is to read. Only output processing is turned off
// for it: a change of ICANON would join the lines that have been typed.
func (t terminal) put(output []byte) error {
	if len(output) == 0 {
		return nil
	}
	s := t.own
	s.Oflag = 0
	if err := setTermios(t.slave, s); err != nil {
		return err
	}
	return t.write(t.slave, output)
}

// enter types what the slave is to read. Where lines are edited the characters
// that end them, and the end of file, are left to work; that all has arrived is
// then told by the echo, which nothing else can be mixed with now.
func (t terminal) enter(typed []byte) error {
	if len(typed) == 0 {
		return nil
	}
	s := t.silent(typed)
	canonical := t.own.Lflag&unix.ICANON != 0
	echoes := 0
	if canonical {
		s.Lflag |= unix.ICANON | unix.ECHO
		for _, c := range []int{unix.VERASE, unix.VKILL, unix.VWERASE, unix.VREPRINT, unix.VLNEXT} {
			s.CC[c] = 0
		}
		echoes = len(typed)
		if s.CC[unix.VEOF] != 0 {
			echoes -= bytes.Count(typed, []byte{0})
			typed, s.CC[unix.VEOF] = markEOF(typed, s.CC)
		}
	}
	if err := setTermios(t.slave, s); err != nil {
		return err
	}
	if err := t.write(t.master, typed); err != nil {
		return err
	}
	if canonical {
		return t.awaitEcho(echoes)
	}
	return t.awaitInput(len(typed))
}

// markEOF puts a character that means the end of file in the place of each
// zero, which the queue has for it. It is the terminal's own, unless that has
// been typed as a character of the text (Ctrl-V Ctrl-D).
func markEOF(typed []byte, cc [19]uint8) ([]byte, uint8) {
	eof := cc[unix.VEOF]
	for eof == 0 || bytes.IndexByte(typed, eof) >= 0 || eof == '\n' || eof == cc[unix.VEOL] || eof == cc[unix.VEOL2] {
		eof++
		if eof == cc[unix.VEOF] {
			return typed, eof // every character has been typed
		}
	}
	return bytes.ReplaceAll(typed, []byte{0}, []byte{eof}), eof
}

func (t terminal) awaitEcho(n int) error {
	buf := make([]byte, 4096)
	for n > 0 {
		if polled(t.master, unix.POLLIN, patience)&unix.POLLIN == 0 {
			return fmt.Errorf("%d typed bytes have not come back", n)
		}
		got, err := unix.Read(t.master, buf[:min(n, len(buf))])
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("read the echo: %w", err)
		}
		n -= max(got, 0)
	}
	return nil
}

// awaitInput waits until the line discipline has what was typed, or as much as
// it takes: the rest waits before it, where it was.
func (t terminal) awaitInput(n int) error {
	const room = 4095
	for end := time.Now().Add(patience * time.Millisecond); ; {
		got, err := unix.IoctlGetInt(t.slave, unix.TIOCINQ)
		if err != nil {
			return err
		}
		if got >= min(n, room) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d of %d typed bytes have not arrived", n-got, n)
		}
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 20_000}, nil) // a short sleep is as good as a long one
	}
}

// write writes all to an end, as fast as the kernel moves it on.
func (t terminal) write(fd int, b []byte) error {
	for len(b) > 0 {
		if polled(fd, unix.POLLOUT, patience)&unix.POLLOUT == 0 {
			return fmt.Errorf("no room for %d bytes", len(b))
		}
		n, err := unix.Write(fd, b[:min(len(b), 2048)])
		if err != nil && err != unix.EINTR && err != unix.EAGAIN {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}
