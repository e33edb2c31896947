package proc

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/linux"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// outlived describes a process whose first thread has ended while others run
// (pthread_exit(3) in main): to the kernel a zombie with threads. Of the zombie
// /proc knows who it is; memory and descriptors are asked of a thread that lives.
func (t *Task) outlived() error {
	if !linux.ThreadPIDFDs() {
		return fmt.Errorf("process %d (%s): its first thread has ended and others run on: Linux 6.9 is needed to checkpoint it",
			t.PodPID, t.Status.Name)
	}
	first, err := procfs.ReadStat(fmt.Sprintf("/proc/%d/task/%d", t.PID, t.PID))
	if err != nil {
		return err
	}
	t.Zombie, t.Lead = false, t.TIDs[0]
	t.leader = &image.Zombie{Status: first.ExitCode, Comm: first.Comm}
	if t.Status, err = readStatus(t.PID, t.Lead); err != nil {
		return err
	}
	t.Status.PodPID, t.Status.Name = t.PodPID, first.Comm
	return nil
}

// leaderPatience is how long a first thread may take to end.
const leaderPatience = 20 * time.Second

// endLeader ends the first thread of a process that has gone on without it.
// The process is then entered in the next one. It comes before anything that
// sends the process a signal, which the thread would have to handle.
func (t *Tree) endLeader(s *Stub) error {
	z := s.Image.Leader
	if z == nil {
		return nil
	}
	name, err := s.Remote.Put(0, append([]byte(z.Comm), 0))
	if err != nil {
		return err
	}
	if _, err := s.Remote.Syscall(unix.SYS_PRCTL, unix.PR_SET_NAME, name); err != nil {
		return err
	}
	for _, give := range []func() error{
		func() error { return restoreCreds(s.Remote, s.Image) },
		func() error { return s.Remote.LeaveToExit(unix.WaitStatus(z.Status).ExitStatus()) },
		// Of a thread that is traced when it ends only its tracer is told that the
		// process has ended, in the end.
		func() error { return t.tr.Detach(s.PID) },
	} {
		if err := give(); err != nil {
			return err
		}
	}
	s.Remote = s.threads[0]
	for limit := time.Now().Add(leaderPatience); ; time.Sleep(100 * time.Microsecond) {
		st, err := procfs.ReadStat(fmt.Sprintf("/proc/%d/task/%d", s.PID, s.PID))
		switch {
		case err != nil:
			return err
		case st.State == 'Z':
			return nil
		case time.Now().After(limit):
			return errors.New("it does not end")
		}
	}
}
