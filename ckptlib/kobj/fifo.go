package kobj

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

var fifoKind = Kind{
	Name: "FIFO",
	Match: func(s *Source) bool {
		return s.Stat.Mode&unix.S_IFMT == unix.S_IFIFO && s.Flags&unix.O_PATH == 0
	},
	Capture: captureFIFO,
	Has:     func(f *image.File) bool { return f.Pipe != nil && f.Pipe.Path != "" },
	Restore: restoreFIFO,
}

// captureFIFO takes the bytes with every end, a writing one too: as long as
// any is open, a reader may yet come by the path.
func captureFIFO(c Capturer, s *Source, f *image.File) error {
	size, err := unix.FcntlInt(uintptr(s.FD), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return fmt.Errorf("get the capacity: %w", err)
	}
	name, deleted := s.path()
	p := image.Pipe{
		Inode: s.Stat.Ino, Path: name, Mode: s.Stat.Mode, Deleted: deleted,
		Capacity: size, Packet: s.Flags&unix.O_DIRECT != 0,
	}
	fd := s.FD
	if s.Flags&unix.O_ACCMODE == unix.O_WRONLY {
		if fd, err = reopen(s.FD, unix.O_RDONLY|unix.O_NONBLOCK); err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	if err := capturePipeData(c, fd, &p); err != nil {
		return err
	}
	f.Pipe = &p
	return nil
}

// restoreFIFO opens the FIFO for reading and writing first, which never blocks,
// and every end through that: an end finds its partner there already. The FIFO
// is made if it is not there: all that was in it is in the image.
func restoreFIFO(m *Maker, f *image.File) (int, error) {
	p := f.Pipe
	name := fmt.Sprintf("fifo:%d:%s", p.Inode, p.Path)
	base, ok := m.Take(name)
	if !ok {
		var err error
		if base, err = openFIFO(m, p); err != nil {
			return -1, err
		}
	}
	m.Stash(name, base)
	if err := fillPipe(m, name, base, p); err != nil {
		return -1, err
	}
	fd, err := reopen(base, f.Flags)
	return withStatus(fd, err, f.Flags)
}

func openFIFO(m *Maker, p *image.Pipe) (int, error) {
	const flags = unix.O_RDWR | unix.O_NONBLOCK
	if !p.Deleted {
		fd, err := m.openRoot(p.Path, flags)
		if err == nil {
			return checkFIFO(fd, p.Path)
		}
		if !errors.Is(err, unix.ENOENT) {
			return -1, err
		}
	}
	dir, err := m.openRoot(path.Dir(p.Path), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	base := path.Base(p.Path)
	if p.Deleted {
		base = tempName()
	}
	if err := unix.Mkfifoat(dir, base, 0o600); err != nil {
		return -1, fmt.Errorf("make the FIFO %s in %s: %w", base, path.Dir(p.Path), err)
	}
	fd, err := unix.Openat(dir, base, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err == nil {
		// Not in mkfifo: the mask of this process is not the job's.
		err = unix.Fchmod(fd, p.Mode&0o7777)
	}
	if p.Deleted {
		err = errors.Join(err, unix.Unlinkat(dir, base, 0))
	}
	if err != nil {
		return -1, fmt.Errorf("open the FIFO %s: %w", p.Path, err)
	}
	return fd, nil
}

func checkFIFO(fd int, path string) (int, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFIFO {
		err = errors.New("is no FIFO any more")
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("%s: %w", path, err), unix.Close(fd))
	}
	return fd, nil
}
