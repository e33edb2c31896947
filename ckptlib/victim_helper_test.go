package ckptlib_test

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gompirun/gompirun/ckptlib/internal/testuser"
	"github.com/gompirun/gompirun/ckptlib/probe"
)

//go:embed testdata/victims
var victimSources embed.FS

// asUser runs the test once more as an ordinary user.
func asUser(t *testing.T) {
	t.Helper()
	testuser.Again(t)
}

// compile makes a victim of its source and returns the program's path.
func compile(t *testing.T, name string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"victim.h", name + ".c"} {
		b, err := victimSources.ReadFile("testdata/victims/" + f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, name)
	args := append([]string{"-O1", "-g", "-Wall", "-Werror", "-pthread", "-o", out, filepath.Join(dir, name+".c")}, flags...)
	if b, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %s: %v\n%s", strings.Join(args, " "), err, b)
	}
	return out
}

// victim compiles and starts a victim and waits until it is ready.
func victim(t *testing.T, name string, args ...string) *job {
	t.Helper()
	return ready(t, append([]string{compile(t, name)}, args...)...)
}

// ready starts a victim and waits until it says so.
func ready(t *testing.T, argv ...string) *job {
	t.Helper()
	j := launch(t, argv...)
	if got := j.line(); got != "ready" {
		t.Fatalf("the victim said %q, want ready", got)
	}
	return j
}

// want asks a question and checks the answer.
func (j *job) want(question, answer string) {
	j.t.Helper()
	if got := j.ask(question); got != answer {
		j.t.Errorf("ask(%q) = %q, want %q", question, got, answer)
	}
}

// same asks questions and returns a check that they are answered as before.
func (j *job) same(questions ...string) func(when string) {
	j.t.Helper()
	first := map[string]string{}
	for _, q := range questions {
		first[q] = j.ask(q)
	}
	j.t.Logf("answers: %q", first)
	return func(when string) {
		j.t.Helper()
		for _, q := range questions {
			if got := j.ask(q); got != first[q] {
				j.t.Errorf("%s, ask(%q) = %q, want %q", when, q, got, first[q])
			}
		}
	}
}

// unharmed checkpoints and checks that nobody can see it.
func (j *job) unharmed() visible {
	j.t.Helper()
	before := j.settled()
	j.checkpoint()
	j.invisible("the checkpoint", before)
	return before
}

// reborn restarts and checks that nobody can see it.
func (j *job) reborn(before visible) {
	j.t.Helper()
	j.restart()
	j.invisible("the restart", before)
}

// field splits an answer such as "a=1 b=2".
func field(t *testing.T, answer, key string) (n int64) {
	t.Helper()
	for _, w := range strings.Fields(answer) {
		if v, ok := strings.CutPrefix(w, key+"="); ok {
			if _, err := fmt.Sscan(v, &n); err != nil {
				t.Fatalf("%s of %q: %v", key, answer, err)
			}
			return n
		}
	}
	t.Fatalf("no %s in %q", key, answer)
	return 0
}

// skipBefore skips a test of what this kernel has not, if it is older than the
// first that has it; else the lack is a failure.
func skipBefore(t *testing.T, major, minor int, lack error) {
	t.Helper()
	var have [2]int
	if _, err := fmt.Sscanf(probe.KernelRelease(), "%d.%d", &have[0], &have[1]); err != nil {
		t.Fatal(err)
	}
	if have[0] > major || have[0] == major && have[1] >= minor {
		t.Fatalf("Linux %d.%d has what is needed, and here it fails: %v", major, minor, lack)
	}
	t.Skipf("needs Linux %d.%d: %v", major, minor, lack)
}
