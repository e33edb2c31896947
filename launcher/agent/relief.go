package agent

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// longest is the longest slice that Linux gives (sched_setattr(2)).
const longest = 100 * time.Millisecond

// How late the timers of ordinary threads may be by the kernel's choice, and by ours.
const (
	usualSlack = 50 * time.Microsecond
	easySlack  = time.Millisecond
)

// relieve sets what a pod's relief asks of its processes. They inherit it from the
// init, and a pod that has been restarted has some already.
//
// With long slices one whose slice is shorter, the pulse, pushes aside whoever runs
// (Linux 6.12), and the order in which they wait changes seldom. Without them 8 ranks on
// a processor were not served in turn: CG of class S then took three times as long.
//
// With slack, ranks that sleep for moments and look again are woken many at a time.
// Open MPI's do so in MPI_Init, each 100 microseconds: those of 128 ranks on 2
// processors left none for the daemons that they waited for.
func (a *agent) relieve(p *ckptlib.Pod, r rpc.Relief) {
	tids, err := p.Threads()
	if err != nil {
		a.log.Warn("slices and timers are as they were", "error", err)
	}
	for _, tid := range tids {
		if r.Slices {
			setSlice(tid, longest)
		}
		setSlack(tid, r.Slack)
	}
}

// setSlice sets how long a thread runs at a time. Linux before 6.12 takes no notice,
// and a thread that has ended needs none.
func setSlice(tid int, d time.Duration) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL {
		return
	}
	attr.Runtime = uint64(d)
	_ = unix.SchedSetAttr(tid, attr, 0)
}

// setSlack lets the timers of a thread be late, or has them be in time again where an
// agent had let them be late. What a program has chosen for itself stays
// (proc_pid_timerslack_ns(5)). A thread that has ended needs none.
func setSlack(tid int, easy bool) {
	file := fmt.Sprintf("/proc/%d/timerslack_ns", tid)
	want, had := easySlack, usualSlack
	if !easy {
		want, had = had, want
	}
	b, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(b)) != strconv.FormatInt(int64(had), 10) {
		return
	}
	_ = os.WriteFile(file, strconv.AppendInt(nil, int64(want), 10), 0) //nolint:forbidigo // an attribute, not a file
}
