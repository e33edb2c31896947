package kobj

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var pipeKind = Kind{
	Name: "pipe",
	Match: func(s *Source) bool {
		return strings.HasPrefix(s.Link, "pipe:[") && s.Flags&unix.O_PATH == 0
	},
	Capture: capturePipe,
	Has:     func(f *image.File) bool { return f.Pipe != nil && f.Pipe.Path == "" },
	Restore: restorePipe,
}

// capturePipe takes the bytes with each reading end; they are the same bytes,
// stored once. Where only writing ends are left nobody can read them any more.
func capturePipe(c Capturer, s *Source, f *image.File) error {
	size, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return fmt.Errorf("get the capacity: %w", err)
	}
	p := image.Pipe{Inode: s.Stat.Ino, Capacity: size, Packet: s.Flags&unix.O_DIRECT != 0}
	if s.Flags&unix.O_ACCMODE != unix.O_WRONLY {
		if err := capturePipeData(c, s.FD, &p); err != nil {
			return err
		}
	}
	f.Pipe = &p
	return nil
}

func capturePipeData(c Capturer, fd int, p *image.Pipe) error {
	content, err := peekPipe(fd)
	if err != nil || len(content.data) == 0 {
		return err
	}
	blob, err := c.Blob(content.data)
	if err != nil {
		return err
	}
	p.Data, p.Packets = &blob, content.packets
	return nil
}

// restorePipe makes the pipe with the first of its ends. Both of pipe2(2)'s
// descriptions are handed out; what further ones the image has, with flags of
// their own, come from opening the pipe again. The ends that nobody asks for
// are closed by Maker.Close: a reader sees the end of file then.
func restorePipe(m *Maker, f *image.File) (int, error) {
	p := f.Pipe
	name := fmt.Sprintf("pipe:%d", p.Inode)
	base, ok := m.Take(name)
	if !ok {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			return -1, fmt.Errorf("make a pipe: %w", err)
		}
		m.Stash(name+":r", ends[0])
		m.Stash(name+":w", ends[1])
		var err error
		if base, err = reopen(ends[0], unix.O_RDWR|unix.O_NONBLOCK); err != nil {
			return -1, err
		}
	}
	m.Stash(name, base)
	if err := fillPipe(m, name, base, p); err != nil {
		return -1, err
	}
	end := map[int]string{unix.O_RDONLY: name + ":r", unix.O_WRONLY: name + ":w"}[f.Flags&unix.O_ACCMODE]
	fd, ok := m.Take(end)
	var err error
	if !ok {
		fd, err = reopen(base, f.Flags)
	}
	return withStatus(fd, err, f.Flags)
}

// fillPipe gives a pipe its capacity and, once, its bytes.
func fillPipe(m *Maker, name string, base int, p *image.Pipe) error {
	now, err := unix.FcntlInt(uintptr(base), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return fmt.Errorf("get the capacity of a pipe: %w", err)
	}
	if now != p.Capacity && m.once(name+":size") {
		_, err := unix.FcntlInt(uintptr(base), unix.F_SETPIPE_SZ, p.Capacity)
		if errors.Is(err, unix.EPERM) {
			// Above fs.pipe-max-size, or the user has too many pages in pipes.
			m.Warn("a pipe of %d bytes got %d: raise fs.pipe-max-size and fs.pipe-user-pages-soft on this host", p.Capacity, now)
		} else if err != nil {
			return fmt.Errorf("set the capacity of a pipe to %d: %w", p.Capacity, err)
		}
	}
	if p.Data == nil || !m.once(name+":data") {
		return nil
	}
	return refillPipe(m, base, p.Data, p.Packets)
}
