package kobj

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
)

// captureDeleted keeps the whole content of a file that no path leads to: when
// the job ends it is gone.
func captureDeleted(c Capturer, s *Source, r *image.Regular) error {
	if s.Stat.Mode&unix.S_IFMT != unix.S_IFREG || s.Stat.Size == 0 {
		return nil
	}
	if s.Stat.Nlink > 0 && s.Flags&unix.O_PATH == 0 {
		c.Warn("%s has another name, which cannot be found: after a restart the program has a copy", s)
	}
	// A description of ours has an offset that may be moved to find the holes.
	fd, err := reopen(s.FD, unix.O_RDONLY)
	if err != nil {
		if s.Flags&(unix.O_ACCMODE|unix.O_PATH|unix.O_DIRECT) != unix.O_RDONLY && s.Flags&(unix.O_ACCMODE|unix.O_DIRECT) != unix.O_RDWR {
			return fmt.Errorf("read the deleted file: %w", err)
		}
		fd, err = dup(s.FD)
		if err != nil {
			return err
		}
	}
	defer unix.Close(fd)
	blob, err := c.FileBlob(fd, s.Stat.Size)
	if err != nil {
		return fmt.Errorf("read the deleted file: %w", err)
	}
	r.Content = &blob
	return nil
}

// restoreDeleted makes the file once, without a name, and opens it again for
// every description that the image has of it.
func restoreDeleted(m *Maker, f *image.File) (int, error) {
	r := f.Regular
	if r.Mode&unix.S_IFMT != unix.S_IFREG {
		return restoreDeletedOther(m, f)
	}
	name := fmt.Sprintf("deleted:%d:%s", r.Inode, r.Path)
	base, ok := m.Take(name)
	if !ok {
		var err error
		if base, err = remake(m, f); err != nil {
			return -1, err
		}
	}
	m.Stash(name, base)
	if f.Flags&oTmpfile == oTmpfile && m.once(name) {
		// The description that made it; no other can have this flag.
		fd, err := dup(base)
		if err == nil {
			err = seek(m, fd, r)
		}
		return withStatus(fd, err, f.Flags)
	}
	// The owner may have no right to it by its mode, which a file that was
	// opened earlier does not mind.
	if err := unix.Fchmod(base, 0o600); err != nil {
		return -1, fmt.Errorf("set the mode of the deleted file %s: %w", r.Path, err)
	}
	fd, err := reopen(base, f.Flags)
	if err != nil {
		return -1, err
	}
	err = unix.Fchmod(base, r.Mode&0o7777)
	if err == nil && f.Flags&unix.O_PATH == 0 {
		if err = seek(m, fd, r); err == nil {
			err = setStatus(fd, f.Flags)
		}
	}
	if err != nil {
		return -1, errors.Join(fmt.Errorf("deleted file %s: %w", r.Path, err), unix.Close(fd))
	}
	return fd, nil
}

// remake makes a file with the content of a deleted one.
func remake(m *Maker, f *image.File) (int, error) {
	fd, err := m.Nameless(f.Regular.Path, f.Flags)
	if err != nil {
		return -1, err
	}
	if err := m.fill(fd, f.Regular); err != nil {
		return -1, errors.Join(fmt.Errorf("make the deleted file %s again: %w", f.Regular.Path, err), unix.Close(fd))
	}
	return fd, nil
}

// Nameless makes an empty file in place of one that was deleted, in the
// directory where that was, or where else the job may write. It can be read and
// written, unless flags say how the file was made.
func (m *Maker) Nameless(file string, flags int) (int, error) {
	places := []string{path.Dir(file), os.Getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm"}
	var errs []error
	for _, dir := range places {
		if !path.IsAbs(dir) {
			continue
		}
		fd, err := nameless(m, dir, flags)
		if err == nil {
			return fd, nil
		}
		errs = append(errs, err)
	}
	return -1, fmt.Errorf("no directory to make the deleted file %s again in: %w", file, errors.Join(errs...))
}

// nameless makes an empty file that has no name any more, open for reading and
// writing unless the image says how the file was made.
func nameless(m *Maker, dir string, flags int) (int, error) {
	d, err := m.openRoot(dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	defer unix.Close(d)
	if flags&oTmpfile != oTmpfile {
		flags = unix.O_RDWR
	}
	flags = openFlags(flags)&^(unix.O_APPEND|unix.O_DIRECT) | unix.O_CLOEXEC
	fd, err := unix.Openat(d, ".", flags|unix.O_TMPFILE, 0o600)
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) {
		return fd, wrapDir(err, dir)
	}
	// NFS, and overlayfs before 6.3, have no files without a name.
	name := tempName()
	fd, err = unix.Openat(d, name, flags|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err == nil {
		err = unix.Unlinkat(d, name, 0)
	}
	return fd, wrapDir(err, dir)
}

// tempName is for a name that is there for a moment only, in a directory that
// other hosts may see too.
func tempName() string {
	return fmt.Sprintf(".gompirun-%016x", rand.Uint64())
}

func wrapDir(err error, dir string) error {
	if err != nil {
		return fmt.Errorf("make a file in %s: %w", dir, err)
	}
	return nil
}

// fill writes the content through a description of its own, for fd may be at
// the beginning only, or for writing only. Holes stay holes.
func (m *Maker) fill(fd int, r *image.Regular) error {
	if r.Content != nil {
		w, err := reopen(fd, unix.O_WRONLY)
		if err != nil {
			return err
		}
		err = m.Pages(*r.Content, func(off int64, b []byte) error { return pwriteAll(w, b, off) })
		if err == nil {
			err = unix.Ftruncate(w, r.Size)
		}
		if err = errors.Join(err, unix.Close(w)); err != nil {
			return err
		}
	}
	return unix.Fchmod(fd, r.Mode&0o7777)
}

func pwriteAll(fd int, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("write at %d: %w", off, err)
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// restoreDeletedOther makes a directory that was deleted while it was open.
func restoreDeletedOther(m *Maker, f *image.File) (int, error) {
	if f.Regular.Mode&unix.S_IFMT != unix.S_IFDIR {
		return -1, fmt.Errorf("%s was deleted and is neither a file nor a directory: it cannot be made again", f.Regular.Path)
	}
	for _, dir := range []string{path.Dir(f.Regular.Path), "/tmp"} {
		d, err := m.openRoot(dir, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			continue
		}
		name := tempName()
		if err := unix.Mkdirat(d, name, 0o700); err != nil {
			_ = unix.Close(d) // nothing was written to it
			continue
		}
		fd, err := unix.Openat(d, name, openFlags(f.Flags)|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		err = errors.Join(err, unix.Unlinkat(d, name, unix.AT_REMOVEDIR), unix.Close(d))
		return withStatus(fd, err, f.Flags)
	}
	return -1, fmt.Errorf("make the deleted directory %s again: neither its directory nor /tmp can be written", f.Regular.Path)
}
