package tracer

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// ErrClosed is returned by Do after Close.
var ErrClosed = errors.New("tracer is closed")

// A Tracer owns the OS thread that traces the threads of a pod. Its methods
// are safe for concurrent use; Do calls are served one after another.
type Tracer struct {
	work chan job
	quit chan struct{}
	late map[int]bool // threads to be let go when they stop; of the thread alone
}

type job struct {
	fn   func(Tracing) error
	done chan error
}

// New starts a Tracer. The caller must Close it.
func New() *Tracer {
	t := &Tracer{work: make(chan job), quit: make(chan struct{}), late: map[int]bool{}}
	go t.run()
	return t
}

// run serves Do. The thread is never unlocked: when the goroutine ends the
// runtime destroys the thread, and the kernel detaches what it traced.
func (t *Tracer) run() {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The runtime never destroys the main thread: keep it occupied and trace from
		// another.
		done := make(chan struct{})
		go func() { t.run(); close(done) }()
		<-done
		runtime.UnlockOSThread()
		return
	}
	// SIGURG, by which the runtime preempts goroutines, would interrupt wait4
	// between a step and its stop.
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^uint64(0)
	}
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil) // cannot fail with SIG_SETMASK
	tr := Tracing{thread: unix.Gettid(), late: t.late}
	for {
		var again <-chan time.Time
		if len(t.late) > 0 {
			again = time.After(latePeriod)
		}
		select {
		case j := <-t.work:
			j.done <- call(j.fn, tr)
		case <-again:
			tr.releaseLate()
		case <-t.quit:
			return
		}
	}
}

// call turns a panic into an error: a dead tracer thread would release the job
// in the middle of a checkpoint.
func call(fn func(Tracing) error, tr Tracing) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in a tracer operation: %v\n%s", r, debug.Stack())
		}
	}()
	return fn(tr)
}

// Do runs fn on the tracer's thread and returns its error. Tracing is valid
// only until fn returns. Stops outlast Do: threads that fn leaves stopped stay
// so until a later Do resumes them.
func (t *Tracer) Do(fn func(Tracing) error) error {
	j := job{fn, make(chan error, 1)}
	select {
	case t.work <- j:
		return <-j.done
	case <-t.quit:
		return ErrClosed
	}
}

// Close ends the tracer's thread. Threads that are still traced are detached
// by the kernel and run on, but for stubs, which are killed.
func (t *Tracer) Close() {
	close(t.quit)
}

// Tracing is the right to make ptrace requests. See Tracer.Do.
type Tracing struct {
	thread int
	late   map[int]bool
}

// check panics if a Tracing has leaked out of Do: a programmer's error.
func (tr Tracing) check() {
	if tr.thread == 0 || unix.Gettid() != tr.thread {
		panic("tracer.Tracing used outside of Do")
	}
}

// ThreadError is a failed request about one thread. Op is the request as
// ptrace(2) names it, TID the thread as the tracer sees it.
type ThreadError struct {
	Op  string
	TID int
	Err error
}

func (e *ThreadError) Error() string { return fmt.Sprintf("%s thread %d: %v", e.Op, e.TID, e.Err) }
func (e *ThreadError) Unwrap() error { return e.Err }

// Gone tells whether err says that a thread has ended.
func Gone(err error) bool { return errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ECHILD) }
