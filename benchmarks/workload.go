package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// The families of MPI.
const (
	openMPI = "openmpi"
	mpich   = "mpich"
)

// usualCases are measured unless others are asked for.
var usualCases = []string{"process", openMPI, mpich}

// caseNames are all cases.
func caseNames() []string {
	return append(slices.Sorted(maps.Keys(victims)), slices.Sorted(maps.Keys(repeaters))...)
}

// victims are the cases of one process, by what they have other than the first.
var victims = map[string]victim{
	"process":  {perMil: 10, how: "random", threads: 1},
	"half":     {perMil: 10, how: "half", threads: 1},
	"large":    {perMil: 10, how: "random", threads: 1, times: 4},
	"dirty10":  {perMil: 100, how: "random", threads: 1},
	"dirty100": {perMil: 1000, how: "random", threads: 1},
	"threads":  {perMil: 10, how: "random", threads: 8},
}

// A workload is the program of a case.
type workload interface {
	title() string
	notes() []string
	// watched is the job that is checkpointed, timed the one that runs to its
	// end without checkpoints.
	watched() *job
	timed() *job
	observe(t *tail) observer
}

// An observer tells what a watched job does, from its output and from outside.
// It observes one job from its start to its end.
type observer interface {
	// ready waits until the job is in full swing and enough of it has been seen
	// to compare with.
	ready(ctx context.Context) error
	// cue waits for the moment at which a checkpoint may be asked for.
	cue(ctx context.Context) error
	// shows waits until a time is over and all that happened before has been
	// seen.
	shows(ctx context.Context, at time.Time) error
	// gap is the longest time in which the job stood still, of those that reach
	// into the time from a to b.
	gap(a, b time.Time) time.Duration
	// progress waits until the job, restarted at a time, shows that it goes on,
	// and returns how long that took.
	progress(ctx context.Context, restarted time.Time) (time.Duration, error)
	// answer waits for the end and tells whether the result is right; asked is
	// false if this job has no result.
	answer(ctx context.Context) (right, asked bool, err error)
	stop()
}

// newWorkload builds the program of a case, under dir.
func newWorkload(name string, o options, dir string) (workload, error) {
	if r, ok := repeaters[name]; ok {
		r.path = filepath.Join(dir, name)
		return &r, r.build(o)
	}
	v, ok := victims[name]
	if !ok {
		return nil, fmt.Errorf("there is no case %q", name)
	}
	v.path, v.mib = filepath.Join(dir, "victim-"+name), o.mib*max(1, v.times)
	return &v, compile("cc", victimSource, v.path)
}

// compile makes a program of C source.
func compile(compiler string, source []byte, path string, flags ...string) error {
	file := path + ".c"
	if err := os.WriteFile(file, source, 0o644); err != nil {
		return err
	}
	if out, err := exec.Command(compiler, append(flags, "-O2", "-pthread", "-o", path, file)...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile the program to be measured: %w: %s", err, out)
	}
	return nil
}

// until waits for a condition on what a program has shown so far.
func until(ctx context.Context, what string, holds func() bool) error {
	return within(ctx, stepTime, what, holds)
}

func within(ctx context.Context, limit time.Duration, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(tailInterval)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no %s within %v", what, limit)
		case <-tick.C:
		}
	}
	return nil
}
