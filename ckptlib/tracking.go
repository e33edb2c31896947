package ckptlib

import (
	"errors"
	"sync"

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
	draft    *draft               // the generation that they are about to count from, or nil
	failed   bool                 // the last generation was not completed
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

// restart has all trackers count from now, and makes those that are missing. A
// process of which the kernel does not track the pages has none: all of it is
// read each time.
//
// Preconditions: the pod stands still, and found is of all its processes that have
// memory of their own.
func (t *tracking) restart(tr *tracer.Tracer, tasks *proc.Tasks, found map[*proc.Task]*mem.Private) error {
	old, now := t.trackers, &trackers{of: map[int]*mem.Tracker{}}
	// From many goroutines: the kernel walks page tables.
	err := tasks.Each(func(task *proc.Task) error {
		if w, v := old[task.PodPID], found[task]; w != nil && v != nil && v.Own >= trackLeast {
			now.watch(task, w, v)
		}
		return nil
	})
	for pid, w := range old {
		if now.of[pid] == nil {
			w.Close() // it is of a process that has ended, or has another memory now
		}
	}
	t.trackers = now.of
	made := map[*proc.Task]*mem.Tracker{}
	err = errors.Join(err, tr.Do(func(tr tracer.Tracing) error {
		for task, v := range found {
			if v.Own < trackLeast || now.of[task.PodPID] != nil {
				continue
			}
			if err := task.InLeader(tr, func(r *tracer.Remote) error {
				w, err := mem.NewTracker(r, task.Lead)
				if errors.Is(err, mem.ErrUntracked) {
					return nil
				}
				made[task] = w
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	}))
	return errors.Join(err, tasks.Each(func(task *proc.Task) error {
		if w := made[task]; w != nil && !now.watch(task, w, found[task]) {
			w.Close()
		}
		return nil
	}))
}

// trackers are those that watch.
type trackers struct {
	mu sync.Mutex
	of map[int]*mem.Tracker // by pid in the pod
}

// watch has a tracker count from now, and tells whether it does.
func (s *trackers) watch(t *proc.Task, w *mem.Tracker, v *mem.Private) bool {
	if w.Watch(v) != nil {
		return false
	}
	s.mu.Lock()
	s.of[t.PodPID] = w
	s.mu.Unlock()
	return true
}

func (t *tracking) close() {
	for _, w := range t.trackers {
		w.Close()
	}
	t.trackers, t.base = nil, nil
}
