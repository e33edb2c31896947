package ckptlib_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mapped makes a file whose first page begins with the given letter four times
// over, its fifth with its capital.
func mapped(t *testing.T, dir, name string) string {
	t.Helper()
	const page, size = 4096, 8*4096 + 100
	b := make([]byte, size)
	copy(b, strings.Repeat(name[:1], 4))
	copy(b[5*page:], strings.ToUpper(strings.Repeat(name[:1], 4)))
	copy(b[size-4:], "last")
	return write(t, filepath.Join(dir, name), b)
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMappedFilesMayGoOrChange(t *testing.T) {
	asUser(t)
	dir := t.TempDir()
	kept, deleted, replaced, changed, goes, disk := mapped(t, dir, "kept"), mapped(t, dir, "deleted"), mapped(t, dir, "replaced"),
		mapped(t, dir, "changed"), mapped(t, dir, "goes"), mapped(t, dir, "disk")
	prog := compile(t, "files")
	j := ready(t, prog, kept, deleted, replaced, changed, goes, disk)
	// These two are not what they were when the checkpoint is made.
	if err := os.Remove(deleted); err != nil {
		t.Fatal(err)
	}
	other := write(t, filepath.Join(dir, "other"), bytes.Repeat([]byte("other"), 9000))
	if err := os.Rename(other, replaced); err != nil {
		t.Fatal(err)
	}
	same := j.same("check")
	j.unharmed()
	same("after the checkpoint")
	j.checkpoint()
	j.want("share", "0")
	// And these change before the restart, the program among them.
	old, err := os.ReadFile(changed)
	if err != nil {
		t.Fatal(err)
	}
	write(t, changed, bytes.ToUpper(old))
	for _, f := range []string{goes, prog} {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	copy(was, "dddd\x00\x00\x00")
	now := append([]byte("outside"), was[7:]...)
	write(t, disk, now)
	for range 2 {
		j.restart()
		got := j.ask("check")
		if want := "shared outsid"; !strings.HasSuffix(got, want) {
			t.Errorf("after the restart, check = %q, want the file's content, %q", got, want)
		}
		write(t, disk, was)
		same("after the restart")
		write(t, disk, now)
		j.checkpoint()
	}
}

func TestProcessThatMayNotBeDumpedIsCheckpointed(t *testing.T) {
	asUser(t)
	j := victim(t, "misc", "hidden")
	same := j.same("all", "time")
	for range 2 {
		j.checkpoint()
		same("after the checkpoint")
		j.restart()
		same("after the restart")
	}
}

func TestEveryKindOfProgramIsItself(t *testing.T) {
	asUser(t)
	for name, flags := range map[string][]string{
		"pie":        {"-pie", "-fPIE"},
		"static":     {"-static", "-no-pie"},
		"static-pie": {"-static-pie", "-fPIE"},
		"fixed":      {"-no-pie"},
		"low":        {"-no-pie", "-static", "-Wl,-Ttext-segment=0x10000"},
	} {
		t.Run(name, func(t *testing.T) {
			j := ready(t, compile(t, "misc", flags...), "an argument")
			same := j.same("all", "time")
			before := j.unharmed()
			same("after the checkpoint")
			for range 2 {
				j.checkpoint()
				j.reborn(before)
				same("after the restart")
			}
		})
	}
}
