package names

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A tracer is what a checkpoint does to a thread: it stops it and lets it go on.
// Its functions run on one OS thread, as ptrace wants it.
type tracer struct {
	t   testing.TB
	tid int
	do  chan func()
}

func trace(t testing.TB, tid int) *tracer {
	t.Helper()
	tr := &tracer{t: t, tid: tid, do: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the tracer
		for f := range tr.do {
			f()
		}
	}()
	var err error
	tr.run(func() { err = unix.PtraceSeize(tid) })
	if err != nil {
		t.Fatal("seize:", err)
	}
	t.Cleanup(func() { close(tr.do) })
	return tr
}

func (tr *tracer) run(f func()) {
	done := make(chan struct{})
	tr.do <- func() { f(); close(done) }
	<-done
}

// interrupt asks for a stop.
func (tr *tracer) interrupt() {
	tr.t.Helper()
	tr.run(func() {
		if err := unix.PtraceInterrupt(tr.tid); err != nil {
			tr.t.Error("interrupt:", err)
		}
	})
}

// stopped waits for the stop, at most for a time, and returns rax. Signals, such
// as those with which the Go runtime preempts, go to the victim meanwhile.
func (tr *tracer) stopped(limit time.Duration) (rax int64, ok bool) {
	tr.t.Helper()
	tr.run(func() {
		for end := time.Now().Add(limit); ; {
			var status unix.WaitStatus
			got, err := unix.Wait4(tr.tid, &status, unix.WALL|unix.WNOHANG, nil)
			switch {
			case err != nil || got == tr.tid && !status.Stopped():
				tr.t.Errorf("wait4 = %v, %v, want a stop", status, err)
				return
			case got == 0 && time.Now().After(end):
				return
			case got == 0:
				time.Sleep(20 * time.Microsecond)
				continue
			case int(status)>>16 != unix.PTRACE_EVENT_STOP:
				_ = unix.PtraceCont(tr.tid, int(status.StopSignal()))
				continue
			}
			var regs unix.PtraceRegs
			if err := unix.PtraceGetRegs(tr.tid, &regs); err != nil {
				tr.t.Error("read registers:", err)
			}
			rax, ok = int64(regs.Rax), true
			return
		}
	})
	return rax, ok
}

// stop is interrupt and stopped.
func (tr *tracer) stop() int64 {
	tr.t.Helper()
	tr.interrupt()
	rax, ok := tr.stopped(10 * time.Second)
	if !ok {
		tr.t.Fatal("the thread does not stop")
	}
	return rax
}

func (tr *tracer) resume() {
	tr.t.Helper()
	tr.run(func() {
		if err := unix.PtraceCont(tr.tid, 0); err != nil {
			tr.t.Error("continue:", err)
		}
	})
}

// detach lets a stopped thread go for good.
func (tr *tracer) detach() {
	tr.t.Helper()
	tr.run(func() {
		if err := unix.PtraceDetach(tr.tid); err != nil {
			tr.t.Error("detach:", err)
		}
	})
}

// blockedIn waits until a thread waits in a system call.
func blockedIn(t testing.TB, tid, nr int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		b, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/syscall")
		if err != nil {
			t.Fatal(err)
		}
		if word, _, _ := strings.Cut(string(b), " "); word == strconv.Itoa(nr) {
			return
		}
	}
	t.Fatalf("thread %d is not in system call %d", tid, nr)
}
