package tracer

import (
	"time"

	"golang.org/x/sys/unix"
)

// latePeriod is how often the tracer looks for threads that Release could not
// let go at once.
const latePeriod = 20 * time.Millisecond

// Release lets a thread run on, untraced, that may not have stopped yet. One
// that does not stop in time (it waits for a dead file system) is let go when
// it does, by the tracer on its own.
func (tr Tracing) Release(tid int) error {
	_, err := tr.WaitStopIn(tid, latePeriod)
	if err == nil {
		err = tr.Detach(tid)
	}
	if err == nil || Gone(err) {
		return nil
	}
	tr.late[tid] = true
	return nil
}

// releaseLate lets go of those that have stopped since.
func (tr Tracing) releaseLate() {
	for tid := range tr.late {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(tid, &ws, unix.WALL|unix.WNOHANG, nil)
		switch {
		case err == nil && pid == 0, err == unix.EINTR:
			continue
		case err == nil && ws.Stopped():
			var sig uintptr
			if int(ws)>>16 == 0 {
				sig = uintptr(ws.StopSignal()) // on its way when it was seized
			}
			_ = tr.request("PTRACE_DETACH", unix.PTRACE_DETACH, tid, 0, sig) // it may have been killed
		}
		delete(tr.late, tid)
	}
}
