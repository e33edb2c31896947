package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/gompirun/gompirun/ci/reaper"
)

const (
	// sampleInterval is the precision of a standstill. The kernel counts a
	// thread's time at its clock ticks, every 1 to 10 ms.
	sampleInterval = 2 * time.Millisecond
	searchInterval = 500 * time.Millisecond
)

// A sampler watches from outside when the processes of a program run: it reads
// how much time of the processor their main threads got. So it sees the same
// with every tool; the threads that DMTCP adds to a process do not count.
type sampler struct {
	program string // its path
	quit    chan struct{}
	done    sync.WaitGroup

	mu    sync.Mutex
	stops []span // longer than a sample or two
	since time.Time
}

type span struct{ from, to time.Time }

// stopAtLeast is the shortest standstill that is noted.
const stopAtLeast = 5 * time.Millisecond

// sample watches all processes that execute a file until it is told to stop.
func sample(path string) *sampler {
	s := &sampler{program: path, quit: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

func (s *sampler) stop() {
	close(s.quit)
	s.done.Wait()
}

func (s *sampler) run() {
	tick := time.NewTicker(sampleInterval)
	defer tick.Stop()
	var pids []int
	var searched time.Time
	times := map[int]uint64{}
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		if now := time.Now(); now.Sub(searched) > searchInterval {
			pids, searched = programs(s.program), now
		}
		moved := false
		for _, pid := range pids {
			t := cpuTime(pid)
			moved = moved || t != times[pid] && !traced(pid)
			times[pid] = t
		}
		if moved {
			s.sawMove(time.Now())
		}
	}
}

func (s *sampler) sawMove(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() && now.Sub(s.since) >= stopAtLeast {
		s.stops = append(s.stops, span{s.since, now})
	}
	s.since = now
}

// moved is when a process was last seen to run.
func (s *sampler) moved() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

// standstill is the longest time without any move that reaches into the time
// from a to b.
func (s *sampler) standstill(a, b time.Time) (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.stops {
		if x.from.Before(b) && x.to.After(a) {
			longest = max(longest, x.to.Sub(x.from))
		}
	}
	return longest
}

// programs are the processes of the tool, and of the job that it runs, that execute
// the file path.
func programs(path string) (pids []int) {
	program, err := os.Stat(path)
	if err != nil {
		return nil
	}
	for _, pid := range reaper.Processes() {
		info, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && os.SameFile(info, program) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// traced tells whether somebody has a process in ptrace: then what it does is
// not the program's doing but calls that were injected into it.
func traced(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !bytes.Contains(b, []byte("\nTracerPid:\t0\n"))
}

// cpuTime is what a process's main thread has had, in nanoseconds; 0 if it is
// gone.
func cpuTime(pid int) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, pid))
	if err != nil {
		return 0
	}
	first, _, _ := bytes.Cut(b, []byte(" "))
	n, _ := strconv.ParseUint(string(first), 10, 64)
	return n
}
