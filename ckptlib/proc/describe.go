package proc

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib/image"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/tracer"
)

// A Task is a process that is stopped.
type Task struct {
	PID  int   // as this process sees it
	Lead int   // likewise, its first thread that lives: PID, but for processes whose leader has ended
	TIDs []int // likewise, the threads that live, Lead first
	// PodPID is the pid in the pod.
	PodPID int
	Zombie bool
	// Stopped is the signal by which the job itself had stopped the process, 0 if
	// it was running.
	Stopped unix.Signal
	Status  procfs.Status
	Stat    procfs.Stat
	VMAs    []procfs.VMA
	VDSO    tracer.Addr

	leader *image.Zombie // of a process that has gone on without

	shares uint64       // flags of clone(2), of what an earlier process in the list has as well
	bornOf *Task        // a child of the same parent with which it shares, nil if that is the parent
	memory *Task        // whose memory it has, if that is not its own
	own    []*ownThread // its threads that have not all in common with it

	stopped  []*Task // the children that the job had stopped
	stopSeen bool    // the parent has been told of the stop
	hidden   bool    // its files in /proc are root's: it is not dumpable
	dumpable uint64  // of a hidden process, as prctl(2) has it
}

// userCS64 is the code segment of 64-bit programs, arch/x86/include/asm/segment.h.
const userCS64 = 0x33

// errEnded says that a process has ended since it was listed: it was on its way
// out when it was seized.
var errEnded = errors.New("suspend: a process has ended meanwhile")

// describe reads what /proc tells of each process.
func (ts *Tasks) describe(tr tracer.Tracing, group map[int]unix.Signal) error {
	init, err := procfs.ReadStatus(fmt.Sprintf("/proc/%d", ts.Init))
	if err != nil {
		return fmt.Errorf("suspend: %w", err)
	}
	byPID := map[int]*Task{}
	for _, t := range ts.List {
		byPID[t.PID] = t
		if err := t.identify(tr); tracer.Gone(err) || errors.Is(err, os.ErrNotExist) {
			return errEnded
		} else if err != nil {
			return fmt.Errorf("suspend: %w", err)
		}
		if err := t.threads(ts.stopped); errors.Is(err, errEnded) {
			return err
		} else if err != nil {
			return fmt.Errorf("suspend: %w", err)
		}
		if t.Stopped = t.groupStop(group); t.Stopped != 0 {
			if parent := byPID[t.Stat.PPID]; parent != nil {
				parent.stopped = append(parent.stopped, t)
			}
		}
		if hint := t.refuse(&init); hint != "" {
			return fmt.Errorf("process %d (%s) %s", t.PodPID, t.Status.Name, hint)
		}
	}
	if err := ts.mappings(); err != nil {
		return fmt.Errorf("suspend: %w", err)
	}
	pod, err := domainOf(ts.Init)
	if err != nil {
		return fmt.Errorf("suspend: %w", err)
	}
	for _, t := range ts.List {
		if t.Zombie {
			continue
		}
		if t.VDSO == 0 {
			return fmt.Errorf("process %d (%s) has no vdso and cannot be checkpointed", t.PodPID, t.Status.Name)
		}
		// The calls that are made in a process are those of 64-bit programs.
		r, err := tr.Regs(t.Lead)
		if err != nil {
			return fmt.Errorf("suspend process %d (%s): %w", t.PodPID, t.Status.Name, err)
		}
		if r.Cs != userCS64 {
			return fmt.Errorf("process %d (%s) is a 32-bit program, which cannot be checkpointed: build it for 64 bits", t.PodPID, t.Status.Name)
		}
		if err := t.show(tr); err != nil {
			return fmt.Errorf("suspend process %d (%s): %w", t.PodPID, t.Status.Name, err)
		}
		hint, err := pod.left(t)
		if err != nil {
			return fmt.Errorf("suspend process %d (%s): %w", t.PodPID, t.Status.Name, err)
		}
		if hint != "" {
			return fmt.Errorf("process %d (%s) %s", t.PodPID, t.Status.Name, hint)
		}
	}
	return ts.sharing()
}

// identify reads who a process is.
func (t *Task) identify(tr tracer.Tracing) (err error) {
	dir := fmt.Sprintf("/proc/%d", t.PID)
	if t.Status, err = procfs.ReadStatus(dir); err != nil {
		return err
	}
	if t.Status.State != 'Z' && t.Status.State != 't' {
		// Another thread has executed a program since and is the leader now.
		if _, err := tr.WaitStop(t.PID); err != nil {
			return err
		}
		if t.Status, err = procfs.ReadStatus(dir); err != nil {
			return err
		}
	}
	t.PodPID, t.Zombie = t.Status.PodPID, t.Status.State == 'Z'
	t.Stat, err = procfs.ReadStat(dir)
	return err
}

// threads lists the threads, the leader first. One that has ended meanwhile is
// not among the stopped.
func (t *Task) threads(stopped map[int]bool) error {
	tids, err := procfs.Tasks(t.PID)
	if err != nil {
		return err
	}
	t.TIDs, t.Lead = nil, t.PID
	if !t.Zombie {
		t.TIDs = []int{t.PID}
	}
	for _, tid := range tids {
		if tid != t.PID && stopped[tid] {
			t.TIDs = append(t.TIDs, tid)
		}
	}
	switch {
	case !t.Zombie || len(tids) == 1:
		return nil
	case len(t.TIDs) == 0:
		return errEnded // its last threads are about to
	}
	return t.outlived()
}

// groupStop is the signal by which the job is stopping the process, 0 if none.
// Threads that were interrupted before the signal came do not know of it yet.
func (t *Task) groupStop(group map[int]unix.Signal) unix.Signal {
	for _, tid := range t.TIDs {
		if sig := group[tid]; sig != 0 {
			return sig
		}
	}
	return 0
}

// refuse says why a process cannot be checkpointed and what to do, or "".
func (t *Task) refuse(init *procfs.Status) string {
	if !t.Zombie && (t.Status.Seccomp == 1 || t.Status.SeccompFilters > init.SeccompFilters) {
		return "has confined itself by seccomp(2), which a restart cannot repeat: run the program without its sandbox"
	}
	return ""
}

// mappings reads the mappings of all processes.
func (ts *Tasks) mappings() error {
	return ts.Each(func(t *Task) (err error) {
		t.VMAs, err = procfs.Maps(t.Lead, false)
		for _, v := range t.VMAs {
			if v.Name == "[vdso]" {
				t.VDSO = tracer.Addr(v.Start)
			}
		}
		return err
	})
}

// Each calls fn for every process but zombies, from as many goroutines as there
// are processors, and returns the first error.
func (ts *Tasks) Each(fn func(*Task) error) error {
	next := make(chan *Task)
	errs := make(chan error, len(ts.List))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for t := range next {
				if err := fn(t); err != nil {
					errs <- err
				}
			}
		})
	}
	for _, t := range ts.List {
		if !t.Zombie {
			next <- t
		}
	}
	close(next)
	wg.Wait()
	close(errs)
	return <-errs
}
