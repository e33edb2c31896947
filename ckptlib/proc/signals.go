package proc

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// pendingSet is the set of signals in a list of siginfo_t.
func pendingSet(list [][]byte) (set uint64) {
	for _, info := range list {
		if n := binary.LittleEndian.Uint32(info); n >= 1 && n <= 64 {
			set |= 1 << (n - 1)
		}
	}
	return set
}

// ignored are the signals that a process does not notice, whether by its wish
// or by default. While it is traced they are queued all the same.
func ignored(s *procfs.Status) uint64 {
	var byDefault uint64
	for _, sig := range []unix.Signal{unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH} {
		byDefault |= 1 << (sig - 1)
	}
	return s.SigIgn | byDefault&^s.SigCgt
}

// sigactionSize is that of the kernel's struct sigaction: handler, flags,
// restorer, mask.
const sigactionSize = 32

// captureSignals reads the dispositions that /proc/PID/status says are not the
// default, and the signals pending for the process.
func captureSignals(tr tracer.Tracing, tid int, b *tracer.Batch, t *Task, p *image.Process) (err error) {
	if p.Signals.Pending, err = tr.Pending(tid, true); err != nil {
		return err
	}
	// Of signals with the default action, the flags of one matter: SA_NOCLDWAIT
	// and SA_NOCLDSTOP.
	set := t.Status.SigIgn | t.Status.SigCgt | 1<<(unix.SIGCHLD-1)
	for sig := 1; sig <= 64; sig++ {
		if set&(1<<(sig-1)) == 0 {
			continue
		}
		err := b.Ask(sigactionSize, func(_ uint64, out []byte, err error) error {
			if err != nil {
				return fmt.Errorf("rt_sigaction of signal %d: %w", sig, err)
			}
			le := binary.LittleEndian
			p.Signals.Actions = append(p.Signals.Actions, image.SigAction{
				Signal: sig, Handler: le.Uint64(out), Flags: le.Uint64(out[8:]), Restorer: le.Uint64(out[16:]), Mask: le.Uint64(out[24:]),
			})
			return nil
		}, unix.SYS_RT_SIGACTION, uint64(sig), 0, tracer.Out, 8)
		if err != nil {
			return err
		}
	}
	return nil
}

// restoreActions sets the dispositions of a stub, which has only defaults but
// for what its agent ignored. SIGTRAP's comes last (restoreTrapAction): no batch
// can be made in a process that ignores it.
func restoreActions(b *tracer.Batch, p *image.Process) error {
	actions := map[int]image.SigAction{}
	for _, a := range p.Signals.Actions {
		actions[a.Signal] = a
	}
	for sig := 1; sig <= 64; sig++ {
		if sig == int(unix.SIGKILL) || sig == int(unix.SIGSTOP) || sig == int(unix.SIGTRAP) {
			continue
		}
		a := actions[sig]
		action := tracer.Words(a.Handler, a.Flags, a.Restorer, a.Mask)
		if err := b.Tell(fmt.Sprintf("set the action of signal %d", sig), action, unix.SYS_RT_SIGACTION, uint64(sig), tracer.In, 0, 8); err != nil {
			return err
		}
	}
	return nil
}

// restoreTrapAction comes after every batch in the process and in those that share
// its dispositions.
func restoreTrapAction(r *tracer.Remote, p *image.Process) error {
	var a image.SigAction
	for _, b := range p.Signals.Actions {
		if b.Signal == int(unix.SIGTRAP) {
			a = b
		}
	}
	addr, err := r.PutWords(0, a.Handler, a.Flags, a.Restorer, a.Mask)
	if err != nil {
		return err
	}
	if _, err := r.Syscall(unix.SYS_RT_SIGACTION, uint64(unix.SIGTRAP), addr, 0, 8); err != nil {
		return fmt.Errorf("set the action of SIGTRAP: %w", err)
	}
	return nil
}

// queueThread makes a thread's own signals pending again. The kernel lets a
// process queue what looks like the kernel's own only to itself, so the thread
// does it; its Remote blocks all signals, so none is delivered.
func queueThread(r *tracer.Remote, pid int, t *image.Thread) error {
	for _, info := range t.Pending {
		addr, err := r.Put(0, info)
		if err != nil {
			return err
		}
		sig := uint64(binary.LittleEndian.Uint32(info))
		if _, err := r.Syscall(unix.SYS_RT_TGSIGQUEUEINFO, uint64(pid), uint64(t.TID), sig, addr); err != nil {
			return fmt.Errorf("queue signal %d for thread %d: %w", sig, t.TID, err)
		}
	}
	return nil
}

// queueProcess makes the signals pending for a process pending again, after
// those that its making has caused are gone: children that were restored as
// zombies have sent it SIGCHLD.
func queueProcess(r *tracer.Remote, p *image.Process) error {
	set, err := r.PutWords(0, 1<<(uint(unix.SIGCHLD)-1), 0, 0) // the set, and a time of zero
	if err != nil {
		return err
	}
	for {
		if _, err := r.Syscall(unix.SYS_RT_SIGTIMEDWAIT, set, 0, set+8, 8); err != nil {
			break // EAGAIN: there is none
		}
	}
	for _, info := range p.Signals.Pending {
		addr, err := r.Put(0, info)
		if err != nil {
			return err
		}
		sig := uint64(binary.LittleEndian.Uint32(info))
		// To the kernel the thread's own id is its process, to which alone it may send
		// what looks like the kernel's.
		if _, err := r.Syscall(unix.SYS_RT_SIGQUEUEINFO, uint64(p.Threads[0].TID), sig, addr); err != nil {
			return fmt.Errorf("queue signal %d for process %d: %w", sig, p.PID, err)
		}
	}
	return nil
}

// seenStops asks a parent of which stopped children it has been told. It is
// captured before them.
func seenStops(r *tracer.Remote, t *Task) error {
	for _, c := range t.stopped {
		// The first word of siginfo_t is the signal's number, 0 if there is nothing to
		// be told.
		const pPID, noHang, stopped, noWait = 1, 1, 2, 0x1000000
		if _, err := r.Syscall(unix.SYS_WAITID, pPID, uint64(c.PodPID), uint64(r.Scratch()), noHang|stopped|noWait, 0); err != nil {
			return fmt.Errorf("waitid of process %d: %w", c.PodPID, err)
		}
		var signo [4]byte
		if err := r.Get(0, signo[:]); err != nil {
			return err
		}
		c.stopSeen = binary.LittleEndian.Uint32(signo[:]) == 0
	}
	return nil
}
