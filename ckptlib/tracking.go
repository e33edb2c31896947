package ckptlib

import (
	"errors"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// trackLeast is from how many bytes of its own on a process's pages are tracked:
// less is copied sooner than asked about.
const trackLeast = 4 << 20

// tracking is what a pod remembers from one checkpoint for the next: who notes
// which pages are written to, and where the others are.
type tracking struct {
	trackers map[int]*mem.Tracker // by pid in the pod
	base     *base                // nil if the trackers count from no generation
}

// base is the generation from which trackers count.
type base struct {
	gen   int
	table *store.PageTable
	im    *image.Pod
}

// process returns a process of the generation, or nil.
func (b *base) process(pid int) *image.Process {
	if b == nil {
		return nil
	}
	for i := range b.im.Processes {
		if p := &b.im.Processes[i]; p.PID == pid && p.Zombie == nil {
			return p
		}
	}
	return nil
}

// file returns what the generation has of a file that has not been touched since,
// or nil.
func (b *base) file(f *image.MappedFile) *image.MappedFile {
	if b == nil {
		return nil
	}
	for i := range b.im.Processes {
		for _, m := range b.im.Processes[i].Mappings {
			if o := m.File; o != nil && o.Path == f.Path && o.Size == f.Size && o.Mtime == f.Mtime && o.Ctime == f.Ctime && o.Inode == f.Inode && o.Hash != "" {
				return o
			}
		}
	}
	return nil
}

// since tells which generation the trackers count from, if that is the newest
// and its pages can be named in the one being made. They are about to count from
// that one, and until base is set anew, when it is complete, from nothing.
func (t *tracking) since(newest int, w *store.Writer) (*base, *store.Carrier) {
	last := t.base
	t.base = nil
	if last == nil || last.gen != newest {
		return nil, nil
	}
	c := w.Carrier(last.table)
	if c == nil {
		return nil, nil
	}
	return last, c
}

// restart has all trackers count from now.
//
// Preconditions: the pod stands still, and found is of all its processes.
func (t *tracking) restart(tr tracer.Tracing, found map[*proc.Task]*mem.Private) error {
	trackers := map[int]*mem.Tracker{}
	var errs []error
	for task, v := range found {
		old := t.trackers[task.PodPID]
		delete(t.trackers, task.PodPID)
		if v.Own < trackLeast {
			if old != nil {
				old.Close()
			}
			continue
		}
		now, err := watch(tr, task, v, old)
		if now != nil {
			trackers[task.PodPID] = now
		}
		errs = append(errs, err)
	}
	t.close() // those of processes that have ended
	t.trackers = trackers
	return errors.Join(errs...)
}

// watch goes on with a process's tracker, or makes it one.
func watch(tr tracer.Tracing, t *proc.Task, v *mem.Private, old *mem.Tracker) (*mem.Tracker, error) {
	if old != nil {
		err := old.Watch(v)
		if err == nil {
			return old, nil
		}
		old.Close() // it is of the program that the process executed before
		if !errors.Is(err, mem.ErrUntracked) {
			return nil, err
		}
	}
	var made *mem.Tracker
	err := t.InLeader(tr, func(r *tracer.Remote) (err error) {
		made, err = track(r, v)
		return err
	})
	return made, err
}

// track makes a tracker for the process of an entered thread; nil, and no error,
// where the kernel has none.
func track(r *tracer.Remote, v *mem.Private) (*mem.Tracker, error) {
	t, err := mem.NewTracker(r, v.PID)
	if err == nil {
		if err = t.Watch(v); err == nil {
			return t, nil
		}
		t.Close()
	}
	if errors.Is(err, mem.ErrUntracked) {
		return nil, nil
	}
	return nil, err
}

func (t *tracking) close() {
	for _, w := range t.trackers {
		w.Close()
	}
	t.trackers, t.base = nil, nil
}
