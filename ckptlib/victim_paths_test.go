package ckptlib_test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreFoundWhereTheirNamesHaveChanged(t *testing.T) {
	asUser(t)
	for _, kind := range []string{"disk", "private tmpfs"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			if kind != "disk" {
				dir = "/dev/shm"
			}
			j := victim(t, "paths", dir)
			same := j.same("check")
			j.checkpoint()
			same("after the checkpoint")
			j.checkpoint()
			j.want("append", "begin more")
			j.want("list", "rest")
			for range 2 {
				j.restart()
				same("after the restart")
				j.checkpoint()
				j.want("append", "begin more")
				if kind == "disk" { // else it has another order: docs/limits.md
					j.want("list", "rest")
				}
			}
			for _, w := range j.warn {
				t.Errorf("a restart warns: %s", w)
			}
		})
	}
}

func TestFilesAndProgramsMayHaveMoved(t *testing.T) {
	asUser(t)
	dir := t.TempDir()
	prog := compile(t, "paths")
	j := ready(t, prog, dir)
	same := j.same("check")
	j.want("append", "begin more")
	j.checkpoint()
	j.pod.Kill()
	for _, d := range []string{dir, filepath.Dir(prog)} {
		if err := os.Rename(d, d+"-moved"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(d + "-moved") })
		j.moved = append(j.moved, d+"="+d+"-moved")
	}
	for range 2 {
		j.restart()
		same("after the restart")
		j.checkpoint()
		j.moved = nil // it knows now where they are
	}
	j.want("append", "begin moremore")
}
