package proc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// show makes a process dumpable for the time that it is stopped. The kernel
// gives the files in /proc of one that is not (PR_SET_DUMPABLE, a program that
// may be executed but not read) to root, and an ordinary user could not list
// its descriptors.
func (t *Task) show(tr tracer.Tracing) error {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/auxv", t.Lead), &st); err != nil {
		return err
	}
	if me := uint32(os.Geteuid()); me == 0 || st.Uid == me {
		return nil
	}
	return t.InLeader(tr, func(r *tracer.Remote) (err error) {
		if t.dumpable, err = r.Syscall(unix.SYS_PRCTL, unix.PR_GET_DUMPABLE); err != nil {
			return err
		}
		t.hidden = true
		_, err = r.Syscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1)
		return err
	})
}

// hide undoes what show did.
func (t *Task) hide(tr tracer.Tracing) error {
	if !t.hidden {
		return nil
	}
	t.hidden = false
	return t.InLeader(tr, func(r *tracer.Remote) error {
		_, err := r.Syscall(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, settable(t.dumpable))
		return err
	})
}

// settable is what PR_SET_DUMPABLE takes: 2 (root only) nobody can set, and 0 is
// the nearest.
func settable(dumpable uint64) uint64 {
	if dumpable == 1 {
		return 1
	}
	return 0
}

// InLeader calls fn with a Remote in the first thread of a stopped process that has no
// scratch memory.
func (t *Task) InLeader(tr tracer.Tracing, fn func(*tracer.Remote) error) error {
	return inThread(tr, t.Lead, t.VDSO, fn)
}

// inThread is InLeader for any stopped thread.
func inThread(tr tracer.Tracing, tid int, vdso tracer.Addr, fn func(*tracer.Remote) error) error {
	abort, err := criticalSection(tr, tid)
	if err != nil {
		return err
	}
	r, err := tr.EnterBare(tid, vdso)
	if err != nil {
		return err
	}
	if abort != 0 {
		r.Saved().Rip = abort
	}
	return errors.Join(fn(r), r.LeaveBare())
}
