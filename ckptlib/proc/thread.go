package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

const prGetTIDAddress = 40 // PR_GET_TID_ADDRESS of prctl(2)

// captureThread captures one stopped thread. r is entered in it; the registers
// that Leave will put back may be changed so that an interrupted call goes on.
// abort is where the critical section that it was in is left for, or 0. What the
// thread itself has to be asked is added to b.
func captureThread(tr tracer.Tracing, r *tracer.Remote, b *tracer.Batch, task *Task, t *image.Thread, abort uint64, waits *Waits) error {
	st, err := readStatus(task.PID, r.TID)
	if err != nil {
		return err
	}
	t.TID, t.Comm, t.SigMask = st.PodPID, st.Name, r.Mask()
	if t.Pending, err = tr.Pending(r.TID, false); err != nil {
		return err
	}
	if t.XState, err = tr.XState(r.TID); err != nil {
		return err
	}
	if t.RobustList, t.RobustLen, err = tracer.RobustList(r.TID); err != nil {
		return err
	}
	c, err := tr.Rseq(r.TID)
	if err != nil {
		return fmt.Errorf("%w (Linux 5.13 is needed)", err)
	}
	t.Rseq = image.Rseq{Address: c.Address, Size: c.Size, Signature: c.Signature, Flags: c.Flags}
	if abort != 0 {
		r.Saved().Rip = abort
	}
	t.Restart = waits.interrupted(r.TID, r.Saved())
	t.Registers = tracer.RegsBytes(r.Saved())
	if t.TimerSlack, err = number(r.TID, "timerslack_ns", 10); err != nil {
		return err
	}
	return errors.Join(captureInjected(b, t), captureMemoryPolicy(b, t), captureSched(r.TID, t), captureIOPriority(r.TID, t))
}

// captureInjected asks the thread what only it can tell.
func captureInjected(b *tracer.Batch, t *image.Thread) error {
	le := binary.LittleEndian
	return errors.Join(
		b.Ask(8, func(_ uint64, out []byte, err error) error {
			if err != nil {
				return fmt.Errorf("prctl PR_GET_TID_ADDRESS (CONFIG_CHECKPOINT_RESTORE is needed): %w", err)
			}
			t.ClearTID = le.Uint64(out)
			return nil
		}, unix.SYS_PRCTL, prGetTIDAddress, tracer.Out),
		b.Ask(24, func(_ uint64, out []byte, err error) error {
			if err != nil {
				return fmt.Errorf("sigaltstack: %w", err)
			}
			for i := range t.SigStack {
				t.SigStack[i] = le.Uint64(out[8*i:])
			}
			return nil
		}, unix.SYS_SIGALTSTACK, 0, tracer.Out),
		b.Ask(8, func(_ uint64, out []byte, err error) error {
			if err != nil {
				return fmt.Errorf("prctl PR_GET_PDEATHSIG: %w", err)
			}
			t.PDeathSig = int(le.Uint32(out))
			return nil
		}, unix.SYS_PRCTL, unix.PR_GET_PDEATHSIG, tracer.Out),
	)
}

// restoreThread gives a stopped stub thread everything of the image but its
// registers and mask, which come last (finishThread). The process's memory is
// there already: the kernel writes to rseq's and reads the stack's addresses.
func restoreThread(r *tracer.Remote, t *image.Thread) error {
	b := r.Batch()
	err := errors.Join(
		b.Tell("set its name", append([]byte(t.Comm), 0), unix.SYS_PRCTL, unix.PR_SET_NAME, tracer.In),
		b.Tell("set_tid_address", nil, unix.SYS_SET_TID_ADDRESS, t.ClearTID),
		b.Tell("set its timer slack", nil, unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, t.TimerSlack),
		restoreSigStack(b, t),
	)
	if t.RobustList != 0 {
		err = errors.Join(err, b.Tell("set its robust list", nil, unix.SYS_SET_ROBUST_LIST, t.RobustList, t.RobustLen))
	}
	if t.Rseq.Address != 0 {
		// The image's flags are those of a registration (0), never RSEQ_FLAG_UNREGISTER.
		err = errors.Join(err, b.Tell("register rseq", nil, unix.SYS_RSEQ, t.Rseq.Address, uint64(t.Rseq.Size), 0, uint64(t.Rseq.Signature)))
	}
	if t.FS != nil {
		err = errors.Join(err, restoreFS(b, t.FS))
	}
	if err = errors.Join(err, b.Run()); err != nil {
		return err
	}
	if err := restoreMemoryPolicy(r, t); err != nil {
		return err
	}
	if err := restoreSched(r.TID, t); err != nil {
		return err
	}
	restoreIOPriority(r.TID, t)
	return nil
}

// restoreDeathSignal sets the signal by which a thread's process learns of the
// end of its parent's thread. It comes after the ends of leaders, and after the
// credentials: a change of user clears it.
func restoreDeathSignal(r *tracer.Remote, t *image.Thread) error {
	if t.PDeathSig == 0 {
		return nil
	}
	_, err := r.Syscall(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uint64(t.PDeathSig))
	return err
}

// restoreSigStack sets the alternative signal stack. A thread that was on it
// has SS_ONSTACK in the image, which sigaltstack(2) does not take: the kernel
// finds it out from the stack pointer.
func restoreSigStack(b *tracer.Batch, t *image.Thread) error {
	const onStack = 1
	s := t.SigStack
	if s[0] == 0 {
		return nil
	}
	return b.Tell("set its signal stack", tracer.Words(s[0], s[1]&^onStack, s[2]), unix.SYS_SIGALTSTACK, tracer.In, 0)
}

// finishThread gives a thread its registers and mask: it is what it was.
func finishThread(tr tracer.Tracing, tid int, t *image.Thread) error {
	regs, ok := tracer.RegsFrom(t.Registers)
	if !ok {
		return fmt.Errorf("thread %d: %d bytes of registers: the image is of another architecture", t.TID, len(t.Registers))
	}
	goOn(&regs, t.Restart)
	if err := tr.SetRegs(tid, &regs); err != nil {
		return err
	}
	if err := tr.SetXState(tid, t.XState); err != nil {
		return fmt.Errorf("thread %d: extended registers: %w (has this host's processor all features of the image's?)", t.TID, err)
	}
	return tr.SetSigMask(tid, t.SigMask)
}

// captureSched reads scheduling attributes, which need no stop.
func captureSched(tid int, t *image.Thread) error {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return fmt.Errorf("sched_getattr: %w", err)
	}
	t.Policy, t.Priority, t.Nice = int(attr.Policy), int(attr.Priority), int(attr.Nice)
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &set); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	for _, w := range set {
		t.Affinity = append(t.Affinity, uint64(w))
	}
	for n := len(t.Affinity); n > 0 && t.Affinity[n-1] == 0; n-- {
		t.Affinity = t.Affinity[:n-1]
	}
	return nil
}

// restoreSched sets them as far as this host and user may: another host may
// have other processors, and only root may raise a priority.
func restoreSched(tid int, t *image.Thread) error {
	var set unix.CPUSet
	n := copy(unsafe.Slice((*uint64)(unsafe.Pointer(&set[0])), len(set)), t.Affinity)
	if n > 0 {
		_ = unix.SchedSetaffinity(tid, &set) // EINVAL: this host has none of them
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: uint32(t.Policy), Priority: uint32(t.Priority), Nice: int32(t.Nice)}
	_ = unix.SchedSetAttr(tid, &attr, 0) // EPERM: it was started with more rights
	return nil
}
