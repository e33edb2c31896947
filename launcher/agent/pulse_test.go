package agent

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// handOver has two threads on one processor, neither of which ever sleeps, give a
// word to each other, as ranks do that poll, and tells how often they did for
// each second of their processor time.
func handOver(t *testing.T, cpu int) float64 {
	t.Helper()
	const work = 100 * time.Millisecond
	var turn atomic.Int64
	var spent [2]time.Duration
	var wg sync.WaitGroup
	for me := range int64(2) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			runtime.LockOSThread() // for good: the thread ends with this
			var here unix.CPUSet
			here.Set(cpu)
			if err := unix.SchedSetaffinity(0, &here); err != nil {
				t.Errorf("bind a thread to processor %d: %v", cpu, err)
				turn.Store(-1)
				return
			}
			for spent[me] < work && turn.Load() >= 0 {
				for i := 0; i < 100_000; i++ {
					if n := turn.Load(); n >= 0 && n%2 == me {
						turn.Add(1)
					}
				}
				var u unix.Rusage
				if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
					t.Errorf("ask for the processor time: %v", err)
					return
				}
				spent[me] = time.Duration(u.Utime.Nano() + u.Stime.Nano())
			}
		}()
	}
	wg.Wait()
	return float64(turn.Load()) / (spent[0] + spent[1]).Seconds()
}

func TestPulseHasProcessesThatNeverSleepTakeTurnsMoreOften(t *testing.T) {
	// The pulse takes room for its threads, the test for its own.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2))
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !all.IsSet(cpu) {
		cpu++
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	without := handOver(t, cpu)
	if err := pulse(ctx); err != nil {
		t.Fatal(err)
	}
	// Something else that runs meanwhile may do the same as a pulse, or keep it
	// from the processor; hence more than one look.
	var with float64
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline) && !t.Failed(); {
		if with = handOver(t, cpu); with > 1000 {
			t.Logf("%.0f turns for each second of processor time, and %.0f without a pulse", with, without)
			return
		}
	}
	t.Errorf("%.0f turns for each second of processor time, want more than the kernel's ticks: 1000", with)
}
