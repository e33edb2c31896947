package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gompirun/gompirun/ckptlib/fuse/fusetest"
)

// large is a program with 8 MiB of memory that nothing compresses, once there is a
// file "go". From then on it says so, and with a file "check" whether its memory is
// what it was.
const large = `
import os, time
print("start", flush=True)
while not os.path.exists("go"): time.sleep(0.02)
b = bytearray(b"".join(b"LARGEPAGE%08d" % i + os.urandom(4079) for i in range(2048)))
s = sum(b)
while True:
    print("there", flush=True)
    time.sleep(0.05)
    if os.path.exists("check"): print("the same" if sum(b) == s else "another", flush=True)
`

// startLarge has checkpoint 1 from before the memory was there, and 2 after.
func startLarge(t *testing.T, dir string) {
	t.Helper()
	fusetest.Need(t)
	j := startJob(t, dir, "--ckpt-dir", "c", "python3", "-c", large)
	j.awaitLine("start")
	made(t, dir, 1)
	touch(t, dir, "go")
	j.awaitLine("there")
	if r := gompirun(t, dir, "checkpoint", "--stop", "c"); r.status != 0 {
		t.Fatalf("checkpoint --stop = %+v", r)
	}
	if r := j.rest(); r.status != 75 {
		t.Fatalf("the run ended with %d and said %q, want 75", r.status, r.stderr)
	}
}

func touch(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLazyRestartGoesOnAndIsCheckpointed(t *testing.T) {
	dir := t.TempDir()
	startLarge(t, dir)
	j := startJob(t, dir, "restart", "--lazy", "c")
	j.awaitLine("there")
	made(t, dir, 3)
	touch(t, dir, "check")
	j.awaitLine("the same")
	j.signal(syscall.SIGKILL)
	j.rest()
	j = startJob(t, dir, "restart", "c")
	j.awaitLine("the same")
	j.signal(syscall.SIGINT)
	if r := j.rest(); strings.Contains(r.out, "another") {
		t.Error("the memory is not what it was")
	}
}

func TestDamageFoundAfterALazyRestartEndsTheJobAndAnIntactCheckpointIsOffered(t *testing.T) {
	dir := t.TempDir()
	startLarge(t, dir)
	packs, err := filepath.Glob(filepath.Join(dir, "c/packs/000002-*"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := ""
	for _, p := range packs {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(b, []byte("LARGEPAGE00001024")); i >= 0 {
			b[i+100] ^= 1
			if err := os.WriteFile(p, b, 0o600); err != nil {
				t.Fatal(err)
			}
			damaged = "packs/" + filepath.Base(p)
		}
	}
	if damaged == "" {
		t.Fatalf("page 1024 of the program is in none of %v", packs)
	}
	r := gompirun(t, dir, "restart", "--lazy", "c")
	if r.status != 125 || strings.Contains(r.out, "another") {
		t.Errorf("the restarted job ended with %d and printed %q, want 125", r.status, r.out)
	}
	for _, want := range []string{damaged + " is damaged", "the job was ended", "gompirun restart c@1"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("it said %q, want %q", r.stderr, want)
		}
	}
}
