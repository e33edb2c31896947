package ckptlib

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// brokenError says that the memory of a process is not whole any more.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// settle stops the pod, turns parts of its lazy memory into what they would have
// been without, in all processes that have them, and lets it run on.
func (p *Pod) settle(parts []part) error {
	return p.pod.Tracer.Do(func(tr tracer.Tracing) (err error) {
		ts, err := proc.Suspend(tr, p.pod.Init, &p.waits, &p.twins)
		if err != nil {
			return err
		}
		p.lazy.stand(true)
		defer func() {
			var broken *brokenError
			if errors.As(err, &broken) {
				p.endAll() // before any of them runs
			}
			p.lazy.stand(false)
			err = errors.Join(err, ts.Resume(tr))
		}()
		for _, t := range ts.List {
			if t.Zombie || !t.OwnsMemory() {
				continue
			}
			if err := p.settleProcess(tr, ts, t, parts); err != nil {
				return fmt.Errorf("process %d: %w", t.PodPID, err)
			}
		}
		return nil
	})
}

// stand notes that the pod stands still, or runs.
func (l *lazy) stand(still bool) {
	l.mu.Lock()
	l.still = still
	l.mu.Unlock()
}

// settleProcess does it in one process that owns its memory.
func (p *Pod) settleProcess(tr tracer.Tracing, ts *proc.Tasks, t *proc.Task, parts []part) (err error) {
	l := p.lazy
	type turn struct {
		vma int
		p   *part
		run mem.Run
	}
	var turns []turn
	for i := range t.VMAs {
		v := &t.VMAs[i]
		dev, err := mem.ParseDev(v.Dev)
		if err != nil || dev != l.dev {
			continue
		}
		for j := range parts {
			q := &parts[j]
			run := mem.Run{Start: max(v.Start, q.run.Start), End: min(v.End, q.run.End)}
			if q.object == l.object(v.Inode) && run.Start < run.End {
				turns = append(turns, turn{i, q, run})
			}
		}
	}
	if len(turns) == 0 {
		return nil
	}
	s, err := mem.NewSettler(t.Lead, p.track.trackers[t.PodPID])
	if err != nil {
		return err
	}
	defer s.Close()
	// Nothing of the process is to run on if this one ends in the midst of it.
	if err := setAll(tr, ts.Sharers(t), tracer.Doomed); err != nil {
		return err
	}
	return t.InLeader(tr, func(r *tracer.Remote) error {
		for _, u := range turns {
			v := t.VMAs[u.vma]
			v.Start, v.End = u.run.Start, u.run.End
			begun, err := s.Settle(r, &v, l.mapping(u.p.object, v.Start), u.p.filled)
			if err != nil && begun {
				return &brokenError{err}
			}
			if err != nil {
				return err
			}
		}
		return setAll(tr, ts.Sharers(t), tracer.Job)
	})
}

func setAll(tr tracer.Tracing, tasks []*proc.Task, options int) error {
	for _, t := range tasks {
		if err := tr.SetOptions(t.Lead, options); err != nil {
			return err
		}
	}
	return nil
}

// object is that of a file's inode.
func (l *lazy) object(inode uint64) image.ObjectID { return image.ObjectID(inode - 1) }

// mapping is what an address of an object was mapped as.
func (l *lazy) mapping(id image.ObjectID, at uint64) *image.Mapping {
	ms := l.images[id].Mappings
	i, ok := slices.BinarySearchFunc(ms, at, func(m image.Mapping, at uint64) int { return cmp.Compare(m.Start, at) })
	if !ok {
		i--
	}
	return &ms[i]
}
