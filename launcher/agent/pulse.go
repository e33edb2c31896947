package agent

import (
	"context"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
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
