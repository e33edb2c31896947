package ckptlib_test

import "testing"

func TestFilesOfProcAndDevicesAreOpen(t *testing.T) {
	asUser(t)
	j := victim(t, "procfiles")
	same := j.same("all", "maps")
	j.checkpoint()
	same("after the checkpoint")
	j.checkpoint()
	j.want("write", "renamed IN my memory")
	for range 2 {
		j.restart()
		same("after the restart")
		j.checkpoint()
		j.want("write", "renamed IN my memory")
	}
}
