package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	ranks = 4
	// The watched job ends by itself some repetitions after its restart, and
	// says then whether its result is right.
	watchedRepeat = 12
	timedRepeat   = 16 // long enough for some checkpoints
	// compared are the repetitions before the first checkpoint whose median is
	// the time of one.
	compared = 4
)

// mg is NAS MG, class A.
type mg struct {
	family, path string
}

// newMG copies the program, so that its processes can be told from others.
func newMG(family string, o options, dir string) (_ *mg, err error) {
	from, err := os.Open(filepath.Join(o.nas, family, "mg"))
	if err != nil {
		return nil, fmt.Errorf("%w; make build makes it, -nas says where it is", err)
	}
	defer from.Close()
	m := &mg{family: family, path: filepath.Join(dir, "mg-"+family)}
	to, err := os.OpenFile(m.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(to, from); err != nil {
		return nil, err
	}
	return m, to.Close()
}

func (m *mg) title() string {
	name := map[string]string{caseOpenMPI: "Open MPI", caseMPICH: "MPICH"}[m.family]
	return fmt.Sprintf("NAS MG class A, %d ranks on one host, %s", ranks, name)
}

func (m *mg) notes() []string {
	return []string{
		"the pause is the longest time in which no rank's main thread got the processor, from the beginning of the checkpoint to 0.2 s after its end, less the same of as long a time before it",
		"a restart comes right after a repetition was finished: its time is that until the next one is, less the median time of a repetition",
	}
}

func (m *mg) job(repeat int) *job {
	return &job{
		argv: []string{m.path, "A"}, ranks: ranks, mpi: m.family,
		env: []string{
			fmt.Sprintf("NAS_REPEAT=%d", repeat),
			"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
		},
	}
}

func (m *mg) watched() *job { return m.job(watchedRepeat) }

func (m *mg) timed() *job { return m.job(timedRepeat) }

func (m *mg) observe(t *tail) observer {
	return &repetitionWatcher{tail: t, sampler: sample(m.path)}
}

// repetitionWatcher reads the lines of MG, and watches its processes.
type repetitionWatcher struct {
	tail    *tail
	sampler *sampler
}

var repetition = regexp.MustCompile(`^ Repetition \d+ of \d+: [0-9.]+ seconds$`)

// repetitions are the times at which one was finished.
func repetitions(lines []line) (times []time.Time) {
	for _, l := range lines {
		if repetition.MatchString(l.text) {
			times = append(times, l.at)
		}
	}
	return times
}

// lengths are the times between the first n.
func lengths(times []time.Time, n int) (s series) {
	for i := 1; i < min(n, len(times)); i++ {
		s = append(s, times[i].Sub(times[i-1]).Seconds())
	}
	return s
}

// after waits for more than n repetitions.
func (w *repetitionWatcher) after(ctx context.Context, n int) error {
	return until(ctx, "repetition of the program", func() bool { return len(repetitions(w.tail.all())) > n })
}

func (w *repetitionWatcher) ready(ctx context.Context) error { return w.after(ctx, compared) }

func (w *repetitionWatcher) cue(ctx context.Context) error {
	return w.after(ctx, len(repetitions(w.tail.all())))
}

func (w *repetitionWatcher) shows(ctx context.Context, at time.Time) error {
	return until(ctx, "sign of life", func() bool { return w.sampler.moved().After(at) })
}

func (w *repetitionWatcher) gap(a, b time.Time) time.Duration { return w.sampler.standstill(a, b) }

func (w *repetitionWatcher) progress(ctx context.Context, restarted time.Time) (time.Duration, error) {
	var first time.Time
	err := until(ctx, "repetition after the restart", func() bool {
		for _, t := range repetitions(w.tail.all()) {
			if t.After(restarted) {
				first = t
				return true
			}
		}
		return false
	})
	if err != nil {
		return 0, err
	}
	usual := lengths(repetitions(w.tail.all()), compared+1).median()
	return max(0, first.Sub(restarted)-time.Duration(usual*float64(time.Second))), nil
}

var verification = regexp.MustCompile(`^ Verification\s*=\s*(\w+)$`)

func (w *repetitionWatcher) answer(ctx context.Context) (right, asked bool, err error) {
	err = until(ctx, "result", func() bool {
		for _, l := range w.tail.all() {
			if m := verification.FindStringSubmatch(strings.TrimRight(l.text, "\r")); m != nil {
				right = m[1] == "SUCCESSFUL"
				return true
			}
		}
		return false
	})
	return right, true, err
}

func (w *repetitionWatcher) stop() { w.sampler.stop() }
