package proc

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// The kernel's own errors for an interrupted call, include/linux/errno.h. A
// thread leaves the kernel with them only under a tracer's eyes; the kernel acts
// on them when the thread goes on.
const (
	errRestartSys   = 512 // again, or EINTR if a handler without SA_RESTART runs
	errRestartNoInt = 513 // again
	errRestartNoHnd = 514 // again, or EINTR if a handler runs
	errRestartBlock = 516 // by restart_syscall(2), which knows the time left
)

// Waits remembers over the checkpoints of a pod in which call each thread was
// when it was interrupted: after the first time the registers only tell that it
// is in restart_syscall(2).
type Waits struct {
	calls  map[int]wait
	limits map[int]limited
	marks  uint64 // given out so far
}

// wait is a call and the registers that a thread keeps all the while it is in
// it: another wait of the same thread has others.
type wait struct{ call, rip, rsp, rdi, rsi, rdx uint64 }

// stopped looks at a thread that has just been stopped and sees to it that its
// call goes on whatever becomes of the checkpoint.
func (w *Waits) stopped(tr tracer.Tracing, tid int) error {
	r, err := tr.Regs(tid)
	if err != nil || int64(r.Orig_rax) < 0 {
		return err
	}
	switch -int64(r.Rax) {
	case int64(unix.EINTR):
		return w.again(tr, tid, r)
	case errRestartBlock:
		if w.calls == nil {
			w.calls = map[int]wait{}
		}
		here := wait{callOf(&r), r.Rip, r.Rsp, r.Rdi, r.Rsi, r.Rdx}
		if here.call == unix.SYS_RESTART_SYSCALL {
			if here.call = w.calls[tid].call; here != w.calls[tid] {
				here.call = unix.SYS_RESTART_SYSCALL // of what, nobody knows
			}
		}
		w.calls[tid] = here
	}
	return nil
}

// again makes a stopped thread make its call again if no signal has interrupted
// it, and if the call's time is not over.
func (w *Waits) again(tr tracer.Tracing, tid int, r tracer.Regs) error {
	call := callOf(&r)
	if _, ok := eintr[call]; !ok {
		return nil
	}
	s, err := readStatus(tid, tid)
	if err != nil {
		return err
	}
	mask, err := tr.SigMask(tid)
	if err != nil {
		return err
	}
	for _, shared := range []bool{false, true} {
		pending, err := tr.Pending(tid, shared)
		if err != nil {
			return err
		}
		if pendingSet(pending)&^mask&^ignored(&s) != 0 {
			return nil // its handler decides
		}
	}
	mark, over := w.limit(tid, &r)
	r.Orig_rax = ^uint64(0)
	if over {
		r.Rax = timedOut(call)
	} else {
		r.Rax, r.Rip = mark<<32|call, r.Rip-2
	}
	return tr.SetRegs(tid, &r)
}

// interrupted says how the system call of a stopped thread goes on after a
// restart.
func (w *Waits) interrupted(tid int, r *tracer.Regs) (out image.Restart) {
	if int64(r.Orig_rax) < 0 || -int64(r.Rax) != errRestartBlock {
		return out
	}
	call := w.calls[tid].call
	out.Call, out.Known = int64(call), call != unix.SYS_RESTART_SYSCALL
	switch call {
	case unix.SYS_NANOSLEEP:
		out.TimeLeft = r.Rsi
	case unix.SYS_CLOCK_NANOSLEEP:
		out.TimeLeft = r.R10
	}
	return out
}

// goOn prepares the registers of a restored thread. What the kernel does by
// itself when the thread goes on (512 to 514) is left to it; the restart block,
// which was the old thread's, is replaced by the call itself.
func goOn(r *tracer.Regs, s image.Restart) {
	if int64(r.Orig_rax) < 0 || -int64(r.Rax) != errRestartBlock {
		return
	}
	if !s.Known {
		eint := -int64(unix.EINTR)
		r.Rax = uint64(eint)
		return
	}
	again := -int64(errRestartNoHnd)
	r.Orig_rax, r.Rax = uint64(s.Call), uint64(again)
	// The kernel has written the time that is left to where the program asked for
	// it; without such a place the sleep begins anew.
	switch {
	case s.TimeLeft == 0:
	case s.Call == unix.SYS_NANOSLEEP:
		r.Rdi = s.TimeLeft
	case s.Call == unix.SYS_CLOCK_NANOSLEEP:
		r.Rdx = s.TimeLeft
	}
}

// criticalSection tells where a thread goes on that is inside of a restartable
// sequence: at its abort handler, as the kernel would have it after a preemption.
// 0 is where it stands. It must be asked before any call is made in the thread,
// which ends the sequence for the kernel (rseq(2)).
func criticalSection(tr tracer.Tracing, tid int) (abort uint64, err error) {
	c, err := tr.Rseq(tid)
	if err != nil {
		return 0, fmt.Errorf("%w (Linux 5.13 is needed)", err)
	}
	if c.Address == 0 {
		return 0, nil
	}
	var b [8]byte
	// struct rseq: cpu_id_start, cpu_id, rseq_cs.
	if err := tracer.ReadMemory(tid, tracer.Addr(c.Address+8), b[:]); err != nil {
		return 0, err
	}
	cs := binary.LittleEndian.Uint64(b[:])
	if cs == 0 {
		return 0, nil
	}
	// struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip.
	var d [32]byte
	if err := tracer.ReadMemory(tid, tracer.Addr(cs), d[:]); err != nil {
		return 0, err
	}
	regs, err := tr.Regs(tid)
	if err != nil {
		return 0, err
	}
	start, length := binary.LittleEndian.Uint64(d[8:]), binary.LittleEndian.Uint64(d[16:])
	if regs.Rip-start < length {
		abort = binary.LittleEndian.Uint64(d[24:])
	}
	return abort, nil
}
