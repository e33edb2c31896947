package proc

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// Bury ends the leaders of processes that have gone on without, turns the stubs
// of zombies into zombies, and stops those that the job had stopped. It comes
// when everything else about the tree is restored and before any Finish, which
// takes away the SIGCHLD that parents get of it.
func (t *Tree) Bury() error {
	for _, s := range t.Stubs {
		if err := t.endLeader(s); err != nil {
			return fmt.Errorf("end the first thread of process %d: %w", s.Image.PID, err)
		}
	}
	for _, s := range t.Stubs {
		if s.Image.Stopped == 0 {
			continue
		}
		if err := t.stop(s); err != nil {
			return fmt.Errorf("stop process %d: %w", s.Image.PID, err)
		}
	}
	for _, s := range t.Stubs {
		if s.Image.Zombie == nil {
			continue
		}
		if err := t.bury(s); err != nil {
			return fmt.Errorf("make zombie %d: %w", s.Image.PID, err)
		}
	}
	return nil
}

// bury makes a stub end as the process had ended. That it left a core dump
// cannot be repeated.
func (t *Tree) bury(s *Stub) error {
	z := s.Image.Zombie
	name, err := s.Remote.Put(0, append([]byte(z.Comm), 0))
	if err != nil {
		return err
	}
	if _, err := s.Remote.Syscall(unix.SYS_PRCTL, unix.PR_SET_NAME, name); err != nil {
		return err
	}
	ws := unix.WaitStatus(z.Status)
	if !ws.Signaled() {
		_, err := s.Remote.Syscall(unix.SYS_EXIT_GROUP, uint64(ws.ExitStatus()))
		if tracer.Gone(err) {
			return nil
		}
		return errors.Join(errors.New("a stub has survived its exit"), err)
	}
	if err := unix.Prlimit(s.PID, unix.RLIMIT_CORE, &unix.Rlimit{}, nil); err != nil {
		return err
	}
	if sig := ws.Signal(); sig != unix.SIGKILL {
		// What the agent ignores the stub ignores, too.
		action, err := s.Remote.PutWords(0, 0, 0, 0, 0)
		if err != nil {
			return err
		}
		if _, err := s.Remote.Syscall(unix.SYS_RT_SIGACTION, uint64(sig), action, 0, 8); err != nil {
			return err
		}
		if err := t.tr.SetSigMask(s.PID, ^(uint64(1) << (sig - 1))); err != nil {
			return err
		}
	}
	end, err := t.tr.Deliver(s.PID, ws.Signal())
	if err == nil && !end.Signaled() {
		err = fmt.Errorf("a stub has survived %v", ws.Signal())
	}
	return err
}

// stop stops a process as job control does, by SIGSTOP: other signals may be
// refused to an orphaned process group. Every thread has its part in it.
func (t *Tree) stop(s *Stub) error {
	if _, err := t.tr.Deliver(s.TIDs[0], unix.SIGSTOP); err != nil {
		return err
	}
	for _, tid := range s.TIDs[1:] {
		if err := t.tr.Cont(tid, 0); err != nil {
			return err
		}
		if _, err := t.tr.WaitStop(tid); err != nil {
			return err
		}
	}
	parent, ok := t.byPID[s.Image.PPID]
	if !ok || !s.Image.StopSeen {
		return nil
	}
	const pPID, noHang, stopped = 1, 1, 2 // P_PID, WNOHANG, WSTOPPED of waitid(2)
	_, err := parent.Remote.Syscall(unix.SYS_WAITID, pPID, uint64(s.Image.PID), 0, noHang|stopped, 0)
	return err
}
