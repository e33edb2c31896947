package ckptlib

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// backing is what the mappings and descriptors of a pod being restored are of:
// it opens files of this host, or copies of them from the store, and the shared
// memory objects, which it makes.
type backing struct {
	r *Restart
	// root is the pod's root directory.
	root   int
	shared map[image.SharedID]int    // descriptors, readable and writable
	paths  map[image.SharedID]string // of those that have a name while the restart lasts
	sysV   map[image.SharedID]*image.Shared
	copies map[string]int            // of mapped files that this host has not, by path
	huge   map[image.SharedID][]byte // those in huge pages, mapped here to be filled
}

var _ mem.Source = (*backing)(nil)

// open opens a path of the pod as its processes would.
func (b *backing) open(path string, flags int) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600 // until finish: it will be opened again
	}
	fd, err := unix.Openat2(b.root, strings.TrimLeft(path, "/"), &how)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// File opens a mapped file. Verify has decided which ones are copies.
func (b *backing) File(f *image.MappedFile, flags int) (int, error) {
	if f.Deleted && f.Object == 0 {
		// Its pages are the process's own: anything may lie under them.
		return emptyFile(f.Path, f.Size)
	}
	if fd, ok := b.copies[f.Path]; ok {
		return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	if f.Hash == "" || sameFile(b.r.pod.Root(), f) == nil {
		return b.open(f.Path, flags)
	}
	fd, err := b.copy(f)
	if err != nil {
		return -1, err
	}
	b.copies[f.Path] = fd
	b.r.c.warn("%s is not what it was; the job goes on with the copy in its checkpoint", f.Path)
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}

// emptyFile makes a file of memory, of zeros only.
func emptyFile(path string, size int64) (int, error) {
	fd, err := unix.MemfdCreate(baseName(path), unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// copy makes a file of memory with what the store has of a mapped file.
func (b *backing) copy(f *image.MappedFile) (int, error) {
	fd, err := unix.MemfdCreate(baseName(f.Path), unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	w := os.NewFile(uintptr(fd), f.Path)
	err = b.r.readObject(f.Object, func(page uint64, p []byte) error {
		_, err := w.WriteAt(p, int64(page)*store.PageSize)
		return err
	})
	if err == nil {
		err = w.Truncate(f.Size)
	}
	if err != nil {
		_ = w.Close()
		return -1, fmt.Errorf("take %s from the checkpoint: %w", f.Path, err)
	}
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return n, errors.Join(err, w.Close())
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Exe opens a process's program, for /proc/PID/exe.
func (b *backing) Exe(path string) (int, error) {
	path, deleted := strings.CutSuffix(path, " (deleted)")
	if fd, ok := b.copies[path]; ok {
		return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	}
	fd, err := b.open(path, unix.O_RDONLY)
	if deleted && errors.Is(err, unix.ENOENT) {
		// Nobody has it any more; its pages are the process's own.
		return emptyFile(path, 0)
	}
	return fd, err
}

// Lazy tells whether a mapping of a process gets its content when it runs.
func (b *backing) Lazy(p *image.Process, m *image.Mapping) bool { return b.r.lazy.is(p, m) }

// Pages opens the file from which it does.
func (b *backing) Pages(p *image.Process) (int, error) { return b.r.lazy.server.Open(uint64(p.Object)) }

// ShmID tells the System V id of an object and its size.
func (b *backing) ShmID(id image.SharedID) (shmid int, size uint64, ok bool) {
	s, ok := b.sysV[id]
	if !ok {
		return 0, 0, false
	}
	return s.ShmID, segmentSize(s), true
}

// Shared opens a shared memory object anew: with an offset of its own.
func (b *backing) Shared(id image.SharedID, flags int) (int, error) {
	fd, ok := b.shared[id]
	if !ok {
		return -1, fmt.Errorf("shared memory object %d is not in the image", id)
	}
	if path, ok := b.paths[id]; ok {
		return b.open(path, flags)
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), flags&^unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// makeShared makes the objects, empty and of their size.
func (b *backing) makeShared(list []image.Shared) error {
	for i := range list {
		s := &list[i]
		var fd int
		var err error
		switch s.Kind {
		case image.SharedSysV:
			b.sysV[s.ID] = s
			continue
		case image.SharedTmpfs:
			fd, err = b.open(s.Name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW)
			if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EEXIST) {
				// A deleted file whose directory went with it, or whose name is
				// another's now: any name will do.
				fd, err = unix.MemfdCreate(baseName(s.Name), unix.MFD_CLOEXEC)
			} else {
				b.paths[s.ID] = s.Name
			}
		case image.SharedDisk:
			fd, err = b.r.maker.Nameless(s.Name, unix.O_RDWR)
		case image.SharedMemfd:
			fd, err = b.memory(s, strings.TrimPrefix(s.Name, "/memfd:"), unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
		default:
			fd, err = b.memory(s, "anonymous", unix.MFD_CLOEXEC)
		}
		if err != nil {
			return fmt.Errorf("restore shared memory %s: %w", s.Name, err)
		}
		b.shared[s.ID] = fd
		if err := unix.Ftruncate(fd, s.Size); err != nil {
			return fmt.Errorf("restore shared memory %s: %w", s.Name, err)
		}
	}
	return nil
}

// memory makes a file of memory for an object, in huge pages if it had them and
// this host has enough.
func (b *backing) memory(s *image.Shared, name string, flags int) (int, error) {
	if s.HugePage != 0 {
		fd, view, err := mem.MakeHuge(name, flags, s.Size, s.HugePage)
		if err == nil {
			b.huge[s.ID] = view
			return fd, nil
		}
		if !mem.NoHugePages(err) {
			return -1, err
		}
		b.Warn("%s has ordinary memory instead of %d huge pages: %v", s.Name, s.Size/int64(s.HugePage), err)
	}
	return unix.MemfdCreate(name, flags)
}

// Warn tells the user what is not as it was.
func (b *backing) Warn(format string, args ...any) { b.r.c.warn(format, args...) }

// finish removes the names that were only needed to restore, seals and closes.
func (b *backing) finish(list []image.Shared, tree []image.Node) error {
	linked := map[image.SharedID][]string{}
	for _, n := range tree {
		if n.Shared != 0 {
			linked[n.Shared] = append(linked[n.Shared], n.Path)
		}
	}
	for i := range list {
		s := &list[i]
		if fd, ok := b.shared[s.ID]; ok && s.Mode != 0 {
			if err := unix.Fchmod(fd, s.Mode&0o7777); err != nil {
				return fmt.Errorf("restore shared memory %s: %w", s.Name, err)
			}
		}
		if s.Kind == image.SharedTmpfs && s.Deleted {
			if err := os.Remove(b.r.pod.Root() + s.Name); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if s.Kind == image.SharedMemfd && s.Seals != 0 {
			if _, err := unix.FcntlInt(uintptr(b.shared[s.ID]), unix.F_ADD_SEALS, s.Seals); err != nil {
				return fmt.Errorf("seal memfd %s: %w", s.Name, err)
			}
		}
		if err := b.links(s, linked[s.ID]); err != nil {
			return err
		}
	}
	return nil
}

// links gives a file of the private tmpfs its other names.
func (b *backing) links(s *image.Shared, paths []string) error {
	for _, p := range paths {
		path := b.r.pod.Root() + "/dev/shm/" + p
		if path == b.r.pod.Root()+s.Name {
			continue
		}
		if err := os.Link(b.r.pod.Root()+s.Name, path); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

func (b *backing) close() {
	for _, fd := range b.shared {
		_ = unix.Close(fd) // processes have their own
	}
	for _, fd := range b.copies {
		_ = unix.Close(fd)
	}
	for _, view := range b.huge {
		_ = unix.Munmap(view) // only looked through
	}
	_ = unix.Close(b.root)
}

// readObject reads all pages of an object in order; zeros are left out.
func (r *Restart) readObject(id image.ObjectID, each func(page uint64, b []byte) error) error {
	next := r.piecesOf([]image.ObjectID{id})
	buf := make([]byte, mem.MaxPiece*store.PageSize)
	for p, ok := next(); ok; p, ok = next() {
		b := buf[:p.Count*store.PageSize]
		if err := p.Read(b); err != nil {
			return err
		}
		if err := each(p.Page, b); err != nil {
			return err
		}
	}
	return nil
}

// blob reads a string of bytes from the store.
func (r *Restart) blob(b image.Blob) ([]byte, error) {
	if b.Size < 0 || b.Size > 1<<34 {
		return nil, fmt.Errorf("blob of %d bytes: the image is damaged", b.Size)
	}
	out := make([]byte, b.Size)
	if b.Size == 0 {
		return out, nil
	}
	return out, r.readObject(b.Object, func(page uint64, p []byte) error {
		at := int64(page) * store.PageSize
		if at >= b.Size {
			return io.ErrUnexpectedEOF
		}
		copy(out[at:], p)
		return nil
	})
}
