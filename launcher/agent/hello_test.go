package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// linked builds a program that prints a word and returns its build ID.
func linked(t *testing.T, word string, options ...string) string {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() { println(\""+word+"\") }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", program}, options...), source)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	id, err := buildID(program)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestABuildIDTellsProgramsApart(t *testing.T) {
	one, same, other := linked(t, "one"), linked(t, "one"), linked(t, "two")
	if one == "" || one != same || one == other {
		t.Errorf("a program, the same and another one have the IDs %q, %q and %q", one, same, other)
	}
}

// Build systems that want equal bytes of equal sources put a word of theirs there.
func TestABuildIDThatIsNoneIsPassedOver(t *testing.T) {
	for _, id := range []string{"", "redacted"} {
		if got := linked(t, "one", "-ldflags=-buildid="+id); got != "" {
			t.Errorf("a program with the build ID %q has %q, want none", id, got)
		}
	}
	if hash, err := contentHash(); err != nil || len(hash) != 32 {
		t.Errorf("the hash in its place is %q, %v", hash, err)
	}
}
