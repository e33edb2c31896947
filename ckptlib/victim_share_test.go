package ckptlib_test

import "testing"

func TestProcessesAndThreadsShareWhatTheyShared(t *testing.T) {
	asUser(t)
	j := victim(t, "share")
	same := j.same("where", "files")
	before := j.unharmed()
	same("after the checkpoint")
	j.checkpoint()
	j.want("files", "child's in parent 4, parent's in children 4 -1")
	j.want("move", "moved")
	moved := "parent /proc 77 child /proc 77 child /proc 77 child /sys 27 "
	j.want("where", moved)
	for range 2 {
		j.reborn(before)
		same("after the restart")
		j.checkpoint()
		j.want("move", "moved")
		j.want("where", moved)
	}
}
