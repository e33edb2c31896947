package ckptlib_test

import (
	"os"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ckptlib"
)

// A build that differs from the one that was checkpointed in its content only,
// as a rebuilt image of a host has it: the same size, time, and even inode.
func TestProgramThatDiffersInItsContentOnlyIsNotMapped(t *testing.T) {
	asUser(t)
	prog := compile(t, "private")
	j := ready(t, prog)
	same := j.same("sum")
	j.checkpoint()
	j.pod.Kill()
	st, err := os.Stat(prog)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(prog)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[4096:8192]) // of its text
	if err := os.WriteFile(prog, b, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(prog, st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
	g, err := j.store.Load(j.gen)
	if err != nil {
		t.Fatal(err)
	}
	im, _, err := ckptlib.LoadImage(g, 0)
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := ckptlib.Verify(im)
	if want := prog + " has another content than it had"; err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
		t.Errorf("Verify = %q, %v, want one warning with %q", warnings, err, want)
	}
	j.restart()
	same("with another program in its place")
}

func TestProgramThatIsTheSameIsMappedWhateverItsTime(t *testing.T) {
	asUser(t)
	prog := compile(t, "private")
	j := ready(t, prog)
	same := j.same("sum")
	j.checkpoint()
	before, err := os.Stat(prog)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(prog, before.ModTime().Add(-1), before.ModTime().Add(-1)); err != nil {
		t.Fatal(err)
	}
	j.restart()
	same("with another time")
	if len(j.warn) > 0 {
		t.Errorf("the restart warned of %q", j.warn)
	}
}
