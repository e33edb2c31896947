package agent

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
)

// beat is how often the kernel is made to choose. Of 25 to 200 microseconds,
// tried with 8 ranks of MPICH on 2 processors, 50 and 100 were the best, and a
// thread that wakes each 100 takes 9 % of its processor.
const beat = 100 * time.Microsecond

// pulse makes the kernel choose anew, on every processor that this process may
// use and until ctx ends, which process runs there. Processes that never sleep
// take turns at the scheduler's tick, of which there are 100 to 1000 a second; one
// that wakes up is let in at once, and when it sleeps again, the kernel takes not
// the process that was pushed aside but the one that has had least.
func pulse(ctx context.Context) error {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("ask for the processors of this process: %w", err)
	}
	// Each thread keeps one of the runtime's processors: were its sleep made
	// known to the runtime, that would give the processor to others and back ten
	// thousand times a second (measured: CG then took half as long again).
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + all.Count())
	for cpu, left := 0, all.Count(); left > 0; cpu++ {
		if all.IsSet(cpu) {
			go pulseOn(ctx, cpu)
			left--
		}
	}
	return nil
}

func pulseOn(ctx context.Context, cpu int) {
	runtime.LockOSThread() // for good: the thread ends with this
	var here unix.CPUSet
	here.Set(cpu)
	// If the processor has gone meanwhile, another one gets two pulses.
	_ = unix.SchedSetaffinity(0, &here)
	// Timers of ordinary threads may be 50 microseconds late on purpose.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	setSlice(0, beat)
	t := unix.NsecToTimespec(int64(beat))
	for ctx.Err() == nil {
		_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0) // early is no harm
	}
}

// longest is the longest slice that Linux gives (sched_setattr(2)).
const longest = 100 * time.Millisecond

// lengthen has the pod's processes ask for long slices. One whose slice is shorter,
// the pulse, then pushes aside whoever runs (Linux 6.12), and the order in which
// they wait changes seldom. Without it 8 ranks on a processor were not served in
// turn: CG of class S then took three times as long. Children inherit it.
func (a *agent) lengthen(p *ckptlib.Pod) {
	list, err := p.Processes()
	if err != nil {
		a.log.Warn("slices were not set", "error", err)
	}
	for _, q := range list {
		threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", q.HostPID)) // none if it has ended
		for _, t := range threads {
			if tid, err := strconv.Atoi(t.Name()); err == nil {
				setSlice(tid, longest)
			}
		}
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
