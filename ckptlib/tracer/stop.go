package tracer

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
)

// Options of Seize.
const (
	// Job is for processes of the user: they outlive the tracer.
	Job = 0
	// Doomed is for processes of the user while their memory is not whole: they die
	// with the tracer.
	Doomed = unix.PTRACE_O_EXITKILL
	// Stub is for processes being built: they die with the tracer, and their
	// children and threads are traced and stopped from birth.
	Stub = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_EXITKILL
	// Parent is for the pod's init while it makes a stub: the child is traced
	// from birth, the init does not die with the tracer.
	Parent = unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK
)

// Seize begins to trace a thread, without stopping it.
func (tr Tracing) Seize(tid, options int) error {
	if tr.late[tid] {
		delete(tr.late, tid) // it is ours still
		return nil
	}
	return tr.request("PTRACE_SEIZE", unix.PTRACE_SEIZE, tid, 0, uintptr(options))
}

// SetOptions changes the options. Preconditions: the thread is stopped.
func (tr Tracing) SetOptions(tid, options int) error {
	return tr.request("PTRACE_SETOPTIONS", unix.PTRACE_SETOPTIONS, tid, 0, uintptr(options))
}

// Interrupt asks a seized thread to stop; WaitStop waits for it.
func (tr Tracing) Interrupt(tid int) error {
	return tr.request("PTRACE_INTERRUPT", unix.PTRACE_INTERRUPT, tid, 0, 0)
}

// Detach lets a stopped thread run on, untraced.
func (tr Tracing) Detach(tid int) error {
	return tr.request("PTRACE_DETACH", unix.PTRACE_DETACH, tid, 0, 0)
}

// Kill ends a traced process and takes the tracer's share of its end, so that
// its parent can reap it.
func (tr Tracing) Kill(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return &ThreadError{"kill", pid, err}
	}
	deadline := time.Now().Add(killTimeout)
	for {
		ws, err := tr.wait(pid, deadline)
		if Gone(err) {
			return nil
		}
		if err != nil || ws.Exited() || ws.Signaled() {
			return err
		}
	}
}

// Stop is how a thread stopped.
type Stop struct {
	// Group is true if the thread's process was already stopped by a signal
	// (SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU), which is then Signal.
	Group  bool
	Signal unix.Signal
}

// killTimeout bounds the wait for a process that has been killed. It ends by
// itself, but frees its memory first, and hundreds that have the same libraries
// mapped wait for each other then (i_mmap_rwsem, in unlink_file_vma).
const killTimeout = time.Minute

// stopTimeout bounds the wait for one thread. A running thread stops within
// microseconds; one that sleeps in the kernel where no signal reaches it (a
// parent in vfork(2), a dead network file system) may not stop at all, and the
// checkpoint is then given up. One that waits for a processor, because many others do,
// stops when it gets one: starvedTimeout bounds that.
const (
	stopTimeout    = 3 * time.Second
	starvedTimeout = 60 * time.Second
)

// ErrNotStopping is wrapped by the error of WaitStop for a thread that does not
// stop in time.
var ErrNotStopping = errors.New("does not stop in time")

// WaitStop waits until an interrupted thread is in its PTRACE_EVENT_STOP.
// Signals that arrive first are delivered as if nobody looked. If the thread
// ends instead the error satisfies Gone; if it does not stop in time the error
// wraps ErrNotStopping and the thread is still traced and may stop later.
func (tr Tracing) WaitStop(tid int) (Stop, error) { return tr.waitStop(tid, tr.waitLong) }

// WaitStopIn is WaitStop with a time limit of its own.
func (tr Tracing) WaitStopIn(tid int, limit time.Duration) (Stop, error) {
	deadline := time.Now().Add(limit)
	return tr.waitStop(tid, func(tid int) (unix.WaitStatus, error) { return tr.wait(tid, deadline) })
}

func (tr Tracing) waitStop(tid int, wait func(tid int) (unix.WaitStatus, error)) (Stop, error) {
	for {
		ws, err := wait(tid)
		if err != nil {
			return Stop{}, err
		}
		if !ws.Stopped() {
			return Stop{}, &ThreadError{"wait4", tid, unix.ESRCH}
		}
		if int(ws)>>16 == ptraceEventStopVal {
			sig := ws.StopSignal()
			return Stop{Group: sig != unix.SIGTRAP, Signal: sig}, nil
		}
		sig := ws.StopSignal()
		if int(ws)>>16 != 0 {
			sig = 0 // another event, such as an exec's; not a signal
		}
		if err := tr.Cont(tid, sig); err != nil {
			return Stop{}, err
		}
	}
}

// Cont lets a stopped thread run on, still traced, with a signal to deliver if
// sig is not 0.
func (tr Tracing) Cont(tid int, sig unix.Signal) error {
	return tr.request("PTRACE_CONT", unix.PTRACE_CONT, tid, 0, uintptr(sig))
}

// Deliver sends a signal to the process of a stopped thread that does not block
// it, lets the thread run and waits until the signal has stopped or ended it.
// The returned status is never of another stop.
func (tr Tracing) Deliver(tid int, sig unix.Signal) (unix.WaitStatus, error) {
	if err := unix.Kill(tid, sig); err != nil {
		return 0, &ThreadError{"kill", tid, err}
	}
	var next unix.Signal
	for {
		if err := tr.Cont(tid, next); err != nil && !Gone(err) {
			return 0, err
		}
		ws, err := tr.waitLong(tid)
		if err != nil || !ws.Stopped() {
			return ws, err
		}
		if int(ws)>>16 == ptraceEventStopVal && ws.StopSignal() == sig {
			return ws, nil
		}
		next = 0
		if int(ws)>>16 == 0 && ws.StopSignal() == sig {
			next = sig
		}
	}
}

// wait is wait4 of one thread with a deadline. It spins first: most stops come
// sooner than a sleep would end.
func (tr Tracing) wait(tid int, deadline time.Time) (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	for i := 0; ; i++ {
		pid, err := unix.Wait4(tid, &ws, unix.WALL|unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return ws, &ThreadError{"wait4", tid, err}
		}
		if pid == tid {
			return ws, nil
		}
		if time.Now().After(deadline) {
			return ws, &ThreadError{"wait4", tid, fmt.Errorf("%w: it sleeps in %s", ErrNotStopping, sleepsIn(tid))}
		}
		switch {
		case i < 50:
			runtime.Gosched()
		case i < 500:
			time.Sleep(20 * time.Microsecond)
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

// waitLong is wait for as long as a thread that can stop may take.
func (tr Tracing) waitLong(tid int) (unix.WaitStatus, error) {
	for start := time.Now(); ; {
		ws, err := tr.wait(tid, time.Now().Add(stopTimeout))
		if !errors.Is(err, ErrNotStopping) || !runnable(tid) || time.Since(start) > starvedTimeout {
			return ws, err
		}
	}
}

// runnable tells whether a thread runs or waits for a processor.
func runnable(tid int) bool {
	st, err := procfs.ReadStat(fmt.Sprintf("/proc/%d", tid))
	return err == nil && st.State == 'R'
}

// sleepsIn is where in the kernel a thread sleeps, for messages.
func sleepsIn(tid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/wchan", tid))
	if err != nil || len(b) == 0 {
		return "an unknown place"
	}
	return string(b)
}
