package proc

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Twins are copy-on-write copies of a pod's processes: stopped from birth,
// children of what they are copies of, ended once their memory has been read.
// The zero value is ready for use. Its methods are called inside of Do, but for
// has.
type Twins struct{ list map[int]*twin } // by pid, as the tracer sees it

type twin struct {
	of    *Task
	ended bool // and its parent has not reaped it yet
}

// What a twin is called in ps(1), and the value in proc(5)'s oom_score_adj that
// makes the kernel take it before anything of the job when memory runs out.
const (
	twinName    = "gompirun-twin"
	killedFirst = "1000"
)

func (w *Twins) has(pid int) bool { return w.list[pid] != nil }

// Make copies stopped processes, all at the same time. A process of which the
// kernel makes no copy is not among the twins returned, which are by the Lead of
// what they are copies of; the error then says why, and all the same the others
// have theirs.
//
// Preconditions: the tasks are captured, and none is stopped by the job itself.
func (w *Twins) Make(tr tracer.Tracing, tasks []*Task) (map[int]int, error) {
	if w.list == nil {
		w.list = map[int]*twin{}
	}
	var errs []error
	note := func(t *Task, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("process %d (%s) cannot be copied: %w", t.PodPID, t.Status.Name, err))
		}
	}
	started := make([]*tracer.Remote, len(tasks))
	for i, t := range tasks {
		r, err := tr.EnterBare(t.Lead, t.VDSO)
		if err != nil {
			note(t, err)
			continue
		}
		if err := r.StartTwin(); err != nil {
			note(t, errors.Join(err, r.LeaveBare()))
			continue
		}
		started[i] = r
	}
	made := map[int]int{}
	for i, r := range started {
		if r == nil {
			continue
		}
		pid, err := r.FinishTwin()
		if err = errors.Join(err, r.LeaveBare()); pid != 0 {
			made[tasks[i].Lead], w.list[pid] = pid, &twin{of: tasks[i]}
		}
		note(tasks[i], err)
	}
	return made, errors.Join(errs...)
}

// Mark makes the twins known as such to users and to the kernel. It comes when
// the job runs again: the pause does not wait for it. That a twin has not got its
// mark harms nothing.
func (w *Twins) Mark(tr tracer.Tracing) error {
	var errs []error
	for pid, t := range w.list {
		if t.ended {
			continue
		}
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(killedFirst), 0) //nolint:forbidigo // a control file of the kernel
		errs = append(errs, rename(tr, pid, t.of.VDSO))
	}
	return errors.Join(errs...)
}

func rename(tr tracer.Tracing, pid int, vdso tracer.Addr) error {
	r, err := tr.Enter(pid, vdso)
	if err != nil {
		return err
	}
	name, err := r.Put(0, append([]byte(twinName), 0))
	if err == nil {
		_, err = r.Syscall(unix.SYS_PRCTL, unix.PR_SET_NAME, name)
	}
	return errors.Join(err, r.Leave())
}

// End ends all twins and has their parents reap them: each stops for that some
// ten microseconds. A parent that cannot be asked now (the job has stopped it, or
// it sleeps where no signal reaches it) is asked at the next End.
func (w *Twins) End(tr tracer.Tracing, waits *Waits) error {
	var errs []error
	for pid, t := range w.list {
		gone, err := t.end(tr, pid, waits)
		if gone {
			delete(w.list, pid)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// end is true if nothing is left of a twin, or another reaps it.
func (t *twin) end(tr tracer.Tracing, pid int, waits *Waits) (gone bool, err error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	st, err := procfs.ReadStatus(dir)
	if err != nil {
		return true, nil
	}
	if st.State != 'Z' {
		if err := tr.Kill(pid); err != nil {
			return false, err
		}
	}
	t.ended = true
	if stat, err := procfs.ReadStat(dir); err != nil || stat.PPID != t.of.PID {
		return true, nil // the parent has ended; the pod's init reaps
	}
	tids, err := procfs.Tasks(t.of.PID)
	if err != nil {
		return true, nil
	}
	for _, tid := range tids {
		if reap(tr, tid, st.PodPID, t.of.VDSO, waits) == nil {
			return true, nil
		}
	}
	return false, nil
}

// reapPatience is how long a thread of the parent may take to stop. It is not
// stopped meanwhile, only asked to.
const reapPatience = 500 * time.Millisecond

// reap has a thread of the parent wait for a dead twin.
func reap(tr tracer.Tracing, tid, podPID int, vdso tracer.Addr, waits *Waits) error {
	if err := tr.Seize(tid, tracer.Job); err != nil {
		return err
	}
	if err := tr.Interrupt(tid); err != nil {
		return err
	}
	stop, err := tr.WaitStopIn(tid, reapPatience)
	if err != nil {
		if !tracer.Gone(err) {
			tr.ReleaseLater(tid)
		}
		return err
	}
	if stop.Group {
		return errors.Join(errors.New("the job has stopped it"), tr.Detach(tid))
	}
	err = waits.stopped(tr, tid)
	if err == nil {
		err = inThread(tr, tid, vdso, func(r *tracer.Remote) error {
			if err := r.Reap(podPID); !errors.Is(err, unix.ECHILD) {
				return err
			}
			return nil // it has been reaped
		})
	}
	return errors.Join(err, tr.Detach(tid))
}
