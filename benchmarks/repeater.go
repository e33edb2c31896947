package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// compared are the repetitions before the first checkpoint whose median is the
// time of one.
const compared = 4

// A repeater is an MPI program that does the same again and again, says so each
// time, and tells at its end whether its result is right.
type repeater struct {
	family string
	ranks  int
	what   string // in the title
	nas    string // the NAS program that it is, or "" for hello
	args   []string
	// The watched job ends by itself some repetitions after its restart.
	watchedRepeat, timedRepeat int
	path                       string
}

// repeaters are the cases of MPI programs.
var repeaters = map[string]repeater{
	openMPI: nasMG(openMPI),
	mpich:   nasMG(mpich),
	// One communicates much, one exchanges all its data each time, one sends small messages only.
	"cg-openmpi": {family: openMPI, ranks: 4, what: "NAS CG class A", nas: "cg", args: []string{"A"}, watchedRepeat: 40, timedRepeat: 20},
	"is-openmpi": {family: openMPI, ranks: 4, what: "NAS IS class A", nas: "is", args: []string{"A"}, watchedRepeat: 40, timedRepeat: 20},
	"lu-openmpi": {family: openMPI, ranks: 4, what: "NAS LU class W", nas: "lu", args: []string{"W"}, watchedRepeat: 20, timedRepeat: 8},

	"hello-openmpi":   hello(openMPI, 4),
	"hello-mpich":     hello(mpich, 4),
	"hello16-openmpi": hello(openMPI, 16),
	"hello16-mpich":   hello(mpich, 16),
	"hello64-openmpi": hello(openMPI, 64),
	"table-openmpi":   table(openMPI),
	"table-mpich":     table(mpich),
}

func nasMG(family string) repeater {
	return repeater{family: family, ranks: 4, what: "NAS MG class A", nas: "mg", args: []string{"A"}, watchedRepeat: 12, timedRepeat: 96}
}

// hello is an MPI program that idles: what is left is what a job costs as such.
func hello(family string, ranks int) repeater {
	return repeater{family: family, ranks: ranks, what: "MPI hello, idle", args: []string{"0"}, watchedRepeat: 200, timedRepeat: 150}
}

// table is the same with a table of 256 MiB in each rank, equal in all.
func table(family string) repeater {
	return repeater{
		family: family, ranks: 4, what: "MPI hello, the same table of 256 MiB in every rank", args: []string{"256"}, watchedRepeat: 200, timedRepeat: 150,
	}
}

//go:embed testdata/hello.c
var helloSource []byte

// build makes the program. One of NAS is copied, so that its processes can be
// told from others.
func (m *repeater) build(o options) error {
	if m.nas == "" {
		return compile("mpicc."+m.family, helloSource, m.path)
	}
	b, err := os.ReadFile(filepath.Join(o.nas, m.family, m.nas))
	if err != nil {
		return fmt.Errorf("%w; make build makes it, -nas says where it is", err)
	}
	return os.WriteFile(m.path, b, 0o755)
}

func (m *repeater) title() string {
	name := map[string]string{openMPI: "Open MPI", mpich: "MPICH"}[m.family]
	return fmt.Sprintf("%s, %d ranks on one host, %s", m.what, m.ranks, name)
}

func (m *repeater) notes() []string {
	return []string{
		"the pause is the longest time in which no rank's main thread got the processor, from the beginning of the checkpoint to 0.2 s after its end, less the same of as long a time before it",
		"a restart comes right after a repetition was finished: its time is that until the next one is, less the median time of a repetition",
	}
}

func (m *repeater) job(repeat int) *job {
	return &job{
		argv: append([]string{m.path}, m.args...), ranks: m.ranks, mpi: m.family,
		env: []string{fmt.Sprintf("NAS_REPEAT=%d", repeat), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"},
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
