package ckptlib

import (
	"errors"
	"fmt"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/probe"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A copy of a process by clone(2) takes some 9 ms for each GiB that it has,
// copying changed pages some 150: a copy is made where more than one page in
// copyRatio has changed, and more than copyLeast bytes.
const (
	copyRatio = 16
	copyLeast = 4 << 20
)

// memory is how the memory of a pod is taken.
type memory struct {
	found map[*proc.Task]*mem.Private
	twins map[int]int // by the Lead of what they are copies of
	later *mem.Plan   // what is read from twins
}

// memory sees to it that all memory can be read as it is now when the pod runs
// again: what a copy of its process has is read from that, pages that nobody has
// written to since the newest generation are there, and the others are copied.
func (c *Checkpoint) memory(o SnapshotOptions) error {
	c.im.Shared = c.shared.Objects(c.next + 1)
	c.next += image.ObjectID(len(c.im.Shared))
	m := &c.mem
	m.later = &mem.Plan{}
	if err := c.find(); err != nil {
		return err
	}
	now := &mem.Plan{}
	defer now.Close()
	if err := now.Shared(c.shared); err != nil {
		return err
	}
	if !o.Stop {
		if err := c.copyProcesses(now.Bytes()); err != nil {
			return err
		}
	}
	for t, v := range m.found {
		if err := c.plan(now, v); err != nil {
			return err
		}
		c.account(t, v)
	}
	left := now.Bytes() + m.later.Bytes()
	c.changed, c.logical = c.early+left, c.logical+left
	if o.Untracked {
		c.p.track.close()
	} else if err := c.p.track.restart(c.p.pod.Tracer, c.tasks, m.found); err != nil {
		return err
	}
	if o.Stop {
		return now.Read(nil, c.put)
	}
	return now.Read(&c.p.held, c.put)
}

// find looks for the private pages of all processes.
func (c *Checkpoint) find() error {
	c.mem.found = map[*proc.Task]*mem.Private{}
	list := map[*proc.Task]*image.Process{}
	for i := range c.im.Processes {
		p := &c.im.Processes[i]
		t, ok := c.tasks.ByPodPID(p.PID)
		if !ok {
			return fmt.Errorf("process %d has gone from among the stopped", p.PID)
		}
		list[t] = p
	}
	return c.tasks.Each(func(t *proc.Task) error {
		if !t.OwnsMemory() {
			return nil
		}
		var tracker *mem.Tracker
		layers := c.draft.layers(t.PodPID)
		if layers != nil {
			tracker = c.p.track.trackers[t.PodPID]
		}
		v, err := mem.FindPrivate(t.Lead, list[t], tracker)
		if err == nil && (!layers.cover(v.Same) || c.draft.missing(t.PodPID, v.Same)) {
			v, err = mem.FindPrivate(t.Lead, list[t], nil)
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.mem.found[t] = v
		c.mu.Unlock()
		return nil
	})
}

// account counts what is known of a process without reading it now.
func (c *Checkpoint) account(t *proc.Task, v *mem.Private) {
	c.draft.layers(t.PodPID).each(v.Same, func(l *layer, _, pages uint64) {
		c.logical += int64(pages * mem.PageSize)
		if l.early {
			c.early += int64(pages * mem.PageSize)
		}
	})
}

// copyProcesses makes twins of the processes that have much to be read. shared is
// how many bytes are to be held besides.
func (c *Checkpoint) copyProcesses(shared int64) error {
	room := c.p.held.room() - shared
	var list []*proc.Task
	var all, changed uint64
	for _, t := range c.tasks.List {
		v := c.mem.found[t]
		if v == nil {
			continue // a zombie, or it has another's
		}
		few := v.Changed <= copyLeast || v.Changed*copyRatio <= v.Own
		if t.Stopped != 0 || few && int64(v.Changed) <= room {
			room -= int64(v.Changed)
			continue
		}
		list = append(list, t)
		all, changed = all+v.Own, changed+v.Changed
	}
	if len(list) == 0 {
		return nil
	}
	// What the job writes to while copies live takes memory twice.
	if left, ok := probe.MemoryLeft(); ok && left < all/4 {
		capturer{c}.Warn("the job stood still while its memory was written: %d MiB of memory are left, and copies of its processes (%d MiB) may need more", left>>20, all>>20)
		return nil
	}
	err := c.p.pod.Tracer.Do(func(tr tracer.Tracing) (err error) {
		c.mem.twins, err = c.p.twins.Make(tr, list)
		return err
	})
	if err != nil {
		capturer{c}.Warn("the job stood still while its memory was written: %v", err)
	}
	return nil
}

// plan plans what has changed of a process: in the pause what no twin has.
func (c *Checkpoint) plan(now *mem.Plan, v *mem.Private) error {
	twin := c.mem.twins[v.PID]
	if twin != 0 {
		if err := v.Split(twin); err != nil {
			return err
		}
		if err := c.mem.later.Add(v, twin, false); err != nil {
			return err
		}
	}
	return now.Add(v, twin, true)
}

// leastLeft is the memory, in bytes, that is left to the job: below it copies
// are given up before the kernel has to choose.
const leastLeft = 64 << 20

// errMemoryShort ends a checkpoint whose copies have become too large.
var errMemoryShort = errors.New("memory has run short while copies of the job's processes were read: checkpoint with --ckpt-mode stop, or give the hosts more memory")

// writeMemory writes what Snapshot has left: what is held, what the twins have,
// and by reference what has not changed. Afterwards there are no twins.
func (c *Checkpoint) writeMemory() (err error) {
	defer func() { err = errors.Join(err, c.endTwins()) }()
	if len(c.mem.twins) > 0 {
		if err := c.p.pod.Tracer.Do(c.p.twins.Mark); err != nil {
			return err
		}
	}
	if err := c.p.held.release(c.put); err != nil {
		return err
	}
	if err := c.mem.later.Read(nil, func(object image.ObjectID, page uint64, b []byte) error {
		if left, ok := probe.MemoryLeft(); ok && left < leastLeft {
			return errMemoryShort
		}
		return c.put(object, page, b)
	}); err != nil {
		return err
	}
	for t, v := range c.mem.found {
		if err := c.complete(t); err != nil {
			return err
		}
		c.draft.layers(t.PodPID).each(v.Same, func(l *layer, page, count uint64) {
			l.carry.Carry(c.table, l.object, uint64(v.Object), page, count)
		})
	}
	return nil
}

// complete learns what was left out of the description of a process's mappings
// in the pause.
func (c *Checkpoint) complete(t *proc.Task) error {
	if t.Flagged() {
		return nil
	}
	pid := t.Lead
	if twin := c.mem.twins[t.Lead]; twin != 0 {
		pid = twin
	}
	vmas, err := procfs.Maps(pid, true)
	if err != nil && pid != t.Lead {
		return err
	}
	for i := range c.im.Processes {
		if p := &c.im.Processes[i]; p.PID == t.PodPID {
			return mem.Complete(p, vmas, c.draft.last.process(p.PID))
		}
	}
	return nil
}

func (c *Checkpoint) endTwins() error {
	if c.mem.later != nil {
		c.mem.later.Close()
	}
	c.p.held.forget()
	return c.p.pod.Tracer.Do(func(tr tracer.Tracing) error { return c.p.twins.End(tr, &c.p.waits) })
}
