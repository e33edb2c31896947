package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// ticking is a program that shows that it goes on, also after a restart.
const ticking = "while :; do sleep 0.05; echo tick; done"

// flip changes one bit in the middle of a file.
func flip(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// made asks for a checkpoint, which must be made and be intact.
func made(t *testing.T, dir string, n int) {
	t.Helper()
	if r := gompirun(t, dir, "checkpoint", "c"); r.status != 0 || !strings.HasPrefix(r.out, fmt.Sprintf("checkpoint %d: ", n)) {
		t.Errorf("checkpoint = %+v, want checkpoint %d", r, n)
	}
	if r := gompirun(t, dir, "verify", fmt.Sprintf("c@%d", n)); r.status != 0 {
		t.Errorf("verify of checkpoint %d = %+v", n, r)
	}
}

func TestCheckpointsGoOnWhenTheLastOneIsDamaged(t *testing.T) {
	for _, name := range []string{"manifest.json", "pod-0000.pages"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j := startJob(t, dir, "--ckpt-dir", "c", "sh", "-c", ticking)
			j.awaitLine("tick")
			made(t, dir, 1)
			flip(t, filepath.Join(dir, "c/gen/000001", name))
			made(t, dir, 2)
			made(t, dir, 3)
			if r := gompirun(t, dir, "checkpoint", "--stop", "c"); r.status != 0 {
				t.Errorf("checkpoint --stop = %+v", r)
			}
			r := j.rest()
			if r.status != 75 || strings.Count(r.stderr, "everything is written again") != 1 || !strings.Contains(r.stderr, "gen/000001/"+name+" is damaged") {
				t.Errorf("the run ended with %d and said %q, want 75 and one warning", r.status, r.stderr)
			}
			again := startJob(t, dir, "restart", "c")
			again.awaitLine("tick")
			made(t, dir, 5)
			again.signal(syscall.SIGINT)
			again.rest()
		})
	}
}

func TestCheckpointsGoOnWhenTheOneRestartedFromIsPruned(t *testing.T) {
	dir := t.TempDir()
	j := startJob(t, dir, "--ckpt-dir", "c", "sh", "-c", ticking)
	j.awaitLine("tick")
	for n := 1; n <= 3; n++ {
		made(t, dir, n)
	}
	j.signal(syscall.SIGKILL)
	j.rest()
	j = startJob(t, dir, "restart", "c@1")
	j.awaitLine("tick")
	if r := gompirun(t, dir, "prune", "--keep", "1", "c"); r.status != 0 || !strings.Contains(r.out, "removed 2 checkpoints") {
		t.Errorf("prune = %+v, want 2 checkpoints removed", r)
	}
	made(t, dir, 4)
	made(t, dir, 5)
	j.signal(syscall.SIGINT)
	if r := j.rest(); strings.Count(r.stderr, "everything is written again") != 1 {
		t.Errorf("the run said %q, want one warning", r.stderr)
	}
}
