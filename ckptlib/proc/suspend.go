package proc

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Tasks are the stopped processes of a pod, parents before children.
type Tasks struct {
	Init int // the pod's init, stopped too
	List []*Task

	stopped map[int]bool // threads of the job that are to be detached
	looked  map[int]bool // those of them whose calls are seen to
	waits   *Waits
	twins   *Twins
}

// passes bounds how often one attempt looks for tasks that were born meanwhile,
// attempts how often it begins again because of vfork(2).
const passes, attempts = 20, 50

// Suspend stops every thread of every process below init, and init itself. On
// an error everything runs again. It notes in waits what Capture and later
// checkpoints need, and passes over twins of earlier ones.
func Suspend(tr tracer.Tracing, init int, waits *Waits, twins *Twins) (ts *Tasks, err error) {
	for range attempts {
		ts, err = attempt(tr, init, waits, twins)
		if v := (*vforkError)(nil); !errors.As(err, &v) || !v.over() {
			break
		}
	}
	return ts, err
}

func attempt(tr tracer.Tracing, init int, waits *Waits, twins *Twins) (_ *Tasks, err error) {
	ts := &Tasks{Init: init, stopped: map[int]bool{}, looked: map[int]bool{}, waits: waits, twins: twins}
	defer func() {
		if err != nil {
			err = errors.Join(err, ts.Resume(tr))
		}
	}()
	group := map[int]unix.Signal{}
	for range passes {
		found, err := ts.pass(tr, group)
		if err != nil {
			return nil, err
		}
		if found {
			continue
		}
		switch err := ts.describe(tr, group); {
		case errors.Is(err, errEnded):
			continue
		case err != nil:
			return nil, err
		}
		for tid := range ts.stopped {
			switch err := waits.stopped(tr, tid); {
			case tracer.Gone(err):
				delete(ts.stopped, tid) // another thread of its process has executed a program
			case err != nil:
				return nil, err
			}
			ts.looked[tid] = true
		}
		waits.forget(ts.stopped)
		return ts, nil
	}
	return nil, fmt.Errorf("suspend: the job makes processes faster than they can be stopped, or has one that may not be traced (%d passes)", passes)
}

// pass interrupts every thread not stopped yet, waits for them and tells
// whether there was any. Interrupting all before waiting for the first lets
// them stop at the same time.
func (ts *Tasks) pass(tr tracer.Tracing, group map[int]unix.Signal) (found bool, err error) {
	var waiting []int
	var pids []int
	var visit func(pid int) error
	visit = func(pid int) error {
		tids, err := procfs.Tasks(pid)
		if err != nil {
			return nil // it has ended; its children are its parent's or the init's now
		}
		for _, tid := range tids {
			if ts.stopped[tid] {
				continue
			}
			if err := tr.Seize(tid, tracer.Job); err != nil {
				seized, changed, err := unseizable(pid, tid, err)
				if err != nil {
					return err
				}
				if found = found || changed; !seized {
					continue
				}
			}
			ts.stopped[tid] = true
			found = true
			if err := tr.Interrupt(tid); err == nil {
				waiting = append(waiting, tid)
			}
		}
		pids = append(pids, pid)
		children, err := procfs.Children(pid)
		if err != nil {
			return nil
		}
		for _, c := range children {
			if ts.twins.has(c) {
				continue
			}
			if err := visit(c); err != nil {
				return err
			}
		}
		return nil
	}
	if err := visit(ts.Init); err != nil {
		return false, err
	}
	for _, tid := range waiting {
		s, err := waitStop(tr, tid, pids)
		switch {
		case tracer.Gone(err):
			delete(ts.stopped, tid)
		case err != nil:
			return false, err
		case s.Group:
			group[tid] = s.Signal
		}
	}
	ts.List = ts.List[:0]
	for _, pid := range pids[1:] {
		ts.List = append(ts.List, &Task{PID: pid})
	}
	return found, nil
}

// unseizable tells why a thread could not be seized: it has ended, which is
// fine, or it is another one by now. When a thread executes a program, its leader
// ends and the thread takes over its id; it may have been seized under its old
// one. Else the error says what to do.
func unseizable(pid, tid int, cause error) (seized, changed bool, err error) {
	st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d/task/%d", pid, tid))
	switch {
	case err != nil, st.State == 'Z', st.State == 'X':
		return false, false, nil
	case st.TracerPID == unix.Gettid():
		return true, true, nil
	case st.TracerPID != 0:
		return false, false, fmt.Errorf("process %d (%s) is traced by process %d: detach the debugger and checkpoint again", st.PodPID, st.Name, st.TracerPID)
	case errors.Is(cause, unix.EPERM) && tid == pid:
		return false, true, nil
	}
	return false, false, fmt.Errorf("suspend process %d (%s): %w", st.PodPID, st.Name, cause)
}

// Resume lets every thread run on.
func (ts *Tasks) Resume(tr tracer.Tracing) error {
	var errs []error
	for _, t := range ts.List {
		if err := t.hide(tr); err != nil && !tracer.Gone(err) {
			errs = append(errs, err)
		}
	}
	tids := make([]int, 0, len(ts.stopped))
	for tid := range ts.stopped {
		if tid != ts.Init {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	// The init last: it reaps.
	if ts.stopped[ts.Init] {
		tids = append(tids, ts.Init)
	}
	var late []int
	for _, tid := range tids {
		err := ts.release(tr, tid)
		if err != nil && errors.Is(err, unix.ESRCH) {
			late = append(late, tid)
		} else if err != nil {
			errs = append(errs, err)
		}
	}
	// Those that were asked to stop and had not may have waited for one of the
	// others. A thread must be in a stop to be let go.
	for _, tid := range late {
		if _, err := tr.WaitStopIn(tid, latePatience); err == nil {
			err = ts.release(tr, tid)
			if err != nil && !tracer.Gone(err) {
				errs = append(errs, err)
			}
		} else if !tracer.Gone(err) {
			tr.ReleaseLater(tid)
		}
	}
	clear(ts.stopped)
	return errors.Join(errs...)
}

// latePatience is how long Resume waits for a thread that has not stopped yet.
const latePatience = 20 * time.Millisecond

// release lets a stopped thread run on as if it had never stopped.
func (ts *Tasks) release(tr tracer.Tracing, tid int) error {
	if !ts.looked[tid] {
		if err := ts.waits.stopped(tr, tid); err != nil {
			return err
		}
	}
	return tr.Detach(tid)
}

// ByPodPID finds a process by its pid in the pod.
func (ts *Tasks) ByPodPID(pid int) (*Task, bool) {
	for _, t := range ts.List {
		if t.PodPID == pid {
			return t, true
		}
	}
	return nil, false
}
