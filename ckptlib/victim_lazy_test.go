package ckptlib_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gompirun/gompirun/ckptlib/fuse"
	"github.com/gompirun/gompirun/ckptlib/fuse/fusetest"
	"github.com/gompirun/gompirun/ckptlib/internal/procfs"
	"github.com/gompirun/gompirun/ckptlib/mem"
	"github.com/gompirun/gompirun/ckptlib/store"
)

// lazily restarts the job lazily.
func (j *job) lazily() {
	j.t.Helper()
	j.held()
	j.pod.ReadBehind()
}

// held restarts the job lazily, and looks whether it is. What nobody waits for is
// read from ReadBehind on.
func (j *job) held() {
	j.t.Helper()
	j.lazy = true
	j.restart()
	j.lazy = false
	if j.pod.Outstanding() == 0 {
		j.t.Fatal("a lazy restart has left nothing to be read")
	}
}

// readIn waits until all memory has been read.
func (j *job) readIn() {
	j.t.Helper()
	if err := j.pod.ReadIn(j.t.Context()); err != nil {
		j.t.Fatal(err)
	}
	if n := j.pod.Outstanding(); n != 0 {
		j.t.Errorf("%d bytes have not been read after ReadIn", n)
	}
}

// answers asks for every change to the memory of a tracked victim, and for its sum
// after each.
func (j *job) answers() (out []string) {
	j.t.Helper()
	for _, c := range []string{
		"store", "read", "vmwrite", "dontneed", "touch-after-dontneed", "remap-over", "move", "protect", "hide", "new", "brk", "fork", "half", "exec", "store",
	} {
		out = append(out, c+": "+j.ask(c)+" "+j.ask("sum"))
	}
	return out
}

// What programs do with memory comes to the same while none of it has been read,
// while it is being read, and when it was read before.
func TestLazyMemoryIsAsGoodAsAnyOther(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "tracked")
	j.checkpoint()
	gen := j.gen
	j.restart()
	want := j.answers()
	j.held()
	if d := cmp.Diff(want, j.answers()); d != "" {
		t.Errorf("before it is read in, the answers differ (-want +got):\n%s", d)
	}
	j.pod.ReadBehind()
	j.readIn()
	same := j.same("sum")
	j.checkpoint()
	j.restart()
	same("after it was read in and restarted again")

	j.gen = gen
	j.lazily()
	if d := cmp.Diff(want, j.answers()); d != "" {
		t.Errorf("while it is read in, the answers differ (-want +got):\n%s", d)
	}
}

// rss is how many bytes of memory a one-process pod has.
func (j *job) rss() int64 {
	j.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", j.only()))
	if err != nil {
		j.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nVmRSS:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		j.t.Fatal(err)
	}
	return kib << 10
}

func TestProgramGoesOnBeforeItsMemoryIsRead(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	const mib = 1 << 20
	j := victim(t, "lazy")
	same := j.same("sum")
	j.checkpoint()
	j.restart()
	if got := j.rss(); got < 16*mib {
		t.Errorf("after a restart that is not lazy it has %d bytes, want all 16 MiB", got)
	}
	j.held()
	j.want("hello", "hello")
	if got, left := j.rss(), j.pod.Outstanding(); got > 8*mib || left < 16*mib {
		t.Errorf("when it answers it has %d bytes and %d have not been read, want at most 8 MiB and all 16", got, left)
	}
	j.pod.ReadBehind()
	j.readIn()
	same("after it was read in")
	maps, err := procfs.Maps(j.only(), false)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(maps, func(v procfs.VMA) bool { return v.End-v.Start >= 16*mib && v.Name == "" && v.Write }) {
		t.Errorf("its memory is not one mapping without a file: %+v", maps)
	}
	if got := fuseFiles(t); got != 0 {
		t.Errorf("this process still serves %d file systems", got)
	}
}

// only is the pid of the pod's one process.
func (j *job) only() int {
	j.t.Helper()
	list, err := j.pod.Processes()
	if err != nil || len(list) != 1 {
		j.t.Fatalf("the pod has the processes %v (%v), want one", list, err)
	}
	return list[0].HostPID
}

// fuseFiles counts the file systems that this process serves, once those that
// nobody needs any more have been closed.
func fuseFiles(t *testing.T) (n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		links, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		n = 0
		for _, l := range links {
			if to, err := os.Readlink(l); err == nil && to == fuse.Device {
				n++
			}
		}
		if n == 0 || time.Now().After(end) {
			return n
		}
	}
}

// Threads write to memory, and have the kernel write to it, all the while it is
// read in: no write is lost, and none comes back.
func TestNoWriteIsLostWhileMemoryIsReadIn(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "lazy")
	j.checkpoint()
	j.held()
	j.want("hammer", "ok")
	j.pod.ReadBehind()
	j.readIn()
	j.want("verify", "ok")
}

// A child has its parent's memory, whoever of them was first to read it.
func TestChildOfALazyProcessHasItsMemory(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "lazy")
	sum := j.ask("sum")
	j.checkpoint()
	j.held()
	j.want("spawn", "ok")
	j.want("all", "ok")
	j.pod.ReadBehind()
	j.readIn()
	j.want("child", sum)
	same := j.same("sum", "child")
	j.checkpoint()
	j.restart()
	same("after another restart")
}

// Calls for which memory that is mapped from a file is not like other memory have
// what they are about read in first.
func TestCallsThatCouldTellHaveTheirMemoryReadFirst(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "lazy")
	j.checkpoint()
	j.held()
	before := j.pod.Outstanding()
	j.want("lock", "ok")
	locked := j.pod.Outstanding()
	if locked >= before || locked == 0 {
		t.Errorf("%d bytes are left to be read after mlock of some pages, want less than %d, and more than 0", locked, before)
	}
	j.want("shrink", "ok")
	if left := j.pod.Outstanding(); left != 0 {
		t.Errorf("%d bytes are left to be read after mremap of all", left)
	}
}

// A checkpoint has the rest read first, and finds unchanged what was only read.
func TestCheckpointDuringALazyRestartHasAllMemory(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "tracked")
	j.checkpoint()
	for range 2 {
		j.lazily()
		j.want("store", "ok")
		j.checkpoint()
		if mem.Probe() == nil && j.result.BytesChanged > 2<<20 {
			t.Errorf("the checkpoint read %d bytes after one page had changed, want at most 2 MiB", j.result.BytesChanged)
		}
	}
	sum := j.ask("sum")
	j.restart()
	// The question has changed one count, and the restart goes back before it.
	j.want("sum", sum)
}

// Memory that cannot be had ends the pod, before anything sees other bytes.
func TestDamagedLazyMemoryEndsThePod(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	for _, how := range []string{"touched", "read in"} {
		t.Run(how, func(t *testing.T) {
			j := victim(t, "lazy")
			j.checkpoint()
			pack := j.damageArea()
			j.held()
			j.want("hello", "hello")
			if how == "touched" {
				if _, err := j.in.WriteString("sum\n"); err != nil {
					t.Fatal(err)
				}
			} else {
				j.pod.ReadBehind()
			}
			select {
			case err := <-j.lost:
				var damaged *store.DamagedError
				if !errors.As(err, &damaged) || damaged.File != pack {
					t.Errorf("the pod was ended for %v, want the damaged pack named", err)
				}
			case <-time.After(time.Minute):
				t.Error("nobody was told that the pod has lost memory")
			}
			j.pod.Kill()
			for _, f := range j.pipes[:2] {
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if got := j.line(); got != "" {
				t.Errorf("the program said %q after its memory was lost", got)
			}
		})
	}
}

// damageArea changes a bit of page 2048 of a lazy victim, and returns the name of the
// pack that it is in.
func (j *job) damageArea() string {
	j.t.Helper()
	word := func(n uint64) uint64 { return 2048*1000003 + n*7919 + 1 } // as the victim has it
	packs, err := filepath.Glob(filepath.Join(j.store.Dir(), "packs", "*"))
	if err != nil {
		j.t.Fatal(err)
	}
	for _, p := range packs {
		b, err := os.ReadFile(p)
		if err != nil {
			j.t.Fatal(err)
		}
		for at := 0; at+store.PageSize <= len(b); at += store.PageSize {
			if binary.LittleEndian.Uint64(b[at:]) != word(0) || binary.LittleEndian.Uint64(b[at+800:]) != word(100) {
				continue
			}
			b[at+801] ^= 1
			if err := os.WriteFile(p, b, 0o600); err != nil {
				j.t.Fatal(err)
			}
			return "packs/" + filepath.Base(p)
		}
	}
	j.t.Fatalf("page 2048 is in none of %v", packs)
	return ""
}

// A pack that is removed when the pod runs is not needed any more.
func TestLazyMemoryOutlivesItsGeneration(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "lazy")
	same := j.same("sum")
	j.checkpoint()
	j.held()
	if _, err := j.store.Remove(j.gen); err != nil {
		t.Fatal(err)
	}
	same("after its generation was removed")
}

func TestPodThatIsKilledBeforeItsMemoryIsReadLeavesNothing(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "lazy")
	j.checkpoint()
	j.held()
	j.want("hammer", "ok")
	list, err := j.pod.Processes()
	if err != nil || len(list) == 0 {
		t.Fatalf("the pod has no processes: %v", err)
	}
	j.pod.Kill()
	for _, p := range list {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.HostPID)); err == nil {
			t.Errorf("process %d is still there", p.HostPID)
		}
	}
	if n := fuseFiles(t); n != 0 {
		t.Errorf("this process still serves %d file systems", n)
	}
}
