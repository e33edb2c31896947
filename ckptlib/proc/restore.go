package proc

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Restore makes a stub whose memory is restored, and that has its threads, into
// the process, up to the point where only Finish is left: dispositions, limits,
// names.
func (t *Tree) Restore(s *Stub) error {
	p, r := s.Image, s.Remote
	b := r.Batch()
	if !p.SharesFS {
		if err := restoreFS(b, &p.FS); err != nil {
			return err
		}
	}
	if !p.SharesActions {
		if err := restoreActions(b, p); err != nil {
			return err
		}
	}
	if err := b.Run(); err != nil {
		return err
	}
	for i, th := range s.threads {
		if err := restoreThread(th, &p.Threads[i]); err != nil {
			return fmt.Errorf("thread %d: %w", p.Threads[i].TID, err)
		}
	}
	if err := makeTimers(r, p); err != nil {
		return err
	}
	restoreOOM(s.PID, p)
	restoreCoreFilter(s.PID, p)
	return restoreLimits(s.PID, p)
}

// restoreFS changes to the working directory, which must be there.
func restoreFS(b *tracer.Batch, fs *image.FS) error {
	return errors.Join(
		b.Tell("change to the working directory "+fs.Cwd+", which this host must have", append([]byte(fs.Cwd), 0), unix.SYS_CHDIR, tracer.In),
		b.Tell("umask", nil, unix.SYS_UMASK, uint64(fs.Umask)),
	)
}

// restoreLimits sets resource limits. A hard limit that this user may not raise
// stays what it is on this host.
func restoreLimits(pid int, p *image.Process) error {
	for i, l := range p.Limits {
		want := unix.Rlimit{Cur: l.Cur, Max: l.Max}
		if unix.Prlimit(pid, i, &want, nil) == nil {
			continue
		}
		var have unix.Rlimit
		if err := unix.Prlimit(pid, i, nil, &have); err != nil {
			return fmt.Errorf("prlimit of process %d: %w", p.PID, err)
		}
		want = unix.Rlimit{Cur: min(l.Cur, have.Max), Max: min(l.Max, have.Max)}
		if err := unix.Prlimit(pid, i, &want, nil); err != nil {
			return fmt.Errorf("set limit %d of process %d: %w", i, p.PID, err)
		}
	}
	return nil
}

// Finish gives a process its credentials, pending signals and timers, takes
// the scratch memory away and sets the registers. The process is what it was,
// and stopped; Release lets it run.
//
// Preconditions: Restore, Bury and everything else that needs a Remote in it is
// done.
func (t *Tree) Finish(s *Stub) error {
	p, r := s.Image, s.Remote
	if p.Zombie != nil {
		return nil
	}
	if !p.SharesActions {
		if err := restoreTrapAction(r, p); err != nil {
			return err
		}
	}
	for _, th := range s.threads {
		if err := restoreCreds(th, p); err != nil {
			return err
		}
	}
	for i, th := range s.threads {
		if err := restoreDeathSignal(th, &p.Threads[i]); err != nil {
			return err
		}
	}
	if err := restoreDumpable(r, p); err != nil {
		return err
	}
	for i, th := range s.threads {
		if err := queueThread(th, p.PID, &p.Threads[i]); err != nil {
			return err
		}
	}
	if err := queueProcess(r, p); err != nil {
		return err
	}
	if err := armTimers(r, p); err != nil {
		return err
	}
	if err := s.unmap(); err != nil {
		return err
	}
	for i, tid := range s.TIDs {
		if err := finishThread(t.tr, tid, &p.Threads[i]); err != nil {
			return err
		}
	}
	return nil
}

// Release lets a finished process run. A process that the job had stopped
// stays stopped.
func (t *Tree) Release(s *Stub) error {
	if s.Image.Zombie != nil {
		return nil
	}
	// The last thread first: the leader's children learn nothing of the others.
	for i := len(s.TIDs) - 1; i >= 0; i-- {
		err := t.tr.Detach(s.TIDs[i])
		if tracer.Gone(err) {
			// One that runs already has ended it. Its parent is told once the tracer
			// has taken its end.
			t.tr.ReleaseLater(s.TIDs[i])
		} else if err != nil {
			return err
		}
	}
	return nil
}
