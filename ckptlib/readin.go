package ckptlib

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

const (
	// partPages is how many pages are read in while the pod stands still once: that
	// takes some milliseconds.
	partPages = 2048
	// partStep is what parts are multiples of where they can be: a huge page.
	partStep = 2 << 20
	// retryAfter is the time between tries where the pod cannot be stopped now.
	retryAfter = 100 * time.Millisecond
)

// part is a range of an object's memory and what it contains.
type part struct {
	object image.ObjectID
	run    mem.Run
	filled []mem.Filled
}

// readIn reads in what is outstanding, until ctx ends. The pod stands still for
// each part, and runs at least as long before the next one.
func (p *Pod) readIn(ctx context.Context) {
	l := p.lazy
	arena := make([]byte, partPages*mem.PageSize)
	warned := false
	for ctx.Err() == nil {
		parts := l.next()
		if len(parts) == 0 {
			if l.complete() {
				break
			}
			time.Sleep(time.Millisecond) // a test holds it back
			continue
		}
		if err := l.fetch(parts, arena); err != nil {
			l.lose(err)
			break
		}
		start := time.Now()
		err := p.settle(parts)
		l.done(parts, err)
		var broken *brokenError
		if errors.As(err, &broken) {
			l.lose(broken.err)
			break
		}
		pause := time.Since(start)
		if err != nil {
			if pause = retryAfter; !warned && ctx.Err() == nil {
				l.warn("the rest of the job's memory cannot be read in yet: %v", err)
				warned = true
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	if ctx.Err() == nil {
		// Nobody has a mapping of it any more.
		if err := l.close(); err != nil {
			l.warn("%v", err)
		}
	}
}

// next chooses what to read in: first what calls wait for.
func (l *lazy) next() []part {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.urgent) > 0 {
		u := l.urgent[0]
		if parts := l.take(u); len(parts) > 0 {
			return parts
		}
		l.urgent = l.urgent[1:]
	}
	if holdBack.Load() {
		return nil
	}
	return l.take(mem.Run{End: ^uint64(0)})
}

// holdBack is for tests: nothing is read in but what calls wait for.
var holdBack atomic.Bool

// take lists parts of what is outstanding in a range, up to partPages.
func (l *lazy) take(of mem.Run) (parts []part) {
	room := partPages
	for _, id := range slices.Sorted(maps.Keys(l.left)) {
		runs := l.pages.Object(uint64(id)).Runs
		for _, r := range l.left[id] {
			if r.Start >= of.End || of.Start >= r.End {
				continue
			}
			// Always from where the last part of the mapping ended: parts that grow
			// together are one mapping for the kernel.
			p := part{object: id, run: mem.Run{Start: r.Start, End: r.Start}}
			for p.run.End < r.End && p.run.End < of.End {
				step := mem.Run{Start: p.run.End, End: min(r.End, (p.run.End/partStep+1)*partStep)}
				n := stored(runs, step)
				if n == 0 { // as far as there is nothing
					step.End = emptyUntil(runs, step.End, min(r.End, of.End))
				}
				if n > room {
					if p.run.End > p.run.Start {
						parts = append(parts, p)
					}
					return parts
				}
				room -= n
				p.run.End = step.End
			}
			parts = append(parts, p)
		}
	}
	return parts
}

// emptyUntil returns the last multiple of partStep up to which there are no pages
// from an address on, at most end.
func emptyUntil(runs []store.Run, from, end uint64) uint64 {
	for _, r := range runs[search(runs, from/mem.PageSize):] {
		if at := r.Page * mem.PageSize; r.Ref != 0 && at < end {
			return max(from, at/partStep*partStep)
		}
	}
	return max(from, end)
}

// search returns the index of the first run that ends after a page.
func search(runs []store.Run, page uint64) int {
	return sort.Search(len(runs), func(i int) bool { return runs[i].Page+uint64(runs[i].Count) > page })
}

// fetch reads the pages of parts from the store, which checks them.
func (l *lazy) fetch(parts []part, arena []byte) error {
	type job struct {
		run store.Run
		to  []byte
	}
	var jobs []job
	for i := range parts {
		p := &parts[i]
		for _, r := range within(l.pages.Object(uint64(p.object)).Runs, p.run) {
			for r.Ref != 0 && r.Count > 0 {
				n := min(r.Count, mem.MaxPiece)
				b := arena[: n*mem.PageSize : n*mem.PageSize]
				arena = arena[len(b):]
				p.filled = append(p.filled, mem.Filled{Start: r.Page * mem.PageSize, Data: b})
				jobs = append(jobs, job{store.Run{Page: r.Page, Count: n, Ref: r.Ref}, b})
				r.Page, r.Count, r.Ref = r.Page+uint64(n), r.Count-n, r.Ref+store.Ref(n)
			}
		}
	}
	errs := make([]error, len(jobs))
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, j := range jobs {
		limit <- struct{}{}
		wg.Go(func() {
			errs[i] = l.reader.ReadRun(j.run, j.to)
			<-limit
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

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

// complete tells whether everything has been read in.
func (l *lazy) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.left) == 0
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

// ReadIn waits until all memory of a pod that was restarted lazily has been read.
// It comes before Suspend. An error says why it has not, and the pod runs on.
func (p *Pod) ReadIn(ctx context.Context) error {
	if p.lazy == nil {
		return nil
	}
	return p.lazy.await(ctx)
}

// startReadIn reads the memory in behind the running pod.
func (p *Pod) startReadIn() {
	ctx, stop := context.WithCancel(context.Background())
	end := p.stop
	p.stop = func() { stop(); end() }
	p.reading = make(chan struct{})
	go func() {
		defer close(p.reading)
		p.readIn(ctx)
	}()
}

// endLazy ends what is left of lazy memory. The pod has ended.
func (p *Pod) endLazy() {
	if p.lazy == nil {
		return
	}
	if p.reading != nil {
		<-p.reading
	}
	_ = p.lazy.close() // nobody reads any more
}

// loss has the pod end because part of its memory cannot be had, and tells why.
// Nobody has seen other bytes in its place.
func (p *Pod) loss(err error) {
	p.losing.Do(func() {
		if p.c.Lost != nil {
			p.c.Lost(fmt.Errorf("memory of the restarted job could not be read: %w", err))
		}
		p.endAll()
	})
}
