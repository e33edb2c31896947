package ckptlib

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/kobj"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// capturer is what kinds of kernel objects ask of a checkpoint.
type capturer struct{ *Checkpoint }

var _ kobj.Capturer = capturer{}

// Blob saves bytes in the store.
func (c capturer) Blob(b []byte) (image.Blob, error) {
	if len(b) == 0 {
		return image.Blob{}, nil
	}
	id := c.object()
	pages := make([]byte, (len(b)+store.PageSize-1)/store.PageSize*store.PageSize)
	copy(pages, b)
	return image.Blob{Object: id, Size: int64(len(b))}, c.put(id, 0, pages)
}

// FileBlob saves the content of a file but for its holes.
func (c capturer) FileBlob(fd int, size int64) (image.Blob, error) {
	blob := image.Blob{Object: c.object(), Size: size}
	buf := make([]byte, mem.MaxPiece*store.PageSize)
	for off := int64(0); off < size; {
		data, err := unix.Seek(fd, off, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO):
			return blob, nil // only a hole is left
		case err == nil:
			off = data / store.PageSize * store.PageSize
		}
		n, err := unix.Pread(fd, buf[:min(int64(len(buf)), size-off)], off)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return blob, fmt.Errorf("read at %d: %w", off, err)
		}
		if off+int64(n) < size && n > store.PageSize {
			n = n / store.PageSize * store.PageSize // the rest of a page comes with the next piece
		}
		pages := buf[:(n+store.PageSize-1)/store.PageSize*store.PageSize]
		clear(pages[n:])
		if err := c.put(blob.Object, uint64(off/store.PageSize), pages); err != nil {
			return blob, err
		}
		off += int64(len(pages))
	}
	return blob, nil
}

// Shared finds the memory behind a descriptor.
func (c capturer) Shared(s *kobj.Source) (image.SharedID, bool) {
	id, ok, err := c.shared.File(s.FD, &s.Stat, s.Link)
	if err != nil {
		c.Warn("%s: %v", s, err)
	}
	return id, ok
}

// Adopt finds or adds the description behind a descriptor of this process.
func (c capturer) Adopt(fd int) (image.FileID, error) {
	s, err := kobj.ReadSource(os.Getpid(), fd, 0)
	_ = unix.Close(fd) // ReadSource has its own duplicate
	if err != nil {
		return 0, err
	}
	return c.fds.add(s)
}

// Lookup returns what a process has under a number.
func (c capturer) Lookup(pid, num int) (image.FileID, bool) {
	id, ok := c.fds.byNum[[2]int{pid, num}]
	return id, ok
}

// Holders lists who holds a description.
func (c capturer) Holders(s *kobj.Source) []kobj.Holder {
	for _, d := range c.fds.list {
		if d.source == s {
			return d.holders
		}
	}
	return nil
}

// Find looks through the descriptors of the pod.
func (c capturer) Find(match func(*unix.Stat_t, kobj.Holder) bool) (kobj.Holder, bool) {
	for _, d := range c.fds.list {
		for _, h := range d.holders {
			if match(&d.source.Stat, h) {
				return h, true
			}
		}
	}
	return kobj.Holder{}, false
}

// PodPID translates a pid.
func (c capturer) PodPID(pid int) int {
	for _, t := range c.tasks.List {
		if t.PID == pid {
			return t.PodPID
		}
	}
	return 0
}

// Stdio knows the pipes that lead to the agent.
func (c capturer) Stdio(inode uint64) (stream string, role int, ok bool) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	s, ok := c.p.stdio[inode]
	return s.stream, s.role, ok
}

// Conn tells what the coordinator found out about a socket.
func (c capturer) Conn(inode uint64) (kobj.Conn, bool) {
	id, ok := c.pairs[inode]
	return kobj.Conn{Name: id.Name, Dialer: id.Dialer, Drained: c.drain.Taken(id)}, ok
}

// SocketNames tells what a program believes a socket's addresses are.
func (c capturer) SocketNames(fd int, local, remote string) (string, string) {
	if c.p.notifier == nil {
		return local, remote
	}
	return c.p.notifier.SocketNames(context.Background(), fd, local, remote)
}

// UnixDiag tells what the kernel knows of a unix socket.
func (c capturer) UnixDiag(inode uint64) (kobj.UnixDiag, bool) {
	d, ok := c.unix[inode]
	return d, ok
}

// Warn keeps a sentence for the user.
func (c capturer) Warn(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	for _, w := range c.warnings {
		if w == s {
			return
		}
	}
	c.warnings = append(c.warnings, s)
}

// object returns a new object of the page table.
func (c *Checkpoint) object() image.ObjectID {
	c.next++
	return c.next
}

// put stores pages of an object.
func (c *Checkpoint) put(id image.ObjectID, page uint64, b []byte) error {
	return c.draft.put(c.table, id, page, b)
}
