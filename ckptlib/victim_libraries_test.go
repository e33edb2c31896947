package ckptlib_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// More mappings than a process can be handed descriptors for at once, by far.
func TestProgramWith700SharedLibraries(t *testing.T) {
	asUser(t)
	const n = 700
	lib, err := os.ReadFile(compile(t, "library", "-shared", "-fPIC"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i := range n {
		// Copies: to the dynamic linker a file is a library of its own.
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)+".so"), lib, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j := ready(t, compile(t, "libraries"), dir, strconv.Itoa(n))
	sum := func(asked int) string { return fmt.Sprint(n*(n-1)/2 + n*asked) }
	j.want("sum", sum(1))
	j.checkpoint()
	j.want("sum", sum(2))
	j.restart()
	j.want("sum", sum(2))
	j.want("sum", sum(3))
}
