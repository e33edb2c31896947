package ckptlib_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/conn"
)

// refused makes a checkpoint that must fail and returns the reason. The job
// goes on.
func (j *job) refused() string {
	j.t.Helper()
	gen, err := j.store.Begin()
	if err != nil {
		j.t.Fatal(err)
	}
	c, err := j.pod.Suspend()
	if err != nil {
		return err.Error()
	}
	defer func() {
		if err := c.Abort(); err != nil {
			j.t.Error(err)
		}
	}()
	ends, err := c.Ends()
	if err != nil {
		return err.Error()
	}
	if err := c.Name(conn.Match([]conn.Ends{ends})[0]); err != nil {
		return err.Error()
	}
	if err := c.Snapshot(j.store, gen, ckptlib.SnapshotOptions{Compress: "none"}); err != nil {
		return err.Error()
	}
	j.t.Fatal("the checkpoint was not refused")
	return ""
}

func TestRefusalNamesProcessAndRemedyAndTheJobGoesOn(t *testing.T) {
	asUser(t)
	prog := compile(t, "odd")
	for kind, words := range map[string][]string{
		"traced":      {"(odd)", "is traced by process", "detach"},
		"seccomp":     {"(odd)", "seccomp", "without its sandbox"},
		"vfork":       {"(odd) waits for the vfork(2) of process", "end that process"},
		"namespace":   {"(odd)", "user namespace of its own", "inside of the container"},
		"chroot":      {"(odd)", "another root directory", "/usr"},
		"distant":     {"(odd)", "shares its descriptors with process", "neither its parent", "end one of them"},
		"distant-fs":  {"(odd)", "shares its working directory with process", "neither its parent"},
		"of-a-thread": {"(odd)", "a thread, ", "that shares its descriptors with process"},
	} {
		if kind == "chroot" && os.Geteuid() != 0 {
			continue // not for users
		}
		t.Run(kind, func(t *testing.T) {
			j := odd(t, prog, kind)
			before := j.settled()
			tries := 2
			if kind == "vfork" {
				tries = 1 // it takes its time
			}
			j.refusedWith(tries, words)
			if kind != "vfork" { // the tracer lets go of a thread when it stops, after its child
				j.invisible("the refused checkpoint", before)
			}
			j.undo()
			j.restart()
			j.want("count", "3")
		})
	}
}

func TestRefusalNamesObjectAndRemedyAndTheJobGoesOn(t *testing.T) {
	asUser(t)
	prog := compile(t, "odd")
	for kind, words := range map[string][]string{
		"+io_uring":    {"fd 5 (anon_inode:[io_uring])", "ordinary reads and writes"},
		"+userfaultfd": {"fd 5 (anon_inode:[userfaultfd])", "page faults otherwise"},
		"+perf":        {"fd 5 (anon_inode:[perf_event])", "without the profiler"},
		"+aio":         {"its mapping of /[aio]"},
		"+secret":      {"secretmem"},
		"+raw":         {"fd 5 (socket:[", "only TCP and UDP"},
		"+vsock":       {"fd 5 (socket:[", "sockets may be of"},
		"+alg":         {"fd 5 (socket:[", "sockets may be of"},
		"+fuse":        {"fd 5 (/dev/fuse)", "the device has a state"},
		"+ring":        {"its mapping of anon_inode:[perf_event]", "shares with the process"},
		"+pci":         {"its mapping of ", "/resource0", "device's memory"},
		"+huge-file":   {"its mapping of ", "files of hugetlbfs", "MAP_HUGETLB"},
		"+byte":        {"fd 6 (socket:[", "out-of-band byte", "read it"},
		"+unread":      {"fd 5 (socket:[", "messages that it has not read", "read them"},
		"+group":       {"fd 5 (socket:[", "netlink socket of protocol 16, with 1 groups"},
		"+waiting":     {"fd 5 (socket:[", "has 1 connections that it has not accepted", "end the programs that connect"},
		"+multipath":   {"(socket:[", "multipathtcp=0"},
	} {
		t.Run(kind, func(t *testing.T) {
			if kind == "+huge-file" && os.Geteuid() == 0 {
				mountHuge(t)
			}
			j := odd(t, prog, kind)
			before := j.settled()
			j.refusedWith(1, words)
			j.invisible("the refused checkpoint", before)
			j.undo()
		})
	}
}

// odd starts a process that cannot be checkpointed.
func odd(t *testing.T, prog, kind string) *job {
	t.Helper()
	j := launch(t, prog, kind)
	if got := j.line(); strings.HasPrefix(got, "none: ") {
		t.Skipf("this kernel does not give it to this user: %s", got)
	} else if got != "ready" {
		t.Fatalf("the victim said %q, want ready", got)
	}
	j.want("count", "1")
	return j
}

// refusedWith makes checkpoints that must fail for a reason with these words.
func (j *job) refusedWith(tries int, words []string) {
	j.t.Helper()
	for range tries {
		got := j.refused()
		for _, w := range words {
			if !strings.Contains(got, w) {
				j.t.Errorf("the refusal is %q, want %q in it", got, w)
			}
		}
	}
}

// undo has the process be like others, and makes a checkpoint of it.
func (j *job) undo() {
	j.t.Helper()
	j.want("count", "2")
	j.want("undo", "undone")
	j.checkpoint()
	j.want("count", "3")
}

// mountHuge mounts a hugetlbfs, and tells victims where.
func mountHuge(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "hugetlbfs", 0, ""); err != nil {
		t.Skipf("hugetlbfs cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("HUGE_DIR", dir)
}

func TestProgramOf32BitsIsRefusedUnharmed(t *testing.T) {
	asUser(t)
	prog := compile(t, "narrow", "-m32", "-nostdlib", "-static", "-fno-stack-protector", "-no-pie")
	if err := exec.Command(prog).Run(); err != nil {
		t.Skipf("this kernel has no 32-bit programs: %v", err)
	}
	j := ready(t, prog)
	for range 2 {
		if got := j.refused(); !strings.Contains(got, "(narrow) is a 32-bit program") {
			t.Errorf("the refusal is %q", got)
		}
		j.want("are you there", "yes")
	}
}

func TestCheckpointsInAStormOfProcesses(t *testing.T) {
	asUser(t)
	j := victim(t, "storm")
	for i := range 10 {
		births := field(t, j.ask("births"), "births")
		j.checkpoint()
		for end := time.Now().Add(10 * time.Second); field(t, j.ask("births"), "births") <= births+10; {
			if time.Now().After(end) {
				t.Fatalf("nothing is born any more after checkpoint %d", i)
			}
		}
		if i%3 == 2 {
			j.restart()
		}
	}
	j.want("stop", "ok")
	j.restart()
	j.want("stop", "ok")
}

func TestJobGoesOnWhereverACheckpointIsAborted(t *testing.T) {
	asUser(t)
	j := victim(t, "threads")
	before := j.settled()
	phases := []func(c *ckptlib.Checkpoint, gen int) error{
		func(c *ckptlib.Checkpoint, _ int) error { _, err := c.Ends(); return err },
		func(c *ckptlib.Checkpoint, _ int) error { _, _, err := c.Drain(); return err },
		func(c *ckptlib.Checkpoint, gen int) error {
			return c.Snapshot(j.store, gen, ckptlib.SnapshotOptions{Compress: "none"})
		},
		func(c *ckptlib.Checkpoint, _ int) error { return c.Resume() },
	}
	for n := range len(phases) + 1 {
		gen, err := j.store.Begin()
		if err != nil {
			t.Fatal(err)
		}
		c, err := j.pod.Suspend()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.pod.Suspend(); !errors.Is(err, ckptlib.ErrBusy) {
			t.Errorf("a second Suspend = %v, want ErrBusy", err)
		}
		for _, phase := range phases[:n] {
			if err := phase(c, gen); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Abort(); err != nil {
			t.Errorf("Abort after %d phases: %v", n, err)
		}
		j.invisible("the aborted checkpoint", before)
	}
	j.checkpoint()
	j.want("wake", "ok")
	j.reborn(before)
	j.want("wake", "ok")
}

// own counts what this process has, but for the pipes of the victims' standard
// streams.
func own(t *testing.T) (fds, goroutines, threads, children, mappings int) {
	t.Helper()
	count := func(dir string) (names []string) {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			names = append(names, e.Name())
		}
		return names
	}
	tasks := count("/proc/self/task")
	for _, tid := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + tid + "/children")
		if err == nil {
			children += len(strings.Fields(string(b)))
		}
	}
	for _, fd := range count("/proc/self/fd") {
		if to, err := os.Readlink("/proc/self/fd/" + fd); err == nil && !strings.HasPrefix(to, "pipe:") {
			fds++
		}
	}
	// Go's heap and the stacks of its threads come and go; files that are mapped do not.
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		if strings.Contains(line, "/") {
			mappings++
		}
	}
	return fds, runtime.NumGoroutine(), len(tasks), children, mappings
}

func TestNothingGrowsFromCheckpointToCheckpointAndFromRestartToRestart(t *testing.T) {
	asUser(t)
	j := victim(t, "shared")
	first := j.same("check", "ipc")
	before := j.unharmed()
	// The address translator keeps some goroutines or gives them up as it has work.
	const idle = 4
	var fds, goroutines, children, mappings int
	steady := func(what string, times int, again func()) {
		t.Helper()
		again() // what is made once and kept
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			runtime.GC() // files that nobody has any more are closed
			fds, goroutines, _, children, mappings = own(t)
			if time.Now().After(end.Add(-4 * time.Second)) {
				break
			}
		}
		took := make([]time.Duration, times)
		for i := range took {
			start := time.Now()
			again()
			took[i] = time.Since(start)
		}
		third := func(d []time.Duration) time.Duration { d = slices.Sorted(slices.Values(d)); return d[len(d)/2] }
		t.Logf("%s: %v each in the first third, %v in the last", what, third(took[:times/3]), third(took[2*times/3:]))
		for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			runtime.GC()
			f, g, n, c, m := own(t)
			if f <= fds && g < goroutines+idle && c <= children && m <= mappings {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%s: %d descriptors grew to %d, %d goroutines to %d, %d children to %d, %d mapped files to %d (%d threads)",
					what, fds, f, goroutines, g, children, c, mappings, m, n)
				break
			}
		}
		j.invisible(what, before)
		first("after " + what)
	}
	steady("20 checkpoints", 20, j.checkpoint)
	// Each generation is restarted from the one before, and all look the same.
	steady("25 generations", 25, func() {
		j.restart()
		j.invisible("a restart", before)
		j.checkpoint()
	})
}

// The first that run after a restart may end others before these have been let go.
func TestProcessesThatAreKilledAtTheFirstMomentAfterARestartAreReaped(t *testing.T) {
	asUser(t)
	file := filepath.Join(t.TempDir(), "go")
	j := victim(t, "swift", file)
	j.checkpoint()
	j.pod.Kill()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	j.restart()
	if got := j.line(); got != "killed 40" {
		t.Errorf("the victim said %q, want killed 40", got)
	}
}
