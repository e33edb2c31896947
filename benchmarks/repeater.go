package main

import (
	"context"
	_ "embed"
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
	// compared are the repetitions before the first checkpoint whose median is
	// the time of one.
	compared = 4
)

// A repeater is an MPI program that does the same again and again, says so each
// time, and tells at its end whether its result is right.
type repeater struct {
	family, path string
	what         string // in the title
	// The watched job ends by itself some repetitions after its restart.
	watchedRepeat, timedRepeat int
	// run makes the arguments and the environment for n repetitions.
	run func(n int) (args, env []string)
}

// newMG is NAS MG, class A. The program is copied, so that its processes can be
// told from others.
func newMG(family string, o options, dir string) (*repeater, error) {
	from, err := os.Open(filepath.Join(o.nas, family, "mg"))
	if err != nil {
		return nil, fmt.Errorf("%w; make build makes it, -nas says where it is", err)
	}
	defer from.Close()
	m := &repeater{
		family: family, path: filepath.Join(dir, "mg-"+family), what: "NAS MG class A",
		watchedRepeat: 12, timedRepeat: 16, // long enough for some checkpoints
		run: func(n int) (args, env []string) { return []string{"A"}, []string{fmt.Sprintf("NAS_REPEAT=%d", n)} },
	}
	to, err := os.OpenFile(m.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(to, from); err != nil {
		return nil, err
	}
	return m, to.Close()
}

//go:embed testdata/hello.c
var helloSource []byte

// newHello is an MPI program that idles: what is left is what a job costs as
// such.
func newHello(family, dir string) (*repeater, error) {
	m := &repeater{
		family: family, path: filepath.Join(dir, "hello-"+family), what: "MPI hello, idle",
		watchedRepeat: 200, timedRepeat: 150,
		run: func(n int) (args, env []string) { return []string{fmt.Sprint(n)}, nil },
	}
	return m, compile("mpicc."+family, helloSource, m.path)
}

func (m *repeater) title() string {
	name := map[string]string{openMPI: "Open MPI", mpich: "MPICH"}[m.family]
	return fmt.Sprintf("%s, %d ranks on one host, %s", m.what, ranks, name)
}

func (m *repeater) notes() []string {
	return []string{
		"the pause is the longest time in which no rank's main thread got the processor, from the beginning of the checkpoint to 0.2 s after its end, less the same of as long a time before it",
		"a restart comes right after a repetition was finished: its time is that until the next one is, less the median time of a repetition",
	}
}

func (m *repeater) job(repeat int) *job {
	args, env := m.run(repeat)
	return &job{
		argv: append([]string{m.path}, args...), ranks: ranks, mpi: m.family,
		env: append(env, "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"),
	}
}

func (m *repeater) watched() *job { return m.job(m.watchedRepeat) }

func (m *repeater) timed() *job { return m.job(m.timedRepeat) }

func (m *repeater) observe(t *tail) observer {
	return &repetitionWatcher{tail: t, sampler: sample(m.path)}
}

// repetitionWatcher reads the lines of a repeater, and watches its processes.
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
