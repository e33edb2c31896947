package ckptlib_test

import "testing"

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
