package proc

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A vforkError says that a thread cannot stop before its child, which is stopped,
// has executed a program or ended (vfork(2)).
type vforkError struct{ tid, child int }

func (e *vforkError) Error() string {
	name := func(id int) string {
		st, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", id))
		if err != nil {
			return "that has ended"
		}
		return fmt.Sprintf("%d (%s)", st.PodPID, st.Name)
	}
	return fmt.Sprintf("thread %s waits for the vfork(2) of process %s, which has neither executed a program nor ended for %v: end that process",
		name(e.tid), name(e.child), vforkPatience)
}

// vforkPatience is how long a child may take. The job runs meanwhile.
const vforkPatience = 3 * time.Second

// over waits until the child has a memory of its own, and tells whether it has.
func (e *vforkError) over() bool {
	for end := time.Now().Add(vforkPatience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if same, err := linux.SameMemory(e.child, e.tid); err != nil || !same {
			return true
		}
	}
	return false
}

// waitStop waits until an interrupted thread has stopped. One that does not stop
// soon may wait for a child, whose pid is among pids.
func waitStop(tr tracer.Tracing, tid int, pids []int) (tracer.Stop, error) {
	for _, patience := range []time.Duration{2 * time.Millisecond, 100 * time.Millisecond} {
		s, err := tr.WaitStopIn(tid, patience)
		if !errors.Is(err, tracer.ErrNotStopping) {
			return s, err
		}
		if child := vforked(tid, pids); child != 0 {
			return s, &vforkError{tid, child}
		}
	}
	return tr.WaitStop(tid)
}

// vforked finds the child of a thread's process that shares its memory, if the
// thread sleeps where only SIGKILL reaches it, as in vfork(2). 0 is none.
func vforked(tid int, pids []int) int {
	if st, err := procfs.ReadStat(fmt.Sprintf("/proc/%d", tid)); err != nil || st.State != 'D' {
		return 0
	}
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
		if same, err := linux.SameMemory(pid, tid); err == nil && same {
			return pid
		}
	}
	return 0
}
