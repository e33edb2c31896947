package ckptlib_test

import "testing"

func TestProcessesGoOnWithoutTheirFirstThread(t *testing.T) {
	asUser(t)
	j := victim(t, "outlived")
	same := j.same("who", "children")
	before := j.unharmed()
	same("after the checkpoint")
	for range 2 {
		j.reborn(before)
		same("after the restart")
		j.want("signal", "handled")
		j.want("grow", "x")
		j.checkpoint() // of a process with a tracker, and by a copy
		same("after another checkpoint")
		before = j.visible()
	}
	j.want("end", "5 5 15")
	j.checkpoint()
	j.restart()
	j.want("signal", "handled")
}
