package ckptlib_test

import (
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ckptlib"
	"github.com/gompirun/gompirun/ckptlib/fuse/fusetest"
	"github.com/gompirun/gompirun/ckptlib/mem"
)

// kinStores is who sees what each stores: the asked one and those that have its
// memory, of ALIKE, QUIET, COPY and THREAD.
const kinStores = "of 0: of 0 of 0 - of 0; of 1: of 1 of 1 - of 1; -: - - of 2 -; of 3: of 3 of 3 - of 3; "

func TestProcessesShareTheirMemoryWithoutBeingThreads(t *testing.T) {
	asUser(t)
	j := victim(t, "kin")
	same := j.same("stores", "actions", "files", "where", "large")
	before := j.unharmed()
	same("after the checkpoint")
	j.want("undo", "3")
	j.want("stores", kinStores)
	j.want("actions", "usr2 usr2 usr1 usr1 usr2; usr1 usr1 usr2 usr1 usr1; usr1 usr1 usr1 usr2 usr1; usr2 usr2 usr1 usr1 usr2; ")
	j.want("files", "4 -1 -1 4 ")
	j.want("where", "/proc /proc / / /proc")
	for range 2 {
		j.checkpoint()
		j.reborn(before)
		same("after the restart")
		j.want("undo", "6")
		j.restart()
	}
	j.want("undo", "6")
	j.want("ends", "0 undone 6 still ok of 1 7 undone 4")
}

// The memory of all is found, copied, tracked and restored once, however it is
// taken.
func TestMemoryThatProcessesShareIsTakenOnce(t *testing.T) {
	asUser(t)
	for name, o := range map[string]ckptlib.SnapshotOptions{"twin": {}, "precopy": {Precopy: true}, "stop": {Stop: true}} {
		t.Run(name, func(t *testing.T) {
			j := victim(t, "kin", "64")
			j.options = o
			const mib = 1 << 20
			for range 2 {
				j.want("write", "written") // as the copy does not see
				large := j.ask("large")
				if w := strings.Fields(large); w[0] != w[1] || w[0] != w[2] || w[0] == w[3] {
					t.Fatalf("large = %q, want the same of all but COPY", large)
				}
				j.checkpoint()
				if n := j.result.BytesLogical; n < 128*mib || n > 140*mib {
					t.Errorf("the checkpoint has %d bytes, want those of two memories of 64 MiB", n)
				}
				j.want("write", "written")
				j.restart()
				j.want("large", large)
				j.want("stores", kinStores)
				j.want("they-write", "written")
				large = j.ask("large")
				j.checkpoint()
				if n := j.result.BytesChanged; n > 8*mib && mem.Probe() == nil {
					t.Errorf("%d bytes were read after a restart, want those that were written", n)
				}
				j.restart()
				j.want("large", large)
			}
		})
	}
}

// A process that executes a program leaves its memory to those that share it,
// with whatever watched it.
func TestMemoryIsKeptWhenTheFirstThatHasItExecutesAProgram(t *testing.T) {
	asUser(t)
	j := victim(t, "kin", "64")
	j.options.Precopy = true
	j.checkpoint()
	j.want("write", "written")
	j.want("execute", "ready")
	for range 3 {
		j.want("they-write", "written")
		large := j.ask("large")
		if w := strings.Fields(large); w[0] == w[1] || w[1] != w[2] || w[1] == w[3] {
			t.Fatalf("large = %q, want the same of ALIKE and QUIET alone", large)
		}
		j.checkpoint()
		j.want("write", "written")
		j.want("they-write", "written")
		j.checkpoint()
		j.gen--
		j.restart()
		j.want("large", large)
		j.want("stores", "-: of 0 of 0 -; -: of 1 of 1 -; -: - - of 2; ")
	}
}

func TestMemoryThatProcessesShareIsReadLazily(t *testing.T) {
	asUser(t)
	fusetest.Need(t)
	j := victim(t, "kin", "64")
	j.want("write", "written")
	same := j.same("large")
	j.checkpoint()
	j.held()
	same("before it is read in")
	j.want("they-write", "written")
	written := j.ask("large")
	j.pod.ReadBehind()
	j.readIn()
	j.want("large", written)
	j.want("stores", kinStores)
	j.checkpoint()
	j.want("they-write", "written")
	j.lazily()
	j.want("large", written)
	j.want("stores", kinStores)
}
