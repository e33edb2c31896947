package ckptlib_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/mem"
)

// changes are the questions that change a tracked victim's memory.
var changes = []string{
	"store", "read", "vmwrite", "dontneed", "store", "touch-after-dontneed", "remap-over", "store", "move", "protect", "hide",
	"new", "store", "gone", "store", "brk", "fork", "half", "store", "all", "store", "store", "new", "exec", "store", "dontneed",
}

// Every generation has the memory as it was when it was made, whichever way
// pages had changed since the one before: by copies of processes and tracked
// pages, by tracked pages alone, and by reading everything each time.
func TestEveryGenerationHasTheMemoryOfItsMoment(t *testing.T) {
	asUser(t)
	for _, mode := range []struct {
		name string
		o    ckptlib.SnapshotOptions
	}{
		{"precopy", ckptlib.SnapshotOptions{Precopy: true}},
		{"fork", ckptlib.SnapshotOptions{}},
		{"stop", ckptlib.SnapshotOptions{Stop: true}},
		{"untracked", ckptlib.SnapshotOptions{Untracked: true}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			j := victim(t, "tracked")
			j.options = mode.o
			j.checkpoint()
			sums := map[int]string{j.gen: j.ask("sum")}
			for _, c := range changes {
				want := "ok"
				if c == "exec" {
					want = "ready"
				}
				j.want(c, want)
				j.checkpoint()
				sums[j.gen] = j.ask("sum")
				j.want("children", "wait -1 No child processes, 0 bytes of children")
			}
			gens := make([]int, 0, len(sums))
			for g := range sums {
				gens = append(gens, g)
			}
			slices.Sort(gens)
			for _, g := range gens {
				j.gen = g
				j.restart()
				if got := j.ask("sum"); got != sums[g] {
					t.Errorf("generation %d, after %q: the memory has the sum %s, want %s", g, append([]string{"nothing"}, changes...)[g-gens[0]], got, sums[g])
				}
			}
		})
	}
}

// The second checkpoint reads what has changed, not what there is; and so does
// the first one after a restart.
func TestOnlyChangedPagesAreRead(t *testing.T) {
	asUser(t)
	const mib = 1 << 20
	j := victim(t, "tracked")
	j.checkpoint()
	if first := j.result.BytesChanged; first < 32*mib {
		t.Errorf("the first checkpoint read %d bytes, want at least 32 MiB", first)
	}
	if err := mem.Probe(); err != nil {
		skipBefore(t, 6, 7, err)
	}
	for i := range 3 {
		j.want("store", "ok")
		j.checkpoint()
		if got := j.result.BytesChanged; got > 2*mib {
			t.Errorf("checkpoint %d read %d bytes after one page had changed, want at most 2 MiB", j.gen, got)
		}
		if i == 1 {
			j.restart()
		}
	}
	j.want("all", "ok")
	j.checkpoint()
	if got := j.result.BytesChanged; got < 32*mib {
		t.Errorf("checkpoint %d read %d bytes after all had changed, want at least 32 MiB", j.gen, got)
	}
}

// A checkpoint that fails after its snapshot must not lead the next one to
// believe that pages have not changed since the last complete one.
func TestPagesThatAFailedCheckpointSawAreNotForgotten(t *testing.T) {
	asUser(t)
	j := victim(t, "tracked")
	j.checkpoint()
	for _, c := range []string{"store", "half", "all"} {
		j.want(c, "ok")
		j.abandon()
		j.want("store", "ok")
		j.checkpoint()
		sum := j.ask("sum")
		j.restart()
		j.want("sum", sum)
		j.checkpoint()
	}
}

// Twins are no children of their processes for wait(2), end with the checkpoint,
// and leave nothing behind, also where a parent cannot be asked to reap.
func TestTwinsLeaveNothingBehind(t *testing.T) {
	asUser(t)
	j := victim(t, "tracked")
	for range 5 {
		j.want("all", "ok")
		j.checkpoint()
		j.want("children", "wait -1 No child processes, 0 bytes of children")
	}
	j.want("all", "ok")
	j.abandon()
	j.want("children", "wait -1 No child processes, 0 bytes of children")
	list, err := j.pod.Processes()
	if err != nil || len(list) != 1 {
		t.Errorf("the pod has the processes %v (%v), want the victim only", list, err)
	}
	if got := fmt.Sprint(j.result.Warnings); got != "[]" {
		t.Errorf("the checkpoint warned: %s", got)
	}
}

// Where the kernel makes no copy of a process the job waits, and its user is told.
func TestProcessThatCannotBeCopiedIsReadInThePause(t *testing.T) {
	asUser(t)
	j := victim(t, "tracked")
	j.want("alone", "ok")
	j.checkpoint()
	// Limits on processes do not bind root.
	if got := strings.Join(j.result.Warnings, ";"); os.Geteuid() != 0 && !strings.Contains(got, "(tracked) cannot be copied") {
		t.Errorf("the checkpoint warned %q, want that the process could not be copied", got)
	}
	sum := j.ask("sum")
	j.restart()
	j.want("sum", sum)
}

// What a pod remembers is of its last checkpoint, not of all.
func TestMemoryDoesNotGrowWithTheNumberOfCheckpoints(t *testing.T) {
	j := victim(t, "tracked")
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var after3 int64
	for i := range 15 {
		j.want("store", "ok")
		j.checkpoint()
		if i == 2 {
			after3 = live()
		}
	}
	// An image and a page table of each checkpoint would be a megabyte and more.
	if grown := live() - after3; grown > 4<<20 {
		t.Errorf("12 more checkpoints left %d bytes on the heap, want at most 4 MiB", grown)
	}
}

// A thread that writes all the time, slowly, fast, and faster than memory is
// read: no page of any generation is older or newer than the moment of it.
func TestPagesWrittenWhileMemoryIsReadAreThoseOfTheirMoment(t *testing.T) {
	asUser(t)
	const mib = 1 << 20
	j := victim(t, "churn")
	j.options.Precopy = true
	for _, speed := range []int{0, 5, 50, 5000} {
		j.want(fmt.Sprintf("speed %d", speed), "ok")
		for range 3 {
			before := field(t, j.ask("check"), "turn")
			j.checkpoint()
			if got := field(t, j.ask("check"), "turn"); speed == 0 && got != before {
				t.Errorf("the thread went on from turn %d to %d at speed 0", before, got)
			}
			if got := j.result.BytesEarly; mem.Probe() == nil && j.gen == 1 && got < 60*mib {
				t.Errorf("%d bytes were read before the first pause, want at least 60 MiB", got)
			}
		}
	}
	last := j.gen
	var turns []int64
	for j.gen = 1; j.gen <= last; j.gen++ {
		gen := j.gen
		j.restart()
		turns = append(turns, field(t, j.ask("check"), "turn"))
		j.gen = gen
	}
	if !slices.IsSorted(turns) || turns[0] == turns[len(turns)-1] {
		t.Errorf("the generations are of the turns %d, want them in order", turns)
	}
}

// What was read ahead serves the next try at the same generation, and nothing
// else: the checkpoint after one that was given up reads it again.
func TestMemoryReadAheadOfACheckpointThatFailsIsReadAgain(t *testing.T) {
	asUser(t)
	j := victim(t, "churn")
	j.options.Precopy = true
	j.want("speed 5", "ok")
	packs := func() int {
		list, err := filepath.Glob(j.store.Dir() + "/packs/*")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for range 3 {
		j.retries = 2
		j.checkpoint()
		j.retries = 0
		before := packs()
		gen, err := j.store.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if err := j.pod.Prepare(t.Context(), j.store, gen, ckptlib.SnapshotOptions{Precopy: true, Compress: "none"}); err != nil {
			t.Fatal(err)
		}
		if err := j.pod.Discard(); err != nil {
			t.Fatal(err)
		}
		if left := packs(); left != before || before == 0 {
			t.Errorf("%d packs are there after what was read ahead was given up, %d before", left, before)
		}
		if _, err := j.store.Remove(gen); err != nil {
			t.Fatal(err)
		}
		field(t, j.ask("check"), "turn")
		j.checkpoint()
		j.restart()
		field(t, j.ask("check"), "turn")
	}
}
