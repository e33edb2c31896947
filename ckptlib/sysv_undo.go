package ckptlib

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/proc"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// What SEM_UNDO will do to a semaphore when a process ends, the kernel tells
// nobody. But semop(2) answers ERANGE if an operation would take that
// adjustment out of its bounds, and undoes what it has done if a later operation
// of the same call has to wait. So a call that is bound to fail tells, by its
// error, whether the adjustment is above or below a number; nothing changes, and
// nobody is waiting for the semaphore, as the whole pod stands still.

// Bounds of a semaphore's value (SEMVMX) and flags of its operations.
const (
	semMax    = 32767
	semUndo   = 0x1000
	ipcNoWait = 0o4000
)

// semOp is struct sembuf.
type semOp struct{ num, op, flags int }

// semop makes the operations, all or none.
func semop(r *tracer.Remote, id int, ops []semOp) error {
	var b []byte
	for _, o := range ops {
		for _, v := range []int{o.num, o.op, o.flags} {
			b = binary.LittleEndian.AppendUint16(b, uint16(v))
		}
	}
	addr, err := r.Put(0, b)
	if err != nil {
		return err
	}
	_, err = r.Syscall(unix.SYS_SEMOP, uint64(id), addr, uint64(len(ops)))
	return err
}

// above are operations on a semaphore of some value that are out of range if its
// adjustment is above t, which is not negative. It is left at t.
func above(num, value, t int) []semOp {
	return []semOp{{num, semMax - value, ipcNoWait}, {num, t - semMax, semUndo}}
}

// below is the same for an adjustment below t, which is not positive; the
// semaphore is left above 0.
func below(num, value, t int) []semOp {
	by := semMax + 1 + t
	ops := []semOp{{num, -value, ipcNoWait}}
	if by > semMax {
		ops = append(ops, semOp{num, semMax, semUndo}, semOp{num, -semMax, 0})
		by -= semMax
	}
	return append(ops, semOp{num, by, semUndo})
}

// outOfRange makes operations that change nothing and tells whether one of them was
// out of range.
func outOfRange(r *tracer.Remote, id int, ops []semOp) (bool, error) {
	// Either waits: the value is 0 or it is not.
	num := ops[len(ops)-1].num
	err := semop(r, id, append(needed(ops), semOp{num, 0, ipcNoWait}, semOp{num, -1, ipcNoWait}))
	switch {
	case errors.Is(err, unix.ERANGE):
		return true, nil
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return false, nil // a process that may not use the semaphore has changed nothing
	case err == nil:
		err = errors.New("it did not fail")
	}
	return false, fmt.Errorf("probe semaphores %d: %w", id, err)
}

// needed leaves out what changes nothing: an operation of 0 waits for 0.
func needed(ops []semOp) (out []semOp) {
	for _, o := range ops {
		if o.op != 0 {
			out = append(out, o)
		}
	}
	return out
}

// adjustment finds the adjustment of one semaphore between two bounds.
func adjustment(r *tracer.Remote, id, num, value int) (adj int, err error) {
	found := func(ops []semOp) bool {
		yes := false
		if err == nil {
			yes, err = outOfRange(r, id, ops)
		}
		return yes
	}
	if found(below(num, value, 0)) {
		// The highest that it is below is next to it.
		adj = -1 - sort.Search(semMax, func(n int) bool { return !found(below(num, value, -1-n)) })
	} else {
		adj = sort.Search(semMax, func(t int) bool { return !found(above(num, value, t)) })
	}
	return adj, err
}

// undoBatch is how many semaphores are asked about at once; SEMOPM is 500.
const undoBatch = 100

// captureUndo records the adjustments of a process.
func captureUndo(r *tracer.Remote, pid int, s *image.SemSet) error {
	for first := 0; first < len(s.Values); first += undoBatch {
		last := min(first+undoBatch, len(s.Values))
		var up, down []semOp
		for n := first; n < last; n++ {
			up = append(up, above(n, int(s.Values[n]), 0)...)
			down = append(down, below(n, int(s.Values[n]), 0)...)
		}
		for _, ops := range [][]semOp{up, down} {
			some, err := outOfRange(r, s.ID, ops)
			if err != nil {
				return err
			}
			if !some {
				continue
			}
			if err := captureAdjustments(r, pid, s, first, last); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

func captureAdjustments(r *tracer.Remote, pid int, s *image.SemSet, first, last int) error {
	for n := first; n < last; n++ {
		adj, err := adjustment(r, s.ID, n, int(s.Values[n]))
		if err != nil {
			return err
		}
		if adj != 0 {
			s.Undo = append(s.Undo, image.SemUndo{PID: pid, Num: n, Adjust: adj})
		}
	}
	return nil
}

// captureUndos asks every process of the pod.
func (c *Checkpoint) captureUndos(tr tracer.Tracing) error {
	if len(c.im.SysV.Sem) == 0 {
		return nil
	}
	for _, t := range c.tasks.List {
		if t.Zombie || !t.OwnsUndo() {
			continue
		}
		if err := t.InLeader(tr, func(r *tracer.Remote) error { return c.captureUndosOf(r, t) }); err != nil {
			return fmt.Errorf("process %d (%s): SEM_UNDO: %w", t.PodPID, t.Status.Name, err)
		}
	}
	return nil
}

func (c *Checkpoint) captureUndosOf(r *tracer.Remote, t *proc.Task) (err error) {
	return withRoom(r, tracer.ScratchSize, func(room uint64, _ int64) error {
		r.UseScratch(tracer.Addr(room))
		for i := range c.im.SysV.Sem {
			if err := captureUndo(r, t.PodPID, &c.im.SysV.Sem[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// restoreUndo has a process owe an adjustment again and leaves the semaphore's
// value.
func restoreUndo(r *tracer.Remote, id, value int, u image.SemUndo) error {
	ops := []semOp{{u.Num, semMax - value, 0}, {u.Num, -u.Adjust, semUndo}, {u.Num, value - semMax + u.Adjust, 0}}
	if u.Adjust < 0 {
		// In two parts, for the greatest has no place in one.
		half := -u.Adjust / 2
		rest := -u.Adjust - half
		ops = []semOp{{u.Num, -value, 0}, {u.Num, half, semUndo}, {u.Num, -half, 0}, {u.Num, rest, semUndo}, {u.Num, value - rest, 0}}
	}
	if err := semop(r, id, needed(ops)); err != nil {
		return fmt.Errorf("restore SEM_UNDO of semaphore %d of set %d: %w", u.Num, id, err)
	}
	return nil
}

// restoreUndos does it for every process.
func (r *Restart) restoreUndos() error {
	for _, s := range r.im.SysV.Sem {
		for _, u := range s.Undo {
			p, err := r.stub(u.PID)
			if err != nil {
				return err
			}
			if err := restoreUndo(p.Remote, s.ID, int(s.Values[u.Num]), u); err != nil {
				return fmt.Errorf("process %d: %w", u.PID, err)
			}
		}
	}
	return nil
}
