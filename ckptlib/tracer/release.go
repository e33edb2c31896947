package tracer

import (
	"time"

	"golang.org/x/sys/unix"
)

// latePeriod is how often the tracer looks for threads of ReleaseLater.
const latePeriod = 20 * time.Millisecond

// ReleaseLater has the tracer let go of a thread on its own when it stops, or has
// ended: it was asked to stop and does not (it waits for a dead file system, say),
// or was killed before it could be let go.
func (tr Tracing) ReleaseLater(tid int) { tr.late[tid] = true }

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
