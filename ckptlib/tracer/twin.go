package tracer

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// nowhere is the stack pointer of a twin. A twin that lost its tracer before
// PTRACE_O_EXITKILL is set would run on as a second copy of the program; with
// every signal blocked and no stack the first return kills it.
const nowhere = 8

// StartTwin begins to copy the process of an entered thread, memory
// copy-on-write, as a stopped child that no wait of the program sees: its exit
// signal is 0 (clone(2), __WCLONE). The copy shares the descriptor table, so that
// no pipe or connection is held open by it. Copies of several processes are made
// at the same time, each on its own processor, if all are started before the
// first FinishTwin.
func (r *Remote) StartTwin() error {
	if err := r.tr.SetOptions(r.TID, unix.PTRACE_O_TRACECLONE); err != nil {
		return err
	}
	regs := r.call(unix.SYS_CLONE, []uint64{unix.CLONE_FILES, nowhere})
	if err := r.tr.SetRegs(r.TID, &regs); err != nil {
		return err
	}
	r.child, r.stops = 0, 0
	if err := r.goOn(); err != nil {
		return err
	}
	if err := r.finishStep(1, time.Now().Add(syscallTimeout)); err != nil {
		return err
	}
	return r.goOn()
}

// FinishTwin waits for the copy that StartTwin began and returns its pid as the
// tracer sees it. It dies with the tracer; whoever has it ends it with Kill, and
// then has its parent reap it. An unix.Errno says why the kernel made none.
func (r *Remote) FinishTwin() (pid int, err error) {
	err = r.finishStep(2, time.Now().Add(syscallTimeout))
	if err == nil {
		_, err = r.result()
	}
	pid = r.child
	if err == nil {
		_, err = r.tr.WaitStop(pid)
	}
	if err == nil {
		err = r.tr.SetOptions(pid, unix.PTRACE_O_EXITKILL)
	}
	err = errors.Join(err, r.tr.SetOptions(r.TID, Job))
	if err == nil {
		return pid, nil
	}
	if pid != 0 {
		err = errors.Join(err, r.tr.Kill(pid))
	}
	return 0, fmt.Errorf("clone in thread %d: %w", r.TID, err)
}

// Reap takes the end of a process that Kill has ended off its parent, as the
// parent's own wait4(2) would. Scratch memory is not needed. podPID is the dead
// child's pid in the pod.
func (r *Remote) Reap(podPID int) error {
	_, err := r.Syscall(unix.SYS_WAIT4, uint64(podPID), 0, unix.WALL|unix.WNOHANG, 0)
	return err
}
