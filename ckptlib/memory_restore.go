package ckptlib

import (
	"errors"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// fill writes the content of all memory.
func (r *Restart) fill() error {
	targets := map[image.ObjectID]*mem.Target{}
	defer func() {
		for _, t := range targets {
			t.Close()
		}
	}()
	var order []image.ObjectID
	for i := range r.im.Shared {
		s := &r.im.Shared[i]
		t := &mem.Target{PID: r.pod.Init, Base: r.attached[s.ID]}
		if view := r.src.huge[s.ID]; len(view) > 0 {
			t = &mem.Target{PID: os.Getpid(), Base: uint64(uintptr(unsafe.Pointer(&view[0])))}
		} else if fd, ok := r.src.shared[s.ID]; ok {
			n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				return err
			}
			t = &mem.Target{File: os.NewFile(uintptr(n), s.Name)}
			defer t.File.Close()
		}
		targets[s.Object] = t
		order = append(order, s.Object)
	}
	for _, s := range r.tree.Stubs {
		if s.Image.Zombie != nil || s.Image.SharesMemory {
			continue
		}
		t, err := mem.NewProcessTarget(s.PID, r.tracking.trackers[s.Image.PID])
		if err != nil {
			return err
		}
		targets[s.Image.Object] = t
		order = append(order, s.Image.Object)
	}
	if err := mem.Fill(targets, r.piecesOf(order)); err != nil {
		return err
	}
	// A file's last page was written whole.
	for i := range r.im.Shared {
		s := &r.im.Shared[i]
		if fd, ok := r.src.shared[s.ID]; ok {
			if err := unix.Ftruncate(fd, s.Size); err != nil {
				return err
			}
		}
	}
	return nil
}

// piecesOf returns the pages of objects, a piece at a call; pages of zeros are
// left out, for fresh memory has them.
func (r *Restart) piecesOf(ids []image.ObjectID) func() (mem.Piece, bool) {
	var runs []store.Run
	var id image.ObjectID
	return func() (mem.Piece, bool) {
		for {
			for len(runs) == 0 {
				if len(ids) == 0 {
					return mem.Piece{}, false
				}
				id, ids = ids[0], ids[1:]
				if o := r.pages.Object(uint64(id)); o != nil {
					runs = r.lazy.eager(id, o.Runs)
				}
			}
			run := runs[0]
			if run.Ref == 0 {
				runs = runs[1:]
				continue
			}
			part := run
			part.Count = min(run.Count, mem.MaxPiece)
			if part.Count == run.Count {
				runs = runs[1:]
			} else {
				n := part.Count
				rest := store.Run{Page: run.Page + uint64(n), Count: run.Count - n, Ref: run.Ref + store.Ref(n)}
				runs = append([]store.Run{rest}, runs[1:]...)
			}
			return mem.Piece{Object: id, Page: part.Page, Count: int(part.Count), Read: func(b []byte) error {
				return r.reader.ReadRun(part, b)
			}}, true
		}
	}
}

// track makes a tracker for a process that is worth it, before its memory is
// filled: the first checkpoint after a restart reads what has changed since the
// generation that is being restored.
func (r *Restart) track(s *proc.Stub) error {
	o := r.pages.Object(uint64(s.Image.Object))
	if s.Image.SharesMemory || o == nil || stored(o.Runs, mem.Run{End: ^uint64(0)})*mem.PageSize < trackLeast {
		return nil
	}
	t, err := mem.NewTracker(s.Remote, s.PID)
	if errors.Is(err, mem.ErrUntracked) {
		return nil
	}
	if err != nil {
		return err
	}
	t.WatchFresh(s.Image, func(m *image.Mapping) bool { return r.lazy.is(s.Image, m) })
	r.tracking.trackers[s.Image.PID] = t
	return nil
}

// watch has the trackers watch the rest: files and what had pages already.
func (r *Restart) watch() error {
	for _, s := range r.tree.Stubs {
		t := r.tracking.trackers[s.Image.PID]
		if t == nil {
			continue
		}
		p := *s.Image
		// The guards of the image are known. Lazy memory is tracked as it is read in.
		p.Mappings = slices.DeleteFunc(slices.Clone(p.Mappings), func(m image.Mapping) bool { return r.lazy.is(s.Image, &m) })
		v, err := mem.FindPrivate(s.TIDs[0], &p, t)
		if err == nil {
			err = t.Watch(v)
		}
		if errors.Is(err, mem.ErrUntracked) {
			t.Close()
			delete(r.tracking.trackers, s.Image.PID)
		} else if err != nil {
			return err
		}
	}
	return nil
}
