package proc

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

func readStatus(pid, tid int) (procfs.Status, error) {
	return procfs.ReadStatus(fmt.Sprintf("/proc/%d/task/%d", pid, tid))
}

// Capture captures everything of a stopped process but its mappings and
// descriptors. The with callback runs while the leader is entered, for what
// else must be asked in the process (System V, mincore); it may be nil.
//
// Preconditions: every thread is stopped by Suspend.
func Capture(tr tracer.Tracing, t *Task, waits *Waits, with func(*tracer.Remote) error) (p image.Process, err error) {
	p.PID = t.PodPID
	if p.PPID, p.PGID, p.SID, err = ids(t); err != nil {
		return p, err
	}
	if t.Zombie {
		captureSharing(t, &p) // how its parent learns of it
		p.Zombie = &image.Zombie{Status: t.Stat.ExitCode, Comm: t.Stat.Comm}
		return p, nil
	}
	p.Leader = t.leader
	p.Stopped, p.StopSeen = int(t.Stopped), t.stopSeen
	if p.Exe, err = os.Readlink(fmt.Sprintf("/proc/%d/exe", t.Lead)); err != nil {
		return p, err
	}
	if p.FS.Cwd, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", t.Lead)); err != nil {
		return p, err
	}
	p.FS.Umask = t.Status.Umask
	captureSharing(t, &p)
	for i := range 16 {
		var l unix.Rlimit
		if err := unix.Prlimit(t.PID, i, nil, &l); err != nil {
			return p, fmt.Errorf("prlimit of process %d: %w", t.PodPID, err)
		}
		p.Limits = append(p.Limits, image.Limit{Cur: l.Cur, Max: l.Max})
	}
	if t.OwnsMemory() {
		if err := captureMM(t, &p); err != nil {
			return p, err
		}
	}
	if err := captureThreads(tr, t, &p, waits, with); err != nil {
		return p, fmt.Errorf("capture process %d (%s): %w", t.PodPID, t.Status.Name, err)
	}
	return p, nil
}

// captureThreads enters the leader, which is asked for what is the process's,
// and meanwhile every other thread with the leader's scratch memory.
func captureThreads(tr tracer.Tracing, t *Task, p *image.Process, waits *Waits, with func(*tracer.Remote) error) error {
	abort, err := criticalSection(tr, t.Lead)
	if err != nil {
		return err
	}
	leader, err := tr.Enter(t.Lead, t.VDSO)
	if err != nil {
		return err
	}
	p.Threads = make([]image.Thread, len(t.TIDs))
	b := leader.Batch()
	err = captureThread(tr, leader, b, t, &p.Threads[0], abort, waits)
	if err == nil {
		err = captureProcess(tr, leader, b, t, p, with)
	}
	for i := 1; i < len(t.TIDs) && err == nil; i++ {
		err = captureOther(tr, t, t.TIDs[i], leader, &p.Threads[i], waits)
	}
	return errors.Join(err, leader.Leave())
}

func captureOther(tr tracer.Tracing, t *Task, tid int, leader *tracer.Remote, th *image.Thread, waits *Waits) error {
	abort, err := criticalSection(tr, tid)
	if err != nil {
		return err
	}
	r, err := tr.EnterBare(tid, t.VDSO)
	if err != nil {
		return err
	}
	r.ShareScratch(leader)
	b := r.Batch()
	if err = captureThread(tr, r, b, t, th, abort, waits); err == nil {
		err = b.Run()
	}
	if err == nil {
		err = captureOwn(t, tid, th)
	}
	return errors.Join(err, r.LeaveBare())
}

// captureProcess asks the leader for what all threads have in common. b may have
// questions already.
func captureProcess(tr tracer.Tracing, r *tracer.Remote, b *tracer.Batch, t *Task, p *image.Process, with func(*tracer.Remote) error) error {
	for _, f := range []func() error{
		func() error {
			if !t.OwnsMemory() {
				return nil
			}
			return b.Ask(0, func(ret uint64, _ []byte, err error) error { p.MM.Brk = ret; return err }, unix.SYS_BRK, 0)
		},
		func() error { return captureSignals(tr, r.TID, b, t, p) },
		func() error { return captureTimers(b, t, p) },
		func() error { return captureCreds(b, t, p) },
		func() error { return capturePrctl(b, t, p) },
		b.Run,
		func() error { return seenStops(r, t) },
	} {
		if err := f(); err != nil {
			return err
		}
	}
	if with != nil {
		return with(r)
	}
	return nil
}

// captureMM reads the addresses that the kernel keeps of a process.
func captureMM(t *Task, p *image.Process) error {
	s, err := procfs.ReadStat(fmt.Sprintf("/proc/%d", t.Lead))
	if err != nil {
		return err
	}
	p.MM = image.MM{
		StartCode: s.StartCode, EndCode: s.EndCode, StartData: s.StartData, EndData: s.EndData,
		StartBrk: s.StartBrk, StartStack: s.StartStack,
		ArgStart: s.ArgStart, ArgEnd: s.ArgEnd, EnvStart: s.EnvStart, EnvEnd: s.EnvEnd,
	}
	p.MM.Auxv, err = os.ReadFile(fmt.Sprintf("/proc/%d/auxv", t.Lead))
	return err
}

// ids reads the pids of parent, group and session as the pod has them.
func ids(t *Task) (ppid, pgid, sid int, err error) {
	// The parent's is read from its own file: PPid is this process's view.
	parent, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", t.Stat.PPID))
	return parent.PodPID, t.Status.PodPGID, t.Status.PodSID, err
}
