package proc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Task is a process that is stopped.
type Task struct {
	PID  int   // as this process sees it
	TIDs []int // likewise, the leader first
	// PodPID is the pid in the pod.
	PodPID int
	Zombie bool
	// Stopped is the signal by which the job itself had stopped the process, 0 if
	// it was running.
	Stopped unix.Signal
	Status  procfs.Status
	Stat    procfs.Stat
	VMAs    []procfs.VMA
	VDSO    tracer.Addr

	stopped  []*Task // the children that the job had stopped
	stopSeen bool    // the parent has been told of the stop
	hidden   bool    // its files in /proc are root's: it is not dumpable
	dumpable uint64  // of a hidden process, as prctl(2) has it
}

// Tasks are the stopped processes of a pod, parents before children.
type Tasks struct {
	Init int // the pod's init, stopped too
	List []*Task

	stopped map[int]bool // threads of the job that are to be detached
}

// passes bounds how often one attempt looks for tasks that were born meanwhile,
// attempts how often it begins again because of vfork(2).
const passes, attempts = 20, 50

// Suspend stops every thread of every process below init, and init itself. On
// an error everything runs again. It notes in waits what Capture and later
// checkpoints need.
func Suspend(tr tracer.Tracing, init int, waits *Waits) (ts *Tasks, err error) {
	for i := range attempts {
		if ts, err = attempt(tr, init, waits); !errors.Is(err, errVfork) {
			break
		}
		// The child needs time to execute its program.
		time.Sleep(time.Duration(i) * time.Millisecond)
	}
	return ts, err
}

func attempt(tr tracer.Tracing, init int, waits *Waits) (_ *Tasks, err error) {
	ts := &Tasks{Init: init, stopped: map[int]bool{}}
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
		if !found {
			return ts, ts.describe(tr, group, waits)
		}
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
		s, err := tr.WaitStopIn(tid, vforkPatience)
		if errors.Is(err, tracer.ErrNotStopping) {
			if child := vforked(tid, pids); child != 0 {
				return false, fmt.Errorf("suspend thread %d: %w of process %d", tid, errVfork, child)
			}
			s, err = tr.WaitStop(tid)
		}
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

// describe reads what /proc tells of each process.
func (ts *Tasks) describe(tr tracer.Tracing, group map[int]unix.Signal, waits *Waits) error {
	ours, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", ts.Init))
	if err != nil {
		return fmt.Errorf("suspend: %w", err)
	}
	byPID := map[int]*Task{}
	for _, t := range ts.List {
		byPID[t.PID] = t
		dir := fmt.Sprintf("/proc/%d", t.PID)
		if t.Status, err = procfs.ReadStatus(dir); err != nil {
			return fmt.Errorf("suspend: %w", err)
		}
		if t.Status.State != 'Z' && t.Status.State != 't' {
			// Another thread has executed a program since and is the leader now.
			if _, err := tr.WaitStop(t.PID); err != nil {
				return err
			}
			if t.Status, err = procfs.ReadStatus(dir); err != nil {
				return fmt.Errorf("suspend: %w", err)
			}
		}
		if t.Stat, err = procfs.ReadStat(dir); err != nil {
			return fmt.Errorf("suspend: %w", err)
		}
		t.PodPID = t.Status.PodPID
		if t.Stopped = group[t.PID]; t.Stopped != 0 {
			if parent := byPID[t.Stat.PPID]; parent != nil {
				parent.stopped = append(parent.stopped, t)
			}
		}
		tids, err := procfs.Tasks(t.PID)
		if err != nil {
			return fmt.Errorf("suspend: %w", err)
		}
		if t.Status.State == 'Z' {
			if len(tids) > 1 {
				return fmt.Errorf("process %d (%s): its first thread has ended and others run on: "+
					"such a process cannot be checkpointed", t.PodPID, t.Status.Name)
			}
			t.Zombie = true
			continue
		}
		if t.Status.Seccomp == 1 || t.Status.SeccompFilters > ours.SeccompFilters {
			return fmt.Errorf("process %d (%s) has confined itself by seccomp(2), which a restart cannot repeat: "+
				"run the program without its sandbox", t.PodPID, t.Status.Name)
		}
		same, err := linux.SameMemory(t.PID, t.Stat.PPID)
		if err != nil {
			return fmt.Errorf("suspend process %d (%s): %w", t.PodPID, t.Status.Name, err)
		}
		if same {
			return fmt.Errorf("process %d (%s) shares its memory with its parent (clone with CLONE_VM): "+
				"such a process cannot be checkpointed", t.PodPID, t.Status.Name)
		}
		// The leader first; a thread that ended meanwhile is not among the stopped.
		t.TIDs = []int{t.PID}
		for _, tid := range tids {
			if tid != t.PID && ts.stopped[tid] {
				t.TIDs = append(t.TIDs, tid)
			}
		}
		if t.VMAs, err = procfs.Maps(t.PID, true); err != nil {
			return fmt.Errorf("suspend: %w", err)
		}
		for _, v := range t.VMAs {
			if v.Name == "[vdso]" {
				t.VDSO = tracer.Addr(v.Start)
			}
		}
		if t.VDSO == 0 {
			return fmt.Errorf("process %d (%s) has no vdso and cannot be checkpointed", t.PodPID, t.Status.Name)
		}
		for _, tid := range t.TIDs {
			if err := waits.stopped(tr, tid, &t.Status); err != nil {
				return fmt.Errorf("suspend process %d (%s): %w", t.PodPID, t.Status.Name, err)
			}
		}
		if err := t.show(tr); err != nil {
			return fmt.Errorf("suspend process %d (%s): %w", t.PodPID, t.Status.Name, err)
		}
	}
	return nil
}

// vforkPatience is after how long a thread that does not stop is suspected to
// wait for a child that it has made by vfork(2).
const vforkPatience = 100 * time.Millisecond

// errVfork says that a thread cannot stop before its child, which is stopped,
// has executed a program.
var errVfork = errors.New("it waits for the vfork(2)")

// vforked finds the child that shares the memory of a thread's process.
func vforked(tid int, pids []int) int {
	for _, pid := range pids {
		st, err := procfs.ReadStat(fmt.Sprintf("/proc/%d", pid))
		if err != nil || st.PPID == 0 {
			continue
		}
		// The parent as /proc gives it is a process; the waiting one may be any
		// thread of it.
		if _, err := os.Stat(fmt.Sprintf("/proc/%d/task/%d", st.PPID, tid)); err != nil {
			continue
		}
		if same, err := linux.SameMemory(pid, st.PPID); err == nil && same {
			return pid
		}
	}
	return 0
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
		err := tr.Detach(tid)
		if err != nil && errors.Is(err, unix.ESRCH) {
			late = append(late, tid)
		} else if err != nil {
			errs = append(errs, err)
		}
	}
	// Those that were asked to stop and had not may have waited for one of the
	// others. A thread must be in a stop to be let go.
	for _, tid := range late {
		if err := tr.Release(tid); err != nil {
			errs = append(errs, err)
		}
	}
	clear(ts.stopped)
	return errors.Join(errs...)
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
