package mem

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// Where more than one part in sweepRatio of what has been read of a mapping has
// been written to again, a Sweep gives it up, for rest generations. It looks
// after every sweepSlice-th part, which is of some size.
const (
	sweepRatio = 8
	sweepSlice = 8
	sweepLeast = 4 << 20
	sweepMost  = 64 << 20
)

// A Sweep reads the memory of a process that runs, and has its Tracker count from
// when each page was read.
type Sweep struct {
	PID    int // as this process sees it
	Object image.ObjectID
	// Read is how many bytes were read. Lost are pages that the Tracker takes for
	// read and that could not be: their mapping has gone, or may not be read.
	Read int64
	Lost []Run
}

// Sweep reads the anonymous private memory that has been written to since the
// Tracker counts, and gives it to sink; of a mapping that is not watched yet, all.
// What the program writes to more often than it can be read is left as it is. An
// error that is ErrUntracked says that the Tracker is of another address space.
func (t *Tracker) Sweep(ctx context.Context, pid int, object image.ObjectID, sink Sink) (w Sweep, err error) {
	w = Sweep{PID: pid, Object: object}
	vmas, err := procfs.Maps(pid, false)
	if err != nil {
		return w, err
	}
	s, err := NewScanner(pid)
	if err != nil {
		return w, err
	}
	defer s.Close()
	for i := range vmas {
		v := &vmas[i]
		if v.Shared || v.Inode != 0 || !v.Read || Kernel(v.Name) || t.resting[v.Start] > 0 || t.hot[v.Start] > 0 {
			continue
		}
		if err := t.sweep(ctx, s, v, &w, sink); err != nil {
			return w, err
		}
	}
	return w, nil
}

// sweep reads one mapping.
func (t *Tracker) sweep(ctx context.Context, s *Scanner, v *procfs.VMA, w *Sweep, sink Sink) error {
	found, err := s.Private(v.Start, v.End, false, false)
	if err != nil {
		return err
	}
	changed := bytesOf(found.Changed)
	if changed == 0 {
		return nil
	}
	if !found.Watched {
		m := watchable{start: v.Start, end: v.End, own: changed, huge: found.Huge}
		if !t.watch(&m) {
			return nil
		}
		switch err := t.register(&m); {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EBUSY):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", ErrUntracked, err)
		}
	}
	t.watched[v.Start] = true
	slice := min(max(changed/sweepSlice/PageSize*PageSize, sweepLeast), sweepMost)
	read := uint64(0)
	for at := v.Start; at < v.End && ctx.Err() == nil; {
		runs, next, err := s.take(at, v.End, slice)
		if err == nil {
			err = w.read(runs, sink)
		}
		if err != nil {
			// What has been protected by then, nobody can tell.
			w.Lost = append(w.Lost, Run{at, v.End})
		}
		if errors.Is(err, unix.EPERM) {
			return nil // another mapping has taken the place of part of it
		}
		if err != nil {
			return err
		}
		at, read = next, read+bytesOf(runs)
		again, err := s.written(v.Start, at)
		if err != nil {
			return err
		}
		if again > sweepLeast && again*sweepRatio > read {
			t.hot[v.Start] = rest
			return nil
		}
	}
	return ctx.Err()
}

// written is how many bytes of a range that is watched have been written to.
func (s *Scanner) written(start, end uint64) (n uint64, err error) {
	arg := s.own(start, end, false)
	arg.CategoryMask |= catWritten
	arg.ReturnMask = catPresent
	err = s.each(&arg, func(r pageRegion) { n += r.End - r.Start })
	return n, err
}

// take finds pages of at most size bytes that have been written to, protects
// them, and returns them and where to go on.
func (s *Scanner) take(start, end, size uint64) (runs []Run, next uint64, err error) {
	arg := s.own(start, end, false)
	arg.CategoryMask |= catWritten
	arg.Flags, arg.ReturnMask = pmScanProtect|pmScanCheck, catPresent
	for arg.Start < end && size > 0 {
		arg.MaxPages = size / PageSize
		n, err := s.walk(&arg)
		if err != nil {
			return runs, arg.Start, err
		}
		for _, r := range s.vec[:n] {
			runs = appendRun(runs, r.Start, r.End)
			size -= min(size, r.End-r.Start)
		}
	}
	return runs, arg.Start, nil
}

// read reads runs that have been protected.
func (w *Sweep) read(runs []Run, sink Sink) error {
	var mu sync.Mutex
	p := &Plan{}
	p.add(batch{object: w.Object, pid: w.PID, lost: func(r Run) {
		mu.Lock()
		w.Lost = append(w.Lost, r)
		mu.Unlock()
	}}, runs)
	w.Read += p.Bytes()
	return p.Read(nil, sink)
}
