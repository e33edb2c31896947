package ckptlib

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Memory that is not written to faster than it can be read is read before the
// pause, as for the migration of virtual machines: what is written to meanwhile is
// read again, in rounds, until little is left for the pause. Nothing has to be
// copied on write then, and the pause does not depend on how much memory there is.
const (
	// maxRounds bounds the rounds, also of all tries at one generation.
	maxRounds = 6
	// roundLeast is from how many bytes on another round may be worth it.
	roundLeast = 2 << 20
	// precopyLeast is from how many bytes of its own on a process that has no
	// tracker yet is stopped for a moment to get one.
	precopyLeast = 32 << 20
)

// errStore marks errors of the store among those of reading.
var errStore = errors.New("write memory before the pause")

// Prepare makes ready what would make the pause of a checkpoint longer, and reads
// memory that does not change much. The generation has been begun; ends Discard,
// if no Snapshot follows. No checkpoint may be under way. An error is one of the
// store: that memory cannot be read ahead is none.
func (p *Pod) Prepare(ctx context.Context, st *store.Store, gen int, o SnapshotOptions) error {
	if err := p.occupy(); err != nil {
		return err
	}
	defer p.free()
	failed := p.track.failed && !p.Drafting(gen) // before: what fails again need not be read ahead again
	d, err := p.begin(st, gen, o)
	if err != nil {
		return err
	}
	read := int64(0)
	if o.Precopy && !o.Stop && !o.Untracked && !failed {
		if read, err = p.precopy(ctx, d); err != nil {
			return err
		}
	}
	p.held.prepare(max(p.size, read))
	return nil
}

// precopy reads in rounds, and returns how many bytes the first one read.
func (p *Pod) precopy(ctx context.Context, d *draft) (first int64, err error) {
	if len(d.rounds) == 0 {
		p.watchMore()
	}
	for last := int64(0); len(d.rounds) < maxRounds; {
		read, err := p.round(ctx, d)
		if err != nil {
			return first, err
		}
		if first == 0 {
			first = read
		}
		if read < roundLeast || last > 0 && read*2 > last {
			break
		}
		last = read
	}
	return first, nil
}

// round reads what has changed since the last one of all processes that have a
// tracker, at the same time.
func (p *Pod) round(ctx context.Context, d *draft) (read int64, err error) {
	list, err := p.Processes()
	if err != nil {
		return 0, err
	}
	table := store.NewTable()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, q := range list {
		t := p.track.trackers[q.PID]
		if t == nil {
			continue
		}
		wg.Go(func() {
			w, serr := t.Sweep(ctx, q.HostPID, image.ObjectID(q.PID), func(object image.ObjectID, page uint64, b []byte) error {
				if err := d.put(table, object, page, b); err != nil {
					return errors.Join(errStore, err)
				}
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			read += w.Read
			d.lost[q.PID] = append(d.lost[q.PID], w.Lost...)
			if errors.Is(serr, errStore) {
				err = serr
			}
		})
	}
	wg.Wait()
	d.rounds = append([]*store.Carrier{table.Carrier()}, d.rounds...)
	return read, errors.Join(err, ctx.Err())
}

// watchMore makes trackers for processes that have much memory and none yet, for
// which the pod has to stand still for some milliseconds. One that cannot be made
// now will be in the pause, or not.
func (p *Pod) watchMore() {
	large := map[int]bool{} // by pid in the pod
	list, err := p.Processes()
	if err != nil {
		return
	}
	for i, q := range list {
		st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", q.HostPID))
		if err == nil && st.Anon >= precopyLeast && p.track.trackers[q.PID] == nil && !seen(list[:i], q) {
			large[q.PID] = true
		}
	}
	if len(large) == 0 || mem.Probe() != nil {
		return
	}
	if p.track.trackers == nil {
		p.track.trackers = map[int]*mem.Tracker{}
	}
	_ = p.pod.Tracer.Do(func(tr tracer.Tracing) error {
		tasks, err := proc.Suspend(tr, p.pod.Init, &p.waits, &p.twins)
		if err != nil {
			return err
		}
		for _, t := range tasks.List {
			if large[t.PodPID] && !t.Zombie && t.OwnsMemory() {
				err = errors.Join(err, t.InLeader(tr, func(r *tracer.Remote) error {
					w, err := mem.NewTracker(r, t.Lead)
					if err == nil {
						p.track.trackers[t.PodPID] = w
					}
					return err
				}))
			}
		}
		return errors.Join(err, tasks.Resume(tr))
	})
}

// seen tells whether the memory of a process is that of an earlier one, too.
func seen(earlier []ProcessInfo, q ProcessInfo) bool {
	for _, o := range earlier {
		if same, err := linux.SameMemory(o.HostPID, q.HostPID); err == nil && same {
			return true
		}
	}
	return false
}
